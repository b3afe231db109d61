"""A row of Twilio's Calls resource: the current state of a call, not an event.

A row with a known status updates the facts, which are as new as its `date_updated` (the resource is
eventually consistent, and the price comes later). `duration` is a text of seconds, null if nobody talked.
"""

from __future__ import annotations

from typing import Any

from stream.core.events import DecodeError, Envelope, Event, Reading
from stream.core.sources import TWILIO_CALL
from stream.core.statuses import OUTCOMES, TERMINAL, status_of
from stream.sources import fields, redaction

_FACTS = ("from", "to", "answered_by", "price", "price_unit")


def decode(envelope: Envelope) -> list[Reading]:
    fields.check_depth(envelope.body)
    row = redaction.without_secrets(envelope.body)
    call_id = fields.required_identifier(row.pop("sid", None), "sid")
    account = fields.lenient_identifier(row.get("account_sid"))
    parent_call_id = fields.lenient_identifier(row.get("parent_call_sid"))

    word = row.get("status")
    if word is not None and type(word) is not str:
        raise DecodeError("invalid_field", "status is not a text")
    status = status_of(word)
    if status == word:
        row.pop("status", None)
    duration_s = fields.whole_number(row.get("duration"))
    if duration_s is not None:
        del row["duration"]

    facts = {name: found for name in _FACTS if (found := fields.text(row.get(name)))}
    if direction := fields.text(row.get("direction")):
        facts["direction_detail"] = direction
    if parent_call_id is not None:
        facts["parent_call_id"] = parent_call_id
        del row["parent_call_sid"]
    if account is not None:
        del row["account_sid"]

    occurred_us, occurred_at, quality = fields.rfc2822_stamp(_stamp_of(status, row))
    event = Event(
        key=f"twilio:{call_id}",
        provider="twilio",
        account=account or envelope.account,
        call_id=call_id,
        parent_call_id=parent_call_id,
        source=TWILIO_CALL,
        family="resource",
        name="call",
        status=status,
        outcome=OUTCOMES.get(status or ""),
        occurred_at=occurred_at,
        occurred_at_quality=quality,
        duration_s=duration_s,
        attributes=row,
    )
    as_of_us = fields.rfc2822_stamp(row.get("date_updated"))[0]
    identity = (call_id, word if status is None else status)
    return [Reading(event, "3", identity, occurred_us, facts, as_of_us)]


def _stamp_of(status: str | None, row: dict[str, Any]) -> Any:
    """When the row's status began. `ringing` has no time stamp; a call that failed early has no end time."""
    if status in TERMINAL:
        return row.get("end_time")
    if status == "in-progress":
        return row.get("start_time")
    return row.get("date_created") if status == "queued" else None
