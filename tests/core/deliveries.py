"""Deliveries as the gateway and the poller write them.

The bodies are the providers' shapes, with fictional numbers; they go through the real decoders.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from stream.core.events import Envelope
from stream.core.timestamps import utc
from stream.kafka.envelope_codec import read_envelope

CALL_ID = "CA" + "0f" * 16
ACCOUNT = "AC" + "0a" * 16
LEG_ID = "c3f1d6a0-0000-11ef-8000-02420a0d7e70"
TWILIO_KEY = f"twilio:{CALL_ID}"
TELNYX_KEY = f"telnyx:{LEG_ID}"
START_US = 1_772_445_600_000_000
"""2026-03-02T10:00:00Z."""


class Delivery(NamedTuple):
    """One raw envelope, as in a source topic."""

    key: str
    value: bytes

    @property
    def envelope(self) -> Envelope:
        return read_envelope(self.value)


def at(second: float) -> str:
    """RFC 3339, `second` seconds after the start."""
    return utc(START_US + round(second * 1_000_000))


def rfc2822(second: int) -> str:
    """RFC 2822, in Twilio's spelling: whole seconds."""
    minutes, seconds = divmod(second, 60)
    return f"Mon, 02 Mar 2026 {10 + minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d} +0000"


ENDED = rfc2822(55)
"""When `answered_call` ended."""


def delivery(
    source: str,
    key: str,
    body: dict[str, Any],
    received_s: float,
    endpoint: str = "/callbacks",
    ordinal: int | None = None,
) -> Delivery:
    raw: dict[str, Any] = {
        "v": 1,
        "source": source,
        "received_at": at(received_s),
        "account": ACCOUNT if key.startswith("twilio") else None,
        "endpoint": endpoint,
        "delivery": {"token": None, "attempt": None, "query": None, "verified": True},
        "body": body,
    }
    if ordinal is not None:
        raw["ordinal"] = ordinal
    return Delivery(key, orjson.dumps(raw))


def parameters(status: str, number: str | None, second: int | None, call_id: str = CALL_ID) -> dict[str, str]:
    """The parameters of a status callback."""
    told = {
        "CallSid": call_id,
        "AccountSid": ACCOUNT,
        "From": "+15005550006",
        "To": "+15005550009",
        "Direction": "outbound-api",
        "ApiVersion": "2010-04-01",
        "CallStatus": status,
        "CallbackSource": "call-progress-events",
    }
    if number is not None:
        told["SequenceNumber"] = number
    if second is not None:
        told["Timestamp"] = rfc2822(second)
    return told


def callback(
    status: str,
    number: str | None = None,
    second: int | None = 0,
    *,
    received_s: float | None = None,
    call_id: str = CALL_ID,
    **more: Any,
) -> Delivery:
    """A status callback, received half a second after its time stamp by default."""
    if received_s is None:
        received_s = (second or 0) + 0.5
    body = parameters(status, number, second, call_id) | more
    return delivery("twilio_status_callback", f"twilio:{call_id}", body, received_s, "/callbacks/twilio")


def answered_call() -> list[Delivery]:
    """The four callbacks of a call with 49 seconds of talk."""
    return [
        callback("initiated", "0", 0),
        callback("ringing", "1", 1),
        callback("in-progress", "2", 6),
        callback("completed", "3", 55, CallDuration="49", Duration="1", SipResponseCode="200"),
    ]


