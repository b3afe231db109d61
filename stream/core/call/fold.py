"""The fold: what one delivery changes in what is known of a call, and which effects follow.

It decides and performs nothing: no clock is read, nothing is written, time is in the delivery. It owns the
call that it is given and returns it changed; the caller keeps the stored bytes.

A delivery has one or more `Reading`s. Each is identified. A new one becomes an event and joins the state;
another sighting of a known event completes its entry and adds its source.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import astuple

from stream.core.alerting.observations import answered, call_ended, failed, is_failing
from stream.core.call.alerts import Occasion, review
from stream.core.call.deadlines import next_due
from stream.core.call.gaps import await_gaps, close_gap, note_late, watch_gaps
from stream.core.call.identity_pages import Pages
from stream.core.call.lifecycle import FinalStatus, Lifecycle, lifecycle_of, time_of_request
from stream.core.call.ownership import admit, claim_ownership
from stream.core.call.record import decisive_hash, note_change, revise
from stream.core.call.schedule import plan_ended, plan_lost
from stream.core.call.state import NUMBER_OF, TIMELINE_CAP, Call, new_call
from stream.core.call.timeline_entry import TimelineEntry, entry_of
from stream.core.call.timers import NOT_A_CHILD, newly_told, parents_told
from stream.core.conflicts import conflicts_of, is_late_answer, newly_found
from stream.core.delivery.audit import with_sent
from stream.core.effects import (
    ApplicationAnswered,
    CallEnded,
    CallErrorSeen,
    CallStarted,
    InsightsEventSeen,
    StateConflict,
)
from stream.core.events import Envelope, Event, Origin, Reading
from stream.core.failures import FAILURES_CAP, error_logged, failure_count, is_own, noted
from stream.core.identity import identify
from stream.core.policy import CallPolicy
from stream.core.sources import SOURCE_BIT
from stream.core.statuses import DIRECTIONS, TERMINAL
from stream.core.verdicts.evidence import gathered

_MATCH_OF_RULE: dict[str, str] = {"1": "sequence_number", "2": "event_id"}
"""Events of the other rules are recognised by their content."""


class Folded(msgspec.Struct):
    """The result of one delivery.

    - `call`: None only if the delivery belongs to no call.
    - `result`: `applied`, `late` (applied after its successor) or `duplicate`.
    - `match`: by which identity a duplicate was recognised: `event_id`, `sequence_number`, `content_hash` or
      `cross_source`.
    - `left_out`: some of it was not applied, because the call has more events than can be remembered.
    """

    call: Call | None
    result: str
    match: str | None
    effects: list[Any]
    left_out: bool = False


def fold(
    call: Call | None,
    readings: Sequence[Reading],
    envelope: Envelope,
    origin: Origin,
    policy: CallPolicy,
    pages: Pages,
) -> Folded:
    """Apply one delivery to its call; `call` is None if it is the first.

    `readings`: what the delivery says, its own event first, all of one call key. `pages`: the identities of
    calls with very many events.
    Raises DecodeError, without any change, if another account owns the call.
    """
    admit(call, readings, envelope)
    effects: list[Any] = []
    new: list[Reading] = []
    again: list[Reading] = []
    first = readings[0].event
    started = call is None or not call.sources
    if call is None or started:
        named, call = call, new_call(first.key, None)
        if named is not None:
            call.children, call.winners = named.children, named.winners
        call.arrival.first_us = envelope.received_us
        call.due_s = next_due(call, policy)
    owned = not call.proven and claim_ownership(call, readings[0], envelope)
    arrival, evidence = call.arrival, call.evidence
    arrival.deliveries += 1
    if envelope.received_us > arrival.last_us:
        arrival.last_us = envelope.received_us
    bit = SOURCE_BIT[envelope.source]
    result, match, left_out = "duplicate", None, False
    changed, decisive, ended = owned or not call.sources & bit, False, call.ended
    parents = parents_told(call, readings) if "parent_call_id" in call.facts else NOT_A_CHILD
    call.sources |= bit

    for reading in readings:
        event = reading.event
        if not event.id:
            identify(reading)
        fingerprint = reading.fingerprint
        event.received_at = envelope.received_at
        event.origin = origin
        if event.status in TERMINAL:
            ended = True
        known = call.knows(fingerprint, pages)
        entry = entry_of(event, fingerprint, reading.occurred_us, bit, reading.hangup)
        if known is False:
            if call.paged and not call.has_room(entry):
                changed |= not call.truncated
                call.truncated = left_out = True
                continue
            late = entry.is_behind_any(call.lifecycle)
            if result != "applied":
                result = "late" if late else "applied"
            event.late = late
            event.account_alias = policy.alias(event.account)
            if arrival.gaps or arrival.gap_notes is not None:
                close_gap(call, entry, effects)
            call.add(entry, pages)
            effects.append(event)
            if event.family != "progress" or reading.alarming:
                new.append(reading)
            changed = True
            if entry.status is not None:
                decisive = True
        else:
            if isinstance(known, TimelineEntry):
                if match is None and not known.sources & bit:
                    match = "cross_source"
                if arrival.gap_notes is not None:
                    note_late(call, known, bit)
                before, standing = astuple(known), known.standing()
                known.merge(entry)
                changed |= astuple(known) != before
                decisive |= known.standing() != standing
            if match is None:
                match = _MATCH_OF_RULE.get(reading.identity_rule, "content_hash")
            if reading.remark is not None:
                again.append(reading)
        changed |= _learn(call, reading, effects)
    # Before the record that this delivery may decide, which says how it arrived.
    arrival.duplicates += result == "duplicate"
    arrival.late += result == "late"
    if started:
        effects.append(CallStarted(first.provider, call.account, call.direction))
    if changed and parents is not None and "parent_call_id" in call.facts:
        effects += newly_told(call, parents, first)
    if changed or again:
        watch_gaps(call, envelope, policy)
        if (changed and call.disputed) or call.evidence is not evidence:
            decisive = True
        if changed and call.ended:
            note_change(call, policy)
        if new or again or (ended and decisive) or call.alerts is not None:
            _follow(call, new, again, ended and decisive, first, envelope, effects, policy)
        if call.ended:
            call.due_s = next_due(call, policy)
    return Folded(call, result, match if result == "duplicate" else None, effects, left_out)


def _learn(call: Call, reading: Reading, effects: list[Any]) -> bool:
    """Take in the facts of a delivery. True if any is new."""
    facts, known, event = reading.facts, call.facts, reading.event
    as_of_us = reading.as_of_us or 0
    changed = False
    if facts and (as_of_us or not facts.items() <= known.items()):
        changed = _learn_facts(call, event, facts, as_of_us, effects)
    account = event.account
    if account is not None and account != call.account and not call.proven:
        call.claim("account", account, 0)
        call.account = known["account"]
        changed = True
    code = event.error_code
    if code is not None and code not in call.error_codes and reading.is_fault:
        changed = True
        insort(call.error_codes, code)
        del call.error_codes[TIMELINE_CAP:]
        effects.append(CallErrorSeen(event.provider, code))
    if reading.evidence or code is not None:
        evidence = gathered(call.evidence, reading, SOURCE_BIT[event.source])
        changed |= evidence is not call.evidence
        call.evidence = evidence
    if reading.sent is not None:
        sent, call.sent = call.sent, with_sent(call.sent, reading.sent)
        changed |= sent is not call.sent
    if reading.recording is not None:
        changed |= call.record_recording(reading.recording)
    if reading.child_call_id is not None:
        changed |= call.adopt(reading.child_call_id)
    return changed


def _learn_facts(call: Call, event: Event, facts: dict[str, str], as_of_us: int, effects: list[Any]) -> bool:
    """Take in what a delivery says of the call as a whole. True if any of it changes what is known."""
    known, disputed = call.facts, call.disputed
    changed = False
    if not as_of_us and known.keys().isdisjoint(facts):  # as at the first delivery
        known.update(facts)
        changed = True
    else:
        for name, value in facts.items():
            before, conflicts = known.get(name), len(disputed)
            if before == value and not as_of_us:
                continue
            if name in NUMBER_OF:
                changed |= call.claim_hash(name, value, facts[NUMBER_OF[name]], as_of_us)
                continue
            changed |= call.claim(name, value, as_of_us)
            if len(disputed) > conflicts:
                effects.append(StateConflict(event.provider, name))
    call.direction = DIRECTIONS.get(known.get("direction_detail"))
    return changed


def _follow(
    call: Call,
    new: list[Reading],
    again: list[Reading],
    decided: bool,
    first: Event,
    envelope: Envelope,
    effects: list[Any],
    policy: CallPolicy,
) -> None:
    """The effects of what is known now, after all readings: counts, alerts, the end of the call.

    Alerts describe the call after the whole delivery, whichever of its readings comes first.
    `again`: another telling of a known entry of an error log may be the first that has what an alert or a
    read needs. `decided`: the call has ended, and how it ended or a conflict may have changed.
    """
    for reading in new:
        _count(call, reading, envelope.received_us, effects, policy)
    alarming: Sequence[Reading] = ()
    lost: Sequence[Reading] = ()
    if new or again:
        alarming = [one for one in new if _is_alert(call, one, policy, is_new_event=True)]
        alarming += [one for one in again if _is_alert(call, one, policy, is_new_event=False)]
        lost = [reading for reading in (*new, *again) if _is_new_loss(call, reading, policy)]
    for one in alarming:
        if is_failing(one.answer):
            at_us = time_of_request(call, one, envelope.received_us)
            effects.append(failed(one, one.answer, at_us, envelope.received_us))
    if not decided and not alarming and not lost and call.alerts is None:
        return
    lifecycle = lifecycle_of(call)
    if lost:
        plan_lost(call, envelope.received_us, policy, effects)
    if lifecycle.end is not None:
        _conclude(call, lifecycle, lifecycle.end, first, envelope, effects, policy)
    errors = [one.event for one in alarming if one.alarming]
    review(call, lifecycle, Occasion(envelope.received_us, first, errors), effects, policy)


def _is_alert(call: Call, reading: Reading, policy: CallPolicy, *, is_new_event: bool) -> bool:
    """Whether a reading is an error or a failure that no other telling of it has counted."""
    if not (reading.alarming or is_failing(reading.answer)) or is_own(reading, policy):
        return False
    if reading.remark is None and reading.answer is None:
        return True
    known = call.arrival.failures
    call.arrival.failures = reported = noted(known, reading)
    return is_new_event if reported is known else failure_count(reported) > failure_count(known)


def _is_new_loss(call: Call, reading: Reading, policy: CallPolicy) -> bool:
    """Whether a reading is the first to tell of this lost callback."""
    entry, known = reading.event.id, call.arrival.lost
    told = reading.remark == "callback" or (reading.remark is not None and is_own(reading, policy))
    if entry in known or not told:
        return False
    call.arrival.lost = (*known, entry)[-FAILURES_CAP:]
    return True


def _count(call: Call, reading: Reading, heard_us: int, effects: list[Any], policy: CallPolicy) -> None:
    """Levels, edges and answers of a new event that is not call progress."""
    event, answer = reading.event, reading.answer
    if event.family == "insights":
        if event.level is not None:
            call.levels[event.level] = call.levels.get(event.level, 0) + 1
        effects.append(InsightsEventSeen(event.edge, event.level))
    if event.edge is not None and event.edge not in call.edges:
        insort(call.edges, event.edge)
        del call.edges[TIMELINE_CAP:]
    if reading.remark is not None:
        effects.append(error_logged(reading, policy))
    elif answer is not None and not is_own(reading, policy):
        effects.append(
            ApplicationAnswered(event.provider, answer.endpoint, answer.code_class, answer.duration_s)
        )
        at_us = time_of_request(call, reading, heard_us)
        effects.append(answered(reading, answer, at_us, heard_us, policy.alert_rules))


def _conclude(
    call: Call,
    lifecycle: Lifecycle,
    end: FinalStatus,
    event: Event,
    envelope: Envelope,
    effects: list[Any],
    policy: CallPolicy,
) -> None:
    """The call has ended: report that once, and write its record again when its outcome or a conflict
    changes. What else changes is written when the call has been quiet for a while.
    """
    arrival = call.arrival
    corrected = call.ended and is_late_answer(call, lifecycle, effects)
    if not call.ended:
        call.ended, call.overdue = True, False
        arrival.ended_us = envelope.received_us
        if arrival.gap_notes is not None:
            await_gaps(call, envelope.received_us, policy)  # it shows what its configuration sends
        if call.fetches or policy.polled:
            plan_ended(call, lifecycle, envelope.received_us, policy, effects)
        ended = CallEnded(
            event.provider,
            call.account,
            call.direction,
            end.outcome,
            end.sip_response_code,
            lifecycle.setup_s(),
            lifecycle.answer_s(),
            lifecycle.talk_s(),
        )
        at_us, code = lifecycle.ended[0] or arrival.ended_us, next(iter(call.error_codes), None)
        effects += (ended, call_ended(call.key, ended, code, at_us, arrival.ended_us))
    effects += newly_found(call, conflicts_of(call, lifecycle), corrected=corrected)
    told = decisive_hash(call, lifecycle)
    if told != arrival.told:
        arrival.told = told
        record = revise(call, lifecycle, envelope.received_at, policy, settled=False)
        if record is not None:
            effects.append(record)
