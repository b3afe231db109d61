"""Decoders of Twilio's callbacks that are not call progress, one file a kind. TeXML has the same forms."""

from __future__ import annotations

from collections.abc import Callable

from stream.core.events import Envelope, Reading
from stream.sources.twilio.forms import amd, conference, other, recording
from stream.sources.twilio.parameters import FormKind

DECODERS: dict[FormKind, Callable[[Envelope, str], list[Reading]]] = {
    "recording": recording.decode,
    "amd": amd.decode,
    "conference": conference.decode,
    "other": other.decode,
}
"""The decoder of each form but progress, by what it is about. It takes the provider: `twilio`, or `telnyx`
for TeXML.
"""