def calls_row(status: str, *, updated: int = 60, received_s: float = 90.0, **more: Any) -> Delivery:
    """A row of the Calls resource."""
    row: dict[str, Any] = {
        "sid": CALL_ID,
        "account_sid": ACCOUNT,
        "status": status,
        "direction": "outbound-api",
        "from": "+15005550006",
        "to": "+15005550009",
        "date_created": rfc2822(0),
        "date_updated": rfc2822(updated),
        "start_time": None,
        "end_time": None,
        "duration": None,
        "price": None,
        "price_unit": "USD",
        "answered_by": None,
        "parent_call_sid": None,
    } | more
    return delivery("twilio_call", TWILIO_KEY, row, received_s, f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json")


def logged(
    told: dict[str, str],
    *,
    code: int | None = 204,
    received_s: float = 1000.0,
    ordinal: int = 0,
    url: str = "https://hooks.example.test/tw?tenant=7",
    call_id: str = CALL_ID,
) -> Delivery:
    """A row of Call Events: one callback that Twilio sent, in snake case, and its answer."""
    snake = {_snake(name): value for name, value in told.items()}
    row = {
        "request": {"method": "POST", "url": url, "parameters": snake},
        "response": {
            "response_code": code,
            "request_duration": 38,
            "content_type": None,
            "response_body": "",
            "date_created": told.get("Timestamp"),
        },
    }
    endpoint = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{call_id}/Events.json"
    return delivery("twilio_call_event", f"twilio:{call_id}", row, received_s, endpoint, ordinal)


def streamed(kind: str, told: dict[str, str], *, received_s: float = 1001.0) -> Delivery:
    """The same callback as a CloudEvent of Event Streams. `kind`: the end of its type."""
    body = {
        "specversion": "1.0",
        "id": f"EZ{kind}",
        "type": f"com.twilio.voice.status-callback.{kind}",
        "time": at(received_s - 1),
        "data": {"request": {"method": "POST", "parameters": told}, "response": {}},
    }
    return delivery("twilio_event_stream", TWILIO_KEY, body, received_s)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def insight(
    name: str,
    second: float = 2,
    *,
    level: str | None = "INFO",
    edge: str | None = "carrier_edge",
    ordinal: int = 0,
    received_s: float = 150.0,
    **more: Any,
) -> Delivery:
    """A row of Voice Insights Events."""
    row = {
        "timestamp": at(second),
        "call_sid": CALL_ID,
        "account_sid": ACCOUNT,
        "edge": edge,
        "group": "connection",
        "name": name,
        "level": level,
        "carrier_edge": None,
    } | more
    return delivery(
        "twilio_insights_event", TWILIO_KEY, row, received_s, f"/v1/Voice/{CALL_ID}/Events", ordinal
    )


def recording(
    recording_id: str, status: str, duration: str | None = None, received_s: float = 120
) -> Delivery:
    body = {
        "CallSid": CALL_ID,
        "AccountSid": ACCOUNT,
        "RecordingSid": recording_id,
        "RecordingStatus": status,
        "RecordingStartTime": rfc2822(6),
    }
    if duration is not None:
        body["RecordingDuration"] = duration
    return delivery("twilio_recording_callback", TWILIO_KEY, body, received_s)


def machine_detection(answered_by: str, received_s: float = 70.0) -> Delivery:
    body = {
        "CallSid": CALL_ID,
        "AccountSid": ACCOUNT,
        "AnsweredBy": answered_by,
        "MachineDetectionDuration": "2400",
    }
    return delivery("twilio_amd_callback", TWILIO_KEY, body, received_s)


def telnyx_event(event_type: str, event_id: str, second: float, **payload: Any) -> dict[str, Any]:
    return {
        "record_type": "event",
        "event_type": event_type,
        "id": event_id,
        "occurred_at": at(second),
        "payload": {
            "call_leg_id": LEG_ID,
            "call_session_id": "c3f1ca00-0000-11ef-8000-02420a0d7e70",
            "call_control_id": "v3:abc",
            "from": "+15005550006",
            "to": "+15005550009",
            **payload,
        },
    }


def telnyx(event: dict[str, Any], *, attempt: int = 1, received_s: float = 60.0) -> Delivery:
    """A Telnyx webhook with this event."""
    payload = event["payload"]
    meta = {"attempt": attempt, "delivered_to": f"https://hooks.example.test/tx{attempt}"}
    key = f"telnyx:{payload['call_leg_id']}"
    return delivery("telnyx_webhook", key, {"data": event, "meta": meta}, received_s, "/callbacks/telnyx")


def telnyx_row(event: dict[str, Any], *, status: str = "delivered", received_s: float = 600.0) -> Delivery:
    """A row of Telnyx' call_events that logs the delivery of this event."""
    row = {
        "record_type": "call_event",
        "call_leg_id": LEG_ID,
        "call_session_id": event["payload"]["call_session_id"],
        "event_timestamp": event["occurred_at"],
        "name": event["event_type"],
        "type": "webhook",
        "metadata": {
            "attempt": 1,
            "delivered_to": "https://hooks.example.test/tx",
            "status": status,
            "event": event,
        },
    }
    return delivery("telnyx_call_event", TELNYX_KEY, row, received_s, "/v2/call_events")


def fetched(
    source: str = "twilio_call",
    *,
    attempt: int = 1,
    outcome: str = "success",
    complete: bool = True,
    edge: str | None = None,
    reason: str = "ended",
    key: str = TWILIO_KEY,
    received_s: float = 100.0,
) -> Delivery:
    """The result of a request with one read, as a poller writes it after the rows."""
    read = {"outcome": outcome, "rows": 1, "complete": complete, "content": "0f"}
    body = {
        "fetch_id": "f",
        "key": key,
        "reason": reason,
        "attempt": attempt,
        "reads": [{"source": source, "edge": edge, **read}],
    }
    return delivery("fetch_result", key, body, received_s)


OWN_PARAMETERS: dict[str, tuple[str, dict[str, str]]] = {
    "call.completed": ("twilio_status_callback", parameters("completed", "3", 55)),
    "recording.processed": (
        "twilio_recording_callback",
        {
            "RecordingSid": "RE1",
            "RecordingStatus": "completed",
            "RecordingStartTime": rfc2822(6),
            "RecordingDuration": "48",
        },
    ),
    "amd.detected": ("twilio_amd_callback", {"AnsweredBy": "human", "MachineDetectionDuration": "2400"}),
    "conference.participant.updated": (
        "twilio_conference_callback",
        {
            "ConferenceSid": "CF1",
            "StatusCallbackEvent": "participant-join",
            "SequenceNumber": "2",
            "Timestamp": rfc2822(9),
        },
    ),
    "stream.updated": (
        "twilio_other_callback",
        {"StreamSid": "MZ1", "StreamEvent": "stream-started", "Timestamp": at(8)},
    ),
    "transcription.processed": (
        "twilio_other_callback",
        {
            "TranscriptionSid": "GT1",
            "TranscriptionEvent": "transcription-content",
            "SequenceId": "4",
            "Timestamp": at(9),
        },
    ),
}
"""Callbacks by the end of their type in Event Streams: their source and their own parameters."""
