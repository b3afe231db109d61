"""The result of answering machine detection (AMD): who or what answered, and after how long.

It comes once a call, at any time, and has neither id nor time. (Twilio: "AsyncAmdStatusCallback".)
"""

from __future__ import annotations

from stream.core.events import Envelope, Reading
from stream.sources import fields
from stream.sources.twilio.forms.form import event_of_form, form_of


def decode(envelope: Envelope, provider: str = "twilio") -> list[Reading]:
    body = form_of(envelope)
    event = event_of_form(envelope, body, provider, "amd", "amd")
    answered_by = fields.text(body.get("AnsweredBy"))
    took_ms = fields.whole_number(body.get("MachineDetectionDuration"))
    event.duration_s = None if took_ms is None else took_ms / 1000
    return [Reading(event, "3", (), facts={"answered_by": answered_by} if answered_by else None)]
