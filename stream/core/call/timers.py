"""What happens to a call as time passes (a tick), when a poller has read it (a fetch result), and when
another call names it as its parent.

No clock is read: a call says when it is due (`due_s`). A second tick at the same time changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from stream.core.alerting.observations import audited
from stream.core.call.alerts import Occasion, review
from stream.core.call.deadlines import next_due
from stream.core.call.gaps import expire_gaps, reconcile, review_gaps
from stream.core.call.lifecycle import Lifecycle, lifecycle_of, lost_dial_of, verdict_of
from stream.core.call.record import decisive_hash, note_change, revise
from stream.core.call.schedule import (
    apply_result,
    finish_known,
    missed_first_read,
    plan_lost,
    plan_overdue,
    request_due,
)
from stream.core.call.state import Call, placeholder, was_only_named
from stream.core.call.timeline_entry import PROGRESS
from stream.core.effects import CallEvicted, ChildFound, SiblingAnswered, VerdictSettled
from stream.core.events import DecodeError, Event, Reading
from stream.core.fetches import FetchResult
from stream.core.policy import CallPolicy
from stream.core.timestamps import SECOND_US, instant, utc
from stream.core.verdicts.siblings import AnsweredCall, with_answers

ANSWERED = frozenset({"in-progress", "completed"})
"""Statuses of a call that was answered, where they are not derived from a hangup's cause."""


class Ticked(msgspec.Struct):
    """The result of a tick. `call` is None if it leaves the table."""

    call: Call | None
    effects: list[Any]


def tick(call: Call, now_us: int, policy: CallPolicy, subscribed: Iterable[int] = ()) -> Ticked:
    """Apply the deadlines of a call that have passed.

    `subscribed`: the believed subscriptions of its configuration (see `gaps.configuration_of`).
    """
    effects: list[Any] = []
    arrival = call.arrival
    age_us = now_us - arrival.first_us
    if was_only_named(call):
        return Ticked(call if age_us < int(policy.max_age_s * SECOND_US) else None, [])
    settles = call.ended and now_us - arrival.ended_us >= int(policy.settle_s * SECOND_US)
    if 0 < arrival.gap_due_us <= now_us or (settles and arrival.gaps):
        if review_gaps(call, now_us, subscribed, effects):
            plan_lost(call, now_us, policy, effects)
        if call.ended and effects:
            note_change(call, policy)
    if settles:
        # First: rows that came with a window need not be requested, so nothing waits for them.
        finish_known(call)
        if not missed_first_read(call, now_us):
            effects += _report(call, utc(now_us), policy, settled=True)
            return _evict(call, "terminal_ttl", now_us, effects, policy)
        # Its settle window starts again, otherwise the call would be gone when its reads are answered.
        arrival.ended_us = now_us
    if not call.ended and age_us >= int(_max_age_s(call, policy) * SECOND_US):
        _count_verdict(call, lifecycle_of(call), effects)
        return _evict(call, "max_age", now_us, effects, policy)
    if not call.ended and not call.overdue and age_us >= int(policy.overdue_s * SECOND_US):
        call.overdue = True
        plan_overdue(call, now_us, policy, effects)
    elif call.fetches:
        request_due(call, now_us, policy, effects)
        if call.ended and call.all_reads_done:
            effects += _report(call, utc(now_us), policy, settled=False)
    if 0 < arrival.revise_us <= now_us:
        effects += _revision(call, lifecycle_of(call), utc(now_us), policy, settled=False)
    if call.alerts is not None or call.overdue or arrival.gaps:
        review(call, lifecycle_of(call), Occasion(now_us), effects, policy)
    call.due_s = next_due(call, policy)
    return Ticked(call, effects)


def _max_age_s(call: Call, policy: CallPolicy) -> float:
    """A call is never overdue that nothing says began: what is told of it may have come after its end, when
    it had left the table, as the callback of a recording.
    """
    begun = call.lifecycle or call.fetches
    return policy.max_age_s if begun else min(policy.overdue_s, policy.max_age_s)


def answered(call: Call, result: FetchResult, now_us: int, updated_at: str, policy: CallPolicy) -> list[Any]:
    """Apply a poller's result. The rows that it read were applied before it."""
    effects: list[Any] = []
    if apply_result(call, result, now_us, policy, effects):
        if call.ended and call.all_reads_done:
            effects += _report(call, updated_at, policy, settled=False)
        call.due_s = next_due(call, policy)
    return effects


def answer_of(call: Call) -> AnsweredCall | None:
    """When a call was answered, as its parent is to know it; None if it was not.

    The more is known of the call, the lower is its precedence: in any order of arrival, the last one told is
    the best one.
    """
    answers: list[int] = []
    ends: list[int] = []
    talk_s: list[float | int] = []
    answered = False
    for entry in call.lifecycle:
        if entry.status not in ANSWERED or entry.hangup is not None:
            continue
        answered = True
        if entry.at_us is not None:
            if entry.status == "completed":
                ends.append(entry.at_us)
            elif entry.family_code == PROGRESS:
                answers.append(entry.at_us)
        if entry.duration_s is not None:
            talk_s.append(entry.duration_s)
    if not answered:
        return None
    call_id = call.key.partition(":")[2]
    if answers:
        return AnsweredCall(call_id, min(answers))
    if ends and talk_s:
        return AnsweredCall(call_id, max(0, min(ends) - int(max(talk_s) * SECOND_US)), derived=True)
    return AnsweredCall(call_id)


