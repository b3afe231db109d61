"""Telnyx' record of one webhook: whether it was delivered, after how many attempts."""

from __future__ import annotations

from stream.core.events import Envelope, Event, Reading
from stream.sources import fields, redaction


def decode(envelope: Envelope) -> list[Reading]:
    fields.check_depth(envelope.body)
    row = redaction.without_secrets(envelope.body)
    webhook = fields.object_in(row.pop("webhook", None))
    payload = fields.object_in(webhook.get("payload")) or webhook
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
    occurred_us = fields.take_stamp(event, row, "finished_at")
    if delivery_id is None:
        return [fields.by_content(envelope, event, occurred_us)]
    return [Reading(event, "2", (delivery_id,), occurred_us)]
