"""A worker with a bug: it fails on each of Twilio's callbacks that say that a call was answered."""

from __future__ import annotations

from collections.abc import Sequence

from stream.cli.main import main
from stream.core.events import Envelope, Reading
from stream.core.sources import TWILIO_STATUS_CALLBACK
from stream.sources import DECODERS

_right = DECODERS[TWILIO_STATUS_CALLBACK]


def _wrong(envelope: Envelope) -> Sequence[Reading]:
    if envelope.body.get("CallStatus") == "in-progress":
        raise ZeroDivisionError
    return _right(envelope)


DECODERS[TWILIO_STATUS_CALLBACK] = _wrong

if __name__ == "__main__":
    main(prog_name="callstream")