ParentsTold = tuple[Sequence[str], AnsweredCall | None]
"""The parents that a call is said to have, and what they are to know of it."""

NOT_A_CHILD: ParentsTold = (), None


def parents_told(call: Call, readings: Sequence[Reading]) -> ParentsTold | None:
    """What the parents of a child know of it before a delivery; None if the delivery cannot change that."""
    known = call.facts["parent_call_id"]
    for reading in readings:
        if reading.event.status in ANSWERED or reading.hangup is not None:
            return _to_be_told(call)
        if reading.facts and reading.facts.get("parent_call_id", known) != known:
            return _to_be_told(call)
    return None


def _to_be_told(call: Call) -> ParentsTold:
    parents = call.disputed.get("parent_call_id") or [call.facts["parent_call_id"]]
    return [*parents], answer_of(call)


def newly_told(call: Call, before: ParentsTold, event: Event) -> list[ChildFound]:
    """What the parents of a call are to know of it that they were not told `before`."""
    parents, answer = _to_be_told(call)
    child = call.key.partition(":")[2]
    found = ChildFound("", event.account, child, event.received_at)
    if answer is not None:
        found.answered, found.answered_us, found.derived = True, answer.at_us, answer.derived
    return [
        msgspec.structs.replace(found, parent_key=f"{event.provider}:{parent}")
        for parent in parents
        if answer != before[1] or parent not in before[0]
    ]


def child_found(
    call: Call | None, found: ChildFound, received_us: int, policy: CallPolicy
) -> tuple[Call | None, list[SiblingAnswered]]:
    """(the parent after a child has named it, or None if nothing changes; what its children are told).

    Each child is told which others were answered when it names its parent, all of them when more is known.

    A parent that nobody knows yet gets a placeholder: a child's callbacks often come first. If none of its
    own ever comes, the placeholder leaves at the maximum age of a call.
    Raises DecodeError if another account owns the call.
    """
    if call is None:
        call = placeholder(found.parent_key, received_us)
    elif call.forgotten:
        return None, []
    elif call.proven and found.account not in (None, call.account):
        raise DecodeError("key_mismatch", "the parent that a call names is another account's")
    child, winners = found.child_call_id, call.winners
    is_new = call.adopt(child)
    if found.answered:
        answer = AnsweredCall(child, found.answered_us, found.derived)
        call.winners = with_answers(winners, (answer,))
    changed = call.winners is not winners
    told = []
    for one in sorted({child, *call.children}) if changed else (child,):
        if any(winner.call_id != one for winner in call.winners):
            key = f"{call.provider}:{one}"
            told.append(SiblingAnswered(key, found.account, found.received_at, call.winners))
    if not is_new and not changed:
        return None, told
    if is_new and call.ended and not was_only_named(call):
        note_change(call, policy)
    call.due_s = next_due(call, policy)
    return call, told


def sibling_answered(call: Call, told: SiblingAnswered, policy: CallPolicy) -> list[Any] | None:
    """The effects when other children of its parent were answered: if it lost a dial, nobody is at fault.
    None if nothing changes. Raises DecodeError if another account owns the call.
    """
    if call.proven and told.account not in (None, call.account):
        raise DecodeError("key_mismatch", "the sibling of a call is another account's")
    siblings = with_answers(call.siblings, told.answered)
    if call.forgotten or was_only_named(call) or siblings is call.siblings:
        return None
    if not call.ended:
        call.siblings = siblings
        return []
    lifecycle = lifecycle_of(call)
    before, call.siblings = lost_dial_of(call, lifecycle), siblings
    if lost_dial_of(call, lifecycle) == before:
        return []
    call.arrival.told = decisive_hash(call, lifecycle)
    effects = _revision(call, lifecycle, told.received_at, policy, settled=False)
    call.due_s = next_due(call, policy)
    return effects


def _report(call: Call, updated_at: str, policy: CallPolicy, *, settled: bool) -> list[Any]:
    """Nothing else will be read: compare the sources, and write the record if it says anything new."""
    effects: list[Any] = []
    lifecycle = lifecycle_of(call)
    reconcile(call, lifecycle, policy, effects)
    effects += audited(call.key, effects, instant(updated_at) or 0)
    if settled:
        _count_verdict(call, lifecycle, effects)
    return effects + _revision(call, lifecycle, updated_at, policy, settled=settled)


def _count_verdict(call: Call, lifecycle: Lifecycle, effects: list[Any]) -> None:
    verdict = verdict_of(call, lifecycle)
    if verdict is not None:
        effects.append(VerdictSettled(call.provider, call.direction, verdict.fault))


def _revision(
    call: Call, lifecycle: Lifecycle, updated_at: str, policy: CallPolicy, *, settled: bool
) -> list[Any]:
    record = revise(call, lifecycle, updated_at, policy, settled=settled)
    return [] if record is None else [record]


def _evict(call: Call, reason: str, now_us: int, effects: list[Any], policy: CallPolicy) -> Ticked:
    expire_gaps(call, effects)
    if call.alerts is not None:
        review(call, lifecycle_of(call), Occasion(now_us, over="settled"), effects, policy)
    effects.append(CallEvicted(reason))
    return Ticked(None, effects)
