"""Bodies of every source, with a place for a planted value."""

from __future__ import annotations

from typing import Any, NamedTuple


class Place(NamedTuple):
    """A delivery with `planted` in a field where a provider has put a number, a name or a secret."""

    name: str
    source: str
    body: dict[str, Any]
    planted: tuple[str, ...]
    never: bool = False
    """A secret: it is redacted in every mode, `full` included."""


CALL_ID = "CA" + "0f" * 16
ACCOUNT = "AC" + "0a" * 16
LEG_ID = "c3f1d6a0-0000-11ef-8000-02420a0d7e70"


def status(**more: Any) -> dict[str, Any]:
    """The parameters of a status callback."""
    return {
        "CallSid": CALL_ID,
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
        "CallStatus": "ringing",
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "1",
        "Timestamp": "Mon, 02 Mar 2026 10:00:01 +0000",
        **more,
    }


def form(**more: Any) -> dict[str, Any]:
    """The parameters of another callback."""
    return {"CallSid": CALL_ID, "AccountSid": ACCOUNT, **more}


def logged(
    url: str = "https://hooks.example.test/tw", code: int | None = 200, **parameters: Any
) -> dict[str, Any]:
    """A row of the request log."""
    return {
        "request": {"method": "POST", "url": url, "parameters": {"call_sid": CALL_ID, **parameters}},
        "response": {
            "response_code": code,
            "request_duration": 38,
            "date_created": "Mon, 02 Mar 2026 10:00:00 +0000",
        },
    }


def insight(**more: Any) -> dict[str, Any]:
    return {
        "timestamp": "2026-03-02T10:00:02Z",
        "call_sid": CALL_ID,
        "account_sid": ACCOUNT,
        "edge": "sdk_edge",
        "group": "connection",
        "name": "error",
        "level": "ERROR",
        **more,
    }


def streamed(kind: str = "com.twilio.voice.api-request.call.created", **parameters: Any) -> dict[str, Any]:
    """A CloudEvent of Event Streams that repeats a request."""
    return {
        "specversion": "1.0",
        "type": kind,
        "id": "EZ1",
        "time": "2026-03-02T10:00:01.900Z",
        "data": {
            "sid": CALL_ID,
            "request": {"method": "POST", "url": "https://hooks.example.test/tw", "parameters": parameters},
        },
    }


def summary(**more: Any) -> dict[str, Any]:
    return {"call_sid": CALL_ID, "account_sid": ACCOUNT, "call_state": "completed", **more}


def webhook(event_type: str = "call.initiated", **payload: Any) -> dict[str, Any]:
    return {
        "data": {
            "record_type": "event",
            "event_type": event_type,
            "id": "e1",
            "occurred_at": "2026-03-02T10:00:00.310007Z",
            "payload": {"call_leg_id": LEG_ID, **payload},
        },
        "meta": {"attempt": 1, "delivered_to": "https://hooks.example.test/tx"},
    }


def telnyx_row(
    delivered_to: str = "https://hooks.example.test/tx", delivery: str = "failed", **more: Any
) -> dict[str, Any]:
    return {
        "record_type": "call_event",
        "call_leg_id": LEG_ID,
        "event_timestamp": "2026-03-02T10:00:19.450211Z",
        "name": "call.hangup",
        "type": "webhook",
        "metadata": {"attempt": 1, "delivered_to": delivered_to, "status": delivery, **more},
    }
