"""The fold: what a delivery changes in what is known of a call, and what follows from it.

The rule of this file: it decides and does nothing. It reads no clock and writes nowhere; time is in the
delivery. It owns the call that it is given and returns it changed: the caller keeps the
stored bytes.

A delivery says one or more things (`Reading`s). Each is identified, then either new (it becomes an event
and joins the state) or another sighting of a known event (it completes the entry and remembers who saw it).
"""

from __future__ import annotations

from bisect import insort
from typing import Any

import msgspec
from msgspec.structs import astuple

from stream.core.call.alerts import FAILING_CLASSES, call_failed, error_event, webhook_failing
from stream.core.call.identity_pages import Pages
from stream.core.call.lifecycle import survey
from stream.core.call.ownership import admit, own
from stream.core.call.reconciliation import expected_of
from stream.core.call.record import revise
from stream.core.call.schedule import plan_ended
from stream.core.call.state import TIMELINE_CAP, Call, Entry, entry_of, new_call
from stream.core.call.timers import close_gap, next_due, watch_gaps
from stream.core.effects import (
    ApplicationAnswered,
    CallEnded,
    CallErrorSeen,
    CallStarted,
    InsightsEventSeen,
    StateConflict,
)
from stream.core.events import Envelope, Event, Origin, Reading
from stream.core.identity import identify
from stream.core.policy import Policy
from stream.core.sources import SOURCE_BIT
from stream.core.statuses import TERMINAL

FACTS_IN_CONFLICT = frozenset(
    {"from", "to", "direction", "account", "parent_call_id", "answered_by", "session_id", "leg_id"}
)


class Folded(msgspec.Struct):
    """What one delivery came to.

    `result` is `applied`, `late` (applied behind its successor) or `duplicate`; `match` says by which
    identity a duplicate was known: `event_id`, `sequence_number`, `content_hash` or `cross_source`. `call`
    is None only for what belongs to no call. `left_out`: of what the delivery says something was not taken
    in, because the call has had more events than are remembered.
    """

    call: Call | None
    result: str
    match: str | None
    effects: list[Any]
    left_out: bool = False


MATCH_OF_RUNG: dict[str, str] = {
    "1": "sequence_number",
    "1b": "content_hash",
    "2": "event_id",
    "3": "content_hash",
    "4": "content_hash",
}


def fold(
    call: Call | None,
    readings: list[Reading],
    envelope: Envelope,
    origin: Origin,
    policy: Policy,
    pages: Pages,
) -> Folded:
    """Take in one delivery. `readings` are what it says (the first is its own event), all of one call key.

    `pages`: what is remembered of calls with very many events.
    Raises DecodeError, and has changed nothing, where the call is another account's.
    """
    admit(call, readings, envelope)
    effects: list[Any] = []
    new: list[Reading] = []
    first = readings[0].event
    started = call is None
    if call is None:
        call = new_call(first.key, None)
        call.arrival.first_us = envelope.received_us
        call.due_s = next_due(call, policy)
    owned = own(call, readings[0], envelope)
    arrival = call.arrival
    arrival.deliveries += 1
    if envelope.received_us > arrival.last_us:
        arrival.last_us = envelope.received_us
    bit = SOURCE_BIT[envelope.source]
    result, match, left_out = "duplicate", None, False
    changed, ended = owned or not call.sources & bit, call.ended
    call.sources |= bit

    for reading in readings:
        event = reading.event
        event.id, print_ = identify(event.key, event.family, reading.rung, reading.parts)
        event.received_at = envelope.received_at
        event.origin = origin
        if event.status in TERMINAL:
            ended = True
        known = call.knows(print_, pages)
        entry = entry_of(event, print_, reading.occurred_us, bit, reading.hangup)
        if known is False and not call.has_room(entry):
            changed |= not call.truncated
            call.truncated = left_out = True
            continue
        if known is False:
            late = _is_late(call, entry)
            if result != "applied":
                result = "late" if late else "applied"
            event.late = late
            if arrival.gaps:
                close_gap(call, entry, effects)
            call.add(entry, pages)
            effects.append(event)
            if event.family != "progress" or reading.alarming:
                new.append(reading)
            changed = True
        elif isinstance(known, Entry):
            if match is None:
                match = "cross_source" if not known.sources & bit else MATCH_OF_RUNG[reading.rung]
            changed |= _see_again(known, entry)
        elif match is None:
            match = MATCH_OF_RUNG[reading.rung]
        changed |= _learn(call, reading, effects)
    if changed:
        # Alerts tell of the call as the whole delivery leaves it, whichever of its readings comes first.
        for reading in new:
            _follow(call, reading, effects, policy)
    if started:
        effects.append(CallStarted(first.provider, call.account, call.direction))
    if changed:
        watch_gaps(call, envelope.received_us, policy)
        if ended:
            _conclude(call, first, envelope, effects, policy)
    if result == "duplicate":
        arrival.duplicates += 1
    elif result == "late":
        arrival.late += 1
    return Folded(call, result, match if result == "duplicate" else None, effects, left_out)


