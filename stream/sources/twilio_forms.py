"""Twilio's callbacks that are not a call's progress: forms of PascalCase parameters, TeXML's too.

Each is identified by the natural key of a recording or an AMD result, else by its content. An event that
names a call belongs to it; other events of a conference have the conference as their key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stream.core.events import DecodeError, Envelope, Event, Reading, Recording
from stream.sources import fields, redaction
from stream.sources.twilio_parameters import KNOWN, FormKind, child_of

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
_ALARMING = ("error", "failed")


def recording_callback(envelope: Envelope, provider: str = "twilio") -> list[Reading]:
    """A status of a recording, identified by (RecordingSid, RecordingStatus): minutes after the call."""
    body = _form(envelope)
    status = fields.text(body.get("RecordingStatus"))
    recording_id = fields.identifier(body.get("RecordingSid"), "RecordingSid")
    duration_s = fields.whole_number(body.get("RecordingDuration"))
    event = _callback(envelope, body, provider, "recording", status)
    event.error_code = fields.error_code(body.get("ErrorCode"))
    if recording_id is None or status is None:
        return [fields.by_content(envelope, event)]
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
    return [fields.by_content(envelope, event, fields.take_stamp(event, body, "Timestamp"))]


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
    reading = fields.by_content(envelope, event, fields.take_stamp(event, body, "Timestamp"))
    reading.child_call_id = child_call_id
    if event.name.endswith(_ALARMING):
        reading.alarming = True
        # An error may also be told in words, which stay in the attributes.
        codes = (code for name in _ERROR_CODES if (code := fields.error_code(body.get(name))))
        event.error_code = next((code for code in codes if code.isdigit()), None)
    return [reading]


def _form(envelope: Envelope) -> dict[str, Any]:
    """The form's parameters without secrets. Unknown parameters keep their repeated values."""
    single, repeated = fields.flatten_form(envelope.body)
    unknown = {name: values for name, values in repeated.items() if name not in KNOWN}
    body: dict[str, Any] = redaction.without_secrets(single | unknown)
    return body


def _callback(
    envelope: Envelope, body: dict[str, Any], provider: str, family: str, name: str | None
) -> Event:
    key, call_id = key_of(body, provider)
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


def key_of(named: dict[str, Any], provider: str) -> tuple[str, str | None]:
    """(the key, the call's id) that PascalCase parameters name."""
    call_id = fields.identifier(named.get("CallSid"), "CallSid")
    if call_id is not None:
        return f"{provider}:{call_id}", call_id
    conference_id = fields.identifier(named.get("ConferenceSid"), "ConferenceSid")
    if conference_id is None:
        raise DecodeError("missing_id", "neither CallSid nor ConferenceSid")
    return f"{provider}:conference:{conference_id}", None


DECODERS: dict[FormKind, Callable[[Envelope, str], list[Reading]]] = {
    "recording": recording_callback,
    "amd": amd_callback,
    "conference": conference_callback,
    "other": other_callback,
}
"""The decoder of each form but progress."""
