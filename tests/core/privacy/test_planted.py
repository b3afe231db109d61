"""Planted values are in no output: events, records, alerts, keys, headers."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from agents.outputs import alert_outputs
from stream.core.alerting.alert import Alert
from stream.core.call.fold import fold
from stream.core.call.identity_pages import Pages
from stream.core.call.state import Call, dump
from stream.core.events import Origin
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.sources import DECODERS
from tests.core.deliveries import CALL_ID, Delivery, callback, delivery, telnyx, telnyx_event
from tests.core.privacy.planted_bodies import ACCOUNT, Place
from tests.core.privacy.planted_places import PLACES

MODES = ("masked", "hashed", "full")
_PRIVACY = {mode: Privacy(mode, "s3cret") for mode in MODES}


def delivered(place: Place) -> Delivery:
    endpoint = {
        "twilio_call_event": f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL_ID}/Events.json",
    }.get(place.source, "/callbacks")
    body = place.body
    return delivery(place.source, "twilio", body, 100, endpoint)


def leaves(deliveries: Iterable[Delivery], mode: str) -> str:
    """Everything that is written for these deliveries, and the state that the worker keeps."""
    call: Call | None = None
    pages = Pages(lambda _: None)
    written: list[bytes] = []
    for at, one in enumerate(deliveries):
        envelope = one.envelope
        readings = DECODERS[envelope.source](envelope)
        for reading in readings:
            _PRIVACY[mode].apply(reading)
        folded = fold(call, readings, envelope, Origin("t", 0, at), CallPolicy(), pages)
        call = folded.call
        for effect in folded.effects:
            if type(effect) is Alert:
                for output in alert_outputs(effect, "test"):
                    written += output.key or b"", output.value or b"", *(v for _, v in output.headers or ())
            else:
                written.append(msgspec.json.encode(effect))
        assert call is not None
        written.append(dump(call))
    return b"\n".join(written).decode("utf-8", "replace")


def whole_call(place: Place) -> list[Delivery]:
    """The delivery, and the end of a failed call: an alert and a record follow."""
    if place.source.startswith("telnyx"):
        return [
            delivered(place),
            telnyx(telnyx_event("call.hangup", "e9", 9, hangup_cause="not_found", sip_hangup_cause="404")),
        ]
    return [delivered(place), callback("failed", "3", 9)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_what_is_planted_leaves_in_no_output(place: Place, mode: str) -> None:
    left = leaves(whole_call(place), mode)
    if mode != "full" or place.never:
        assert [text for text in place.planted if text in left] == []
    else:
        assert place.planted
