"""Twilio's Voice Insights summary of a call: what its events come to. It changes after it was first read, and
each version is an event. A partial one is filled with guesses: only a complete one says how the call ended.

It has its own words for a status (`fail`, `noanswer`). What it does not know is `unknown…`, 0 or empty: all
of these are null here. `connect_duration` is talk time, `duration` counts from the call's begin.
(Twilio: "Voice Insights Call Summary Resource".)
"""

from __future__ import annotations

from typing import Any

from stream.core.events import Envelope, Event, Reading
from stream.core.identity import content_hash
from stream.core.statuses import OUTCOMES, TERMINAL, status_of
from stream.sources import fields, redaction
from stream.sources.twilio.insights_event import call_of_path, take_call_id


def decode(envelope: Envelope) -> list[Reading]:
    fields.check_depth(envelope.body)
    return [summary_of(envelope.body, envelope, call_of_path(envelope))]


def summary_of(body: dict[str, Any], envelope: Envelope, call_id: str | None) -> Reading:
    """The reading of a summary, from any source. `call_id`: used if the summary has none."""
    row = redaction.without_secrets(body)
    call_id = take_call_id(row) or fields.required_identifier(call_id, "call_sid")
    account = fields.lenient_identifier(row.pop("account_sid", None)) or envelope.account
    identity = (content_hash(row), envelope.ordinal)
    is_complete = row.get("processing_state") == "complete"
    properties = fields.object_in(row.get("properties")) if is_complete else {}
    status = status_of(_known(row.get("call_state"))) if is_complete else None
    occurred_us, occurred_at, quality = fields.iso8601_stamp(
        row.get("end_time") if status in TERMINAL else None
    )
    event = Event(
        key=f"twilio:{call_id}",
        provider="twilio",
        account=account,
        call_id=call_id,
        source=envelope.source,
        family="resource",
        name="call_summary",
        status=status,
        outcome=OUTCOMES.get(status or ""),
        occurred_at=occurred_at,
        occurred_at_quality=quality,
        sip_response_code=fields.sip_response_code(properties.get("last_sip_response_num")),
        duration_s=fields.whole_number(row.get("connect_duration")) if is_complete else None,
        attributes=row,
    )
    answered_by = _known(row.get("answered_by"))
    facts = {"answered_by": answered_by} if answered_by else None
    reading = Reading(event, "4", identity, occurred_us, facts)
    if is_complete:
        reading.evidence = _evidence(properties)
    return reading


def _evidence(properties: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """What a complete summary says of why the call ended: the cause of the telephone network (ITU-T Q.850),
    and who hung up.
    """
    cause, by = fields.whole_number(properties.get("q850_cause")), properties.get("disconnected_by")
    found = []
    if cause is not None and 0 < cause < _CAUSES and cause != _NORMAL_CLEARING:
        found.append(("q850_cause", str(cause)))
    if by in ("caller", "callee"):
        found.append(("disconnected_by", by))
    return tuple(found)


_NORMAL_CLEARING, _CAUSES = 16, 128
"""The cause of a normal end, and how many causes there are."""


def _known(word: Any) -> str | None:
    """A word, None for a filler."""
    found = fields.text(word)
    return None if found is None or found.startswith("unknown") else found
