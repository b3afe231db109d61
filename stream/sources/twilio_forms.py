"""Sources whose deliveries are kept as events without further interpretation: never a call's progress.

Each is identified by the first rule that applies: a provider's event id, the natural key of a recording or an
AMD result, else its content. An event that names a call belongs to it; other events of a conference have the
conference as their key.
"""

from __future__ import annotations

from typing import Any

from stream.core.events import DecodeError, Envelope, Event, Reading, Recording
from stream.core.identity import content_hash
from stream.sources import fields, redaction, twilio_error_log
from stream.sources.twilio_parameters import KNOWN, child_of, pascal_case, progress_within

_OTHER_CALLBACKS = (
    ("StreamEvent", "media"),
    ("SiprecEvent", "media"),
    ("TranscriptionEvent", "transcription"),
    ("TranscriptionStatus", "transcription"),
)
"""The parameters that name an event, each with its family."""

_TRANSCRIPTS = ("Transcript", "TranscriptionText", "TranscriptionSid")
"""Parameters of a transcription that names no event."""

_ERROR_CODES = ("ErrorCode", "StreamError", "SiprecErrorCode", "SiprecError", "TranscriptionError")
_ALARMING = ("-error", "-failed")

_STREAM_FAMILIES = (
    (".insights.call-event", "insights"),
    (".call-summary", "resource"),
    (".api-request.", "request_log"),
    (".status-callback.recording", "recording"),
    (".status-callback.amd", "amd"),
    (".status-callback.transcription", "transcription"),
    (".status-callback.stream", "media"),
    (".media.", "media"),
    ("conference", "conference"),
)
"""Families by a part of a CloudEvent's type: the first match, else `other`."""


def recording_callback(envelope: Envelope, provider: str = "twilio") -> list[Reading]:
    """A status of a recording, identified by (RecordingSid, RecordingStatus): minutes after the call."""
    body = _form(envelope)
    status = fields.text(body.get("RecordingStatus"))
    recording_id = fields.identifier(body.get("RecordingSid"), "RecordingSid")
    duration_s = fields.whole_number(body.get("RecordingDuration"))
    event = _callback(envelope, body, provider, "recording", status)
    event.error_code = fields.error_code(body.get("ErrorCode"))
    if recording_id is None or status is None:
        return [_by_content(envelope, event)]
    recording = Recording(recording_id, status, duration_s)
    failed = status == "failed"
    return [Reading(event, "3", (recording_id, status), recording=recording, alarming=failed)]


def amd_callback(envelope: Envelope, provider: str = "twilio") -> list[Reading]:
    """Who or what answered. Once a call, at any time."""
    body = _form(envelope)
    event = _callback(envelope, body, provider, "amd", "amd")
    answered_by = fields.text(body.get("AnsweredBy"))
    return [Reading(event, "3", (), facts={"answered_by": answered_by} if answered_by else None)]


def conference_callback(envelope: Envelope, provider: str = "twilio") -> list[Reading]:
    """An event of a conference. Its sequence number counts within the conference, not within a call."""
    body = _form(envelope)
    event = _callback(envelope, body, provider, "conference", fields.text(body.get("StatusCallbackEvent")))
    event.sequence_number = fields.whole_number(body.get("SequenceNumber"))
    if event.sequence_number is not None:
        del body["SequenceNumber"]
    return [_by_content(envelope, event, _stamp(event, body, "Timestamp"))]


def other_callback(envelope: Envelope, provider: str = "twilio") -> list[Reading]:
    """Media streams, SIPREC, transcriptions, and requests for instructions (answer URL, `<Dial>` action)."""
    body = _form(envelope)
    named_by, family = next(
        ((name, family) for name, family in _OTHER_CALLBACKS if body.get(name)), ("", "other")
    )
    name = fields.text(body.get(named_by))
    if family == "other" and any(map(body.get, _TRANSCRIPTS)):
        family, name = "transcription", "transcript"
    child_call_id = child_of(body)
    event = _callback(envelope, body, provider, family, name)
    reading = _by_content(envelope, event, _stamp(event, body, "Timestamp"))
    reading.child_call_id = child_call_id
    if event.name.endswith(_ALARMING):
        reading.alarming = True
        # An error may also be told in words, which stay in the attributes.
        codes = (code for name in _ERROR_CODES if (code := fields.error_code(body.get(name))))
        event.error_code = next((code for code in codes if code.isdigit()), None)
    return [reading]


