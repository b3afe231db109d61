"""What a call waits for: missing numbers, its end, late evidence. Time comes as ticks, and this is what one
does.

The rule of this file: it reads no clock. What is due is said by the call (`due_s`), and looking twice at the
same time changes nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from stream.core.call.lifecycle import survey
from stream.core.call.reconciliation import expected_of, reconcile
from stream.core.call.record import revise
from stream.core.call.schedule import ask, hear, next_fetch_s, plan_overdue, take_known, was_left_alone
from stream.core.call.state import NUMBERS_KEPT, Call, Entry
from stream.core.effects import CallEvicted, SequenceGapClosed, SequenceGapOpened
from stream.core.fetches import FetchResult
from stream.core.policy import Policy
from stream.core.sources import POLLED_BITS, PROVIDERS
from stream.core.timestamps import utc


def due_second(from_us: int, after_s: float) -> int:
    """The second from which a tick must look, `after_s` after an instant: never too early."""
    return int(-((-from_us - int(after_s * 1_000_000)) // 1_000_000))


def watch_gaps(call: Call, received_us: int, policy: Policy) -> None:
    """Set the time at which a missing number becomes a gap."""
    numbers = call.unplaced_numbers() if call.others else 0
    for entry in call.lifecycle:
        if entry.number is not None and entry.family == "progress" and entry.number < NUMBERS_KEPT:
            numbers |= 1 << entry.number
    arrival = call.arrival
    if not numbers & (numbers + 1) or arrival.gap_due_us:
        return
    if any(number not in arrival.gaps for number in survey(call).missing_numbers()):
        arrival.gap_due_us = received_us + int(policy.gap_grace_s * 1_000_000)
        call.due_s = next_due(call, policy)


def close_gap(call: Call, entry: Entry, effects: list[Any]) -> None:
    gaps = call.arrival.gaps
    if entry.family == "progress" and entry.number in gaps:
        gaps.remove(entry.number)
        call.gaps_open = len(gaps)
        by = "late_arrival" if entry.sources & ~POLLED_BITS else "poll_heal"
        effects.append(SequenceGapClosed(PROVIDERS[call.key.partition(":")[0]].numbered, by))


def next_due(call: Call, policy: Policy) -> int:
    arrival = call.arrival
    if call.ended:
        due = due_second(arrival.ended_us, policy.settle_s)
    else:
        due = due_second(arrival.first_us, policy.max_age_s)
        if not call.overdue:
            due = min(due, due_second(arrival.first_us, policy.overdue_s))
    if arrival.gap_due_us:
        due = min(due, due_second(arrival.gap_due_us, 0))
    if call.fetches and (fetch_s := next_fetch_s(call)):
        due = min(due, fetch_s)
    return due


class Ticked(msgspec.Struct):
    """What a tick came to: `call` is None when it leaves the table."""

    call: Call | None
    effects: list[Any]


def tick(call: Call, now_us: int, policy: Policy) -> Ticked:
    """Look at a call that is due. Idempotent: a second look at the same time finds nothing to do."""
    effects: list[Any] = []
    arrival = call.arrival
    source = PROVIDERS[call.key.partition(":")[0]].numbered
    if arrival.gap_due_us and arrival.gap_due_us <= now_us:
        arrival.gap_due_us = 0
        opened = [number for number in survey(call).missing_numbers() if number not in arrival.gaps]
        if opened:
            arrival.gaps = sorted(arrival.gaps + opened)
            call.gaps_open = len(arrival.gaps)
            effects.append(SequenceGapOpened(source, opened))
    settled = call.ended and arrival.ended_us + int(policy.settle_s * 1_000_000) <= now_us
    seen = survey(call) if settled else None
    if seen is not None:
        # First of all: what is known need not be asked for, so nobody is to be waited for.
        take_known(call, seen)
        if was_left_alone(call, now_us):
            # Its window begins again, or what is asked for now would be answered to nobody.
            arrival.ended_us, seen = now_us, None
    if seen is not None:
        reconcile(call, seen, policy, effects)
        record = revise(call, seen, utc(now_us), expected_of(call, policy), settled=True)
        if record is not None:
            effects.append(record)
        return _evict(call, "terminal_ttl", source, effects)
    if not call.ended and arrival.first_us + int(policy.max_age_s * 1_000_000) <= now_us:
        return _evict(call, "max_age", source, effects)
    overdue = not call.ended and arrival.first_us + int(policy.overdue_s * 1_000_000) <= now_us
    if overdue and not call.overdue:
        call.overdue = True
        plan_overdue(call, now_us, policy, effects)
    elif call.fetches:
        ask(call, now_us, policy, effects)
        effects += _said_whole(call, utc(now_us), policy)
    call.due_s = next_due(call, policy)
    return Ticked(call, effects)


def answered(call: Call, result: FetchResult, now_us: int, updated_at: str, policy: Policy) -> list[Any]:
    """A poller's result is behind the rows that it read: take the next step, and say so when all is read."""
    effects: list[Any] = []
    if not hear(call, result, now_us, policy, effects):
        return effects
    call.due_s = next_due(call, policy)
    return effects + _said_whole(call, updated_at, policy)


def _said_whole(call: Call, updated_at: str, policy: Policy) -> list[Any]:
    """What follows when the last thing that is read of a call was read."""
    effects: list[Any] = []
    if call.ended and call.whole:
        seen = survey(call)
        reconcile(call, seen, policy, effects)
        record = revise(call, seen, updated_at, expected_of(call, policy), settled=False)
        if record is not None:
            effects.append(record)
    return effects


def _evict(call: Call, reason: str, source: str, effects: list[Any]) -> Ticked:
    effects.extend(SequenceGapClosed(source, "expired") for _ in call.arrival.gaps)
    effects.append(CallEvicted(reason))
    return Ticked(None, effects)
