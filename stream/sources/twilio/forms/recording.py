"""A recording's callback: one for each of its statuses, often minutes after the call's end.

It is identified by (RecordingSid, RecordingStatus) and has no time of its own: a recording in progress began
at its start time, a completed one ended its duration later.
(Twilio: "RecordingStatusCallback"; Telnyx: "TeXML recording callbacks".)
"""

from __future__ import annotations

from typing import Any

from stream.core import timestamps
from stream.core.events import Envelope, Reading, Recording
from stream.sources import fields
from stream.sources.twilio.forms.form import event_of_form, form_of


def decode(envelope: Envelope, provider: str = "twilio") -> list[Reading]:
    body = form_of(envelope)
    status = fields.text(body.get("RecordingStatus"))
    recording_id = fields.identifier(body.get("RecordingSid"), "RecordingSid")
    event = event_of_form(envelope, body, provider, "recording", status)
    event.error_code = fields.error_code(body.get("ErrorCode"))
    event.duration_s = fields.whole_number(body.get("RecordingDuration"))
    occurred_us, event.occurred_at, event.occurred_at_quality = _stamp(body, status, event.duration_s)
    if recording_id is None or status is None:
        return [fields.by_content(envelope, event, occurred_us)]
    recording = Recording(recording_id, status, event.duration_s)
    reading = Reading(event, "3", (recording_id, status), occurred_us)
    reading.recording, reading.alarming = recording, status == "failed"
    return [reading]


def _stamp(body: dict[str, Any], status: str | None, duration_s: float | None) -> fields.Stamp:
    """When the status began, as far as the recording's start and duration say."""
    started = fields.either_stamp(body.get("RecordingStartTime"))
    if status == "in-progress":
        return started
    if status != "completed" or started[0] is None or duration_s is None:
        return fields.NO_STAMP
    ended_us = started[0] + int(duration_s) * 1_000_000
    return ended_us, timestamps.utc(ended_us), "derived"
