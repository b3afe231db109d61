"""Callbacks of media streams, SIPREC and transcriptions, and requests for instructions (an answer URL, …).

What a stream or a transcription tells is identified by its id and its own counter or time, the rest by its
content. (Twilio: "Stream status callbacks", "Siprec", "Transcription".)
"""

from __future__ import annotations

from typing import Any

from stream.core.events import Envelope, Event, Reading
from stream.sources import fields
from stream.sources.twilio.forms.form import event_of_form, form_of
from stream.sources.twilio.parameters import child_of

_NAMED_BY = (
    ("StreamEvent", "media", "StreamSid"),
    ("SiprecEvent", "media", "SiprecSid"),
    ("TranscriptionEvent", "transcription", "TranscriptionSid"),
    ("TranscriptionStatus", "transcription", "TranscriptionSid"),
)
"""The parameters that name an event, each with its family and the parameter that has its id."""

_TRANSCRIPTS = ("Transcript", "TranscriptionText", "TranscriptionSid")
"""Parameters of a transcription that names no event."""

_ERROR_CODES = ("ErrorCode", "StreamError", "SiprecErrorCode", "SiprecError", "TranscriptionError")
_ALARMING = ("error", "failed")


def decode(envelope: Envelope, provider: str = "twilio") -> list[Reading]:
    body = form_of(envelope)
    named_by, family, id_of = next((row for row in _NAMED_BY if body.get(row[0])), ("", "other", ""))
    name = fields.text(body.get(named_by))
    if family == "other" and any(map(body.get, _TRANSCRIPTS)):
        family, name = "transcription", "transcript"
    child_call_id = child_of(body)
    event = event_of_form(envelope, body, provider, family, name)
    alarming = event.name.endswith(_ALARMING)
    if alarming:
        # An error may also be told in words, which stay in the attributes.
        codes = (code for name in _ERROR_CODES if (code := fields.error_code(body.get(name))))
        event.error_code = next((code for code in codes if code.isdigit()), None)
    reading = _identified(envelope, event, body, id_of)
    reading.child_call_id, reading.alarming = child_call_id, alarming
    return [reading]


def _identified(envelope: Envelope, event: Event, body: dict[str, Any], id_of: str) -> Reading:
    number = fields.whole_number(body.get("SequenceId"))
    occurred_us = fields.take_stamp(event, body, "Timestamp")
    its_id = fields.lenient_identifier(body.get(id_of))
    if its_id is None or (number is None and (occurred_us is None or event.family == "transcription")):
        return fields.by_content(envelope, event, occurred_us)
    parts = (its_id, event.name, occurred_us if number is None else number, event.error_code)
    return Reading(event, "3", parts, occurred_us)