def event_stream(envelope: Envelope) -> list[Reading]:
    """A CloudEvent of Twilio Event Streams. A status callback in it is a sighting of its event."""
    fields.check_depth(envelope.body)
    kind = envelope.body.get("type")
    if type(kind) is str and kind.startswith(twilio_error_log.STREAM_TYPE):
        return twilio_error_log.streamed(envelope)
    row = redaction.without_secrets(envelope.body)
    event_id = fields.identifier(row.get("id"), "id")
    data = _data(row)
    parameters = _object(_object(data.get("request")).get("parameters"))
    named = {**pascal_case(data), **pascal_case(parameters)}
    key, call_id = _key(named | {"CallSid": named.get("CallSid") or _sid(data)}, "twilio")
    account = fields.lenient_identifier(named.get("AccountSid")) or envelope.account

    kind = fields.text(row.get("type")) or "unknown"
    if call_id is not None and "status-callback.call." in kind:
        observed = progress_within(parameters, call_id, account, envelope.source)
        if observed:
            return observed
    event = Event(
        key=key,
        provider="twilio",
        account=account,
        call_id=call_id,
        source=envelope.source,
        family=next((family for part, family in _STREAM_FAMILIES if part in kind), "other"),
        name=kind[: fields.WORD_LIMIT],
        level=fields.level(data.get("level")),
        edge=fields.word(data, "edge"),
        group=fields.word(data, "group"),
        attributes=row,
    )
    if type(row.get("data")) is str:
        row["data"] = data
    occurred_us = _stamp(event, row, "time")
    if event_id is None:
        return [_by_content(envelope, event, occurred_us)]
    alarming = event.family == "insights" and event.level == "error"
    return [Reading(event, "2", (event_id,), occurred_us, alarming=alarming)]


def webhook_delivery(envelope: Envelope) -> list[Reading]:
    """Telnyx' record of one webhook: whether it was delivered, after how many attempts."""
    fields.check_depth(envelope.body)
    row = redaction.without_secrets(envelope.body)
    webhook = _object(row.pop("webhook", None))
    payload = _object(webhook.get("payload")) or webhook
    leg_id = fields.identifier(payload.get("call_leg_id"), "call_leg_id")
    key = fields.telnyx_key(leg_id, payload)
    session_id = fields.lenient_identifier(payload.get("call_session_id"))
    attempts = row.get("attempts")
    for attempt in attempts if type(attempts) is list else []:
        if type(attempt) is dict:
            # Headers with signatures, and the bodies of request and response.
            attempt.pop("http", None)
    event = Event(
        key=key,
        provider="telnyx",
        account=envelope.account,
        call_id=leg_id,
        session_id=session_id,
        leg_id=leg_id,
        source=envelope.source,
        family="delivery",
        name=fields.word(webhook, "event_type") or "unknown",
        attributes=row,
    )
    delivery_id = fields.identifier(row.get("id"), "id")
    occurred_us = _stamp(event, row, "finished_at")
    if delivery_id is None:
        return [_by_content(envelope, event, occurred_us)]
    return [Reading(event, "2", (delivery_id,), occurred_us)]


def _object(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _form(envelope: Envelope) -> dict[str, Any]:
    """The form's parameters without secrets. Unknown parameters keep their repeated values."""
    single, repeated = fields.flatten_form(envelope.body)
    unknown = {name: values for name, values in repeated.items() if name not in KNOWN}
    body: dict[str, Any] = redaction.without_secrets(single | unknown)
    return body


def _callback(
    envelope: Envelope, body: dict[str, Any], provider: str, family: str, name: str | None
) -> Event:
    key, call_id = _key(body, provider)
    body.pop("CallSid", None)
    account = fields.lenient_identifier(body.get("AccountSid"))
    if account is not None:
        del body["AccountSid"]
    return Event(
        key=key,
        provider=provider,
        account=account or envelope.account,
        call_id=call_id,
        source=envelope.source,
        family=family,
        name=(name or "unknown")[: fields.WORD_LIMIT],
        attributes=body,
    )


def _key(named: dict[str, Any], provider: str) -> tuple[str, str | None]:
    call_id = fields.identifier(named.get("CallSid"), "CallSid")
    if call_id is not None:
        return f"{provider}:{call_id}", call_id
    conference_id = fields.identifier(named.get("ConferenceSid"), "ConferenceSid")
    if conference_id is None:
        raise DecodeError("missing_id", "neither CallSid nor ConferenceSid")
    return f"{provider}:conference:{conference_id}", None


def _stamp(event: Event, body: dict[str, Any], name: str) -> int | None:
    """Move the event's time out of the body. An unreadable one stays there."""
    occurred_us, event.occurred_at, event.occurred_at_quality = fields.either_stamp(body.get(name))
    if occurred_us is not None:
        del body[name]
    return occurred_us


def _by_content(envelope: Envelope, event: Event, occurred_us: int | None = None) -> Reading:
    return Reading(event, "4", (content_hash(envelope.body), envelope.ordinal), occurred_us)


def _data(row: dict[str, Any]) -> dict[str, Any]:
    """A CloudEvent's data: an object, or the JSON text of one."""
    data = fields.parsed_json(row.get("data"), "data")
    if data is not row.get("data"):
        data = redaction.without_secrets(data)
    if type(data) is not dict:
        raise DecodeError("missing_id", "data is not an object")
    return data


def _sid(data: dict[str, Any]) -> Any:
    """`data.sid` if it is a call's: Event Streams use this name for the subject of an event."""
    sid = data.get("sid")
    return sid if type(sid) is str and sid.startswith("CA") else None