def _is_late(call: Call, entry: Entry) -> bool:
    """Did a successor of this progress event arrive before it?"""
    if entry.family != "progress":
        return False
    for known in call.lifecycle:
        if known.family != "progress":
            continue
        if entry.number is not None and known.number is not None:
            if known.number > entry.number:
                return True
        elif entry.at_us is not None and known.at_us is not None and known.at_us > entry.at_us:
            return True
    return False


def _see_again(known: Entry, entry: Entry) -> bool:
    """Another sighting of a known event: True if it told more than was known."""
    before = astuple(known)
    known.merge(entry)
    return astuple(known) != before


def _learn(call: Call, reading: Reading, effects: list[Any]) -> bool:
    """Take in the facts of a delivery: True if any was new."""
    facts = reading.facts
    known = call.facts
    as_of_us = reading.as_of_us or 0
    changed = False
    if facts and (as_of_us or not facts.items() <= known.items()):
        changed = _claim_all(call, reading, facts, as_of_us, effects)
    event = reading.event
    account = event.account
    if account is not None and account != call.account and not call.proven:
        call.claim("account", account, 0)
        call.account = known["account"]
        changed = True
    if event.error_code is not None and event.error_code not in call.error_codes:
        changed = True
        insort(call.error_codes, event.error_code)
        del call.error_codes[TIMELINE_CAP:]
        effects.append(CallErrorSeen(event.provider, event.error_code))
    if reading.recording is not None:
        changed |= call.record_recording(reading.recording)
    return changed


def _claim_all(
    call: Call, reading: Reading, facts: dict[str, str], as_of_us: int, effects: list[Any]
) -> bool:
    known = call.facts
    changed = False
    for name, value in facts.items():
        if known.get(name) != value:
            changed = True
        elif not as_of_us:
            continue
        disputed = call.claim(name, value, as_of_us)
        if disputed is not None:
            field = name if name in FACTS_IN_CONFLICT else "other"
            effects.append(StateConflict(reading.event.provider, field))
    call.direction = known.get("direction")
    return changed


def _follow(call: Call, reading: Reading, effects: list[Any], policy: Policy) -> None:
    """What follows from a new event beside the event itself."""
    event = reading.event
    if event.family == "insights":
        if event.level is not None:
            call.levels[event.level] = call.levels.get(event.level, 0) + 1
        effects.append(InsightsEventSeen(event.edge, event.level))
    if event.edge is not None and event.edge not in call.edges:
        insort(call.edges, event.edge)
        del call.edges[TIMELINE_CAP:]
    if reading.alarming:
        effects.append(error_event(call, event, policy.account_alias))
    answer = reading.answer
    if answer is not None:
        effects.append(
            ApplicationAnswered(event.provider, answer.endpoint, answer.code_class, answer.duration_s)
        )
        if answer.code_class in FAILING_CLASSES:
            effects.append(webhook_failing(call, event, answer, policy.account_alias))


def _conclude(call: Call, event: Event, envelope: Envelope, effects: list[Any], policy: Policy) -> None:
    """The call has ended: say so once, and say again what is known whenever it changes."""
    seen = survey(call)
    end = seen.end
    if end is None:
        return
    arrival = call.arrival
    if not call.ended:
        call.ended, call.overdue = True, False
        arrival.ended_us = envelope.received_us
        if call.fetches or policy.polled:
            plan_ended(call, seen, envelope.received_us, policy, effects)
        call.due_s = next_due(call, policy)
        effects.append(
            CallEnded(
                event.provider,
                call.account,
                call.direction,
                end.outcome,
                end.sip_response_code,
                seen.setup_s(),
                seen.answer_s(),
                seen.talk_s(),
            )
        )
    if len(seen.statuses) > 1 and not arrival.conflict:
        arrival.conflict = True
        effects.append(StateConflict(event.provider, "status"))
    if end.status == "failed" and not arrival.failed_alert:
        arrival.failed_alert = True
        effects.append(call_failed(call, seen, _deciding(event, effects), policy.account_alias))
    record = revise(call, seen, envelope.received_at, expected_of(call, policy), settled=False)
    if record is not None:
        effects.append(record)


def _deciding(event: Event, effects: list[Any]) -> Event:
    """What the alert rests on: of the delivery's new terminal events the one with the lowest (number, id)."""
    new = [effect for effect in effects if type(effect) is Event and effect.status in TERMINAL]
    return min(new, key=_number_and_id, default=event)


def _number_and_id(event: Event) -> tuple[int, str]:
    return (event.sequence_number if event.sequence_number is not None else 1 << 30, event.id)
