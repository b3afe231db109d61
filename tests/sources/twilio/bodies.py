"""Bodies of Twilio's status callbacks."""

from __future__ import annotations

from typing import Any

from stream.core.events import Reading
from stream.core.identity import event_id

CALL = "CA0f00000000000000000000000000000001"
ACCOUNT = "AC0f00000000000000000000000000000009"
AT_55 = 1_772_445_655_000_000


def callback(**changes: Any) -> dict[str, Any]:
    body = {
        "CallSid": CALL,
        "AccountSid": ACCOUNT,
        "From": "+15005550006",
        "To": "+15005550009",
        "Direction": "outbound-api",
        "ApiVersion": "2010-04-01",
        "CallStatus": "completed",
        "Timestamp": "Mon, 02 Mar 2026 10:00:55 +0000",
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "3",
        "CallDuration": "49",
        "Duration": "1",
        "SipResponseCode": "200",
        **changes,
    }
    return {name: value for name, value in body.items() if value != "ABSENT"}


def identity(reading: Reading) -> str:
    return event_id(reading.event.key, reading.event.family, reading.identity_rule, reading.parts)
