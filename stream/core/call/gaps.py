"""What is missing of a call: callbacks before one that came, and callbacks that the provider has records of.

A missing callback becomes a gap when its grace period ends. Twilio numbers its callbacks; Telnyx does not,
but no leg begins without `call.initiated`. It is not a gap where the provider did not send it: Twilio counts
events that are not subscribed to. The request log proves that, 15 minutes after the end; until then it is
taken from what other calls of the same configuration showed (see `subscriptions`).
Callbacks and resources are compared once, when all reads are done; later ones are late.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stream.core.call.deadlines import SECOND_US, next_due
from stream.core.call.lifecycle import Lifecycle, missing_numbers, numbers_of, unplaced_numbers
from stream.core.call.state import NUMBERS_KEPT, Call
from stream.core.call.timeline_entry import PROGRESS, TimelineEntry
from stream.core.delivery.audit import AuditedCallback, audit
from stream.core.delivery.gap_notes import GapNotes
from stream.core.delivery.subscriptions import (
    ALL_STEPS,
    STEP_OF,
    STEPS,
    Run,
    not_sent,
    runs_of,
    steps_shown,
)
from stream.core.effects import (
    CallbackAudited,
    CallbackMissing,
    CallEnded,
    CallReconciled,
    SequenceGapClosed,
    SequenceGapOpened,
    SubscriptionDisproved,
    SubscriptionShown,
)
from stream.core.events import Envelope
from stream.core.policy import CallPolicy
from stream.core.sources import (
    FAILURE_BITS,
    POLLED_BITS,
    PROVIDERS,
    SOURCE_BIT,
    SOURCE_BY_NAME,
    TELNYX_TEXML_CALLBACK,
    TELNYX_WEBHOOK,
)

_OF_TEXML = [TELNYX_TEXML_CALLBACK]
_TELNYX_BIT = SOURCE_BIT[TELNYX_WEBHOOK]
_INITIATED = NUMBERS_KEPT + STEP_OF["initiated"]


def gap_of(gap: int) -> tuple[int | None, str | None]:
    """(sequence number, event name) of a gap as the state and the effects write it: a number below 256, or
    256 and more for a step of a provider without numbers.
    """
    return (gap, None) if gap < NUMBERS_KEPT else (None, STEPS[gap - NUMBERS_KEPT])


def watch_gaps(call: Call, envelope: Envelope, policy: CallPolicy) -> None:
    """Start the grace period of what is missing now, or of gaps that were not sent: the request log's rows
    come in any order.
    """
    arrival = call.arrival
    if arrival.gap_due_us:
        return
    numbers = unplaced_numbers(call)[0] if call.others else 0
    for entry in call.lifecycle:
        number = entry.number
        if number is not None and entry.family_code == PROGRESS and number < NUMBERS_KEPT:
            numbers |= 1 << number
    if numbers:
        if not numbers & (numbers + 1):
            return
        missing = numbers_of(call).missing()
    else:
        missing = _missing_steps(call) if call.sources & _TELNYX_BIT else []
    notes = arrival.gap_notes
    known = [*arrival.gaps, *notes.unsent] if notes is not None else arrival.gaps
    if any(gap not in known for gap in missing) or (known and not missing):
        if notes is None:
            notes = arrival.gap_notes = GapNotes()
        if envelope.source == PROVIDERS[call.provider].pushed:
            notes.endpoint = envelope.endpoint or ""
        await_gaps(call, envelope.received_us, policy)
        call.due_s = next_due(call, policy)


def await_gaps(call: Call, now_us: int, policy: CallPolicy) -> None:
    """Review the call's gaps when the grace period from now on has ended."""
    call.arrival.gap_due_us = now_us + int(policy.gap_grace_s * SECOND_US)


def _missing_steps(call: Call) -> list[int]:
    """The step that a leg of Telnyx must have had, where no source has it and webhooks come."""
    progress = [entry for entry in call.lifecycle if entry.family_code == PROGRESS]
    if not any(entry.sources & _TELNYX_BIT for entry in progress):
        return []
    return [] if any(entry.name == "initiated" for entry in progress) else [_INITIATED]


def configuration_of(call: Call) -> str:
    """The callback configuration of a call with a missing callback, empty if none of its callbacks came."""
    notes = call.arrival.gap_notes
    if notes is None or not notes.endpoint:
        return ""
    return configuration(call, notes.endpoint)


def configuration(call: Call, endpoint: str) -> str:
    return f"{call.account or ''} {endpoint} {call.facts.get('direction_detail') or call.direction or ''}"


def review_gaps(call: Call, now_us: int, subscribed: Iterable[int], effects: list[Any]) -> bool:
    """The grace period has ended: report what is still missing, close gaps of what was not sent.

    `subscribed`: the believed subscriptions of the call's configuration. True if anything was reported.
    """
    arrival, source = call.arrival, PROVIDERS[call.provider].pushed
    notes = arrival.gap_notes = arrival.gap_notes or GapNotes()
    arrival.gap_due_us = 0
    numbers = numbers_of(call)
    missing = missing_numbers(numbers.seen) if numbers.seen else _missing_steps(call)
    runs, received = _runs(call, missing), received_steps(call)
    if numbers.whole:
        notes.unsent = []
        unsent = set(missing)
    else:
        unsent = {gap for steps in subscribed if not received & ~steps for gap in not_sent(runs, steps)}
        notes.unsent = sorted(unsent)
    if call.ended and notes.endpoint and (numbers.whole or not notes.shown):
        notes.shown = True
        shown = steps_shown(runs)
        if shown is not None:
            at_s = now_us // SECOND_US
            effects.append(SubscriptionShown(configuration_of(call), shown, received, numbers.whole, at_s))
    effects += [SequenceGapClosed(source, "not_sent", gap) for gap in arrival.gaps if gap in unsent]
    still = [gap for gap in arrival.gaps if gap not in unsent]
    opened = [gap for gap in missing if gap not in unsent and gap not in still]
    arrival.gaps = sorted(still + opened)
    call.gaps_open = len(arrival.gaps)
    if opened:
        effects.append(SequenceGapOpened(source, opened))
    return bool(opened)


def show_at_end(call: Call, envelope: Envelope, effects: list[Any]) -> None:
    """A call that has just ended and of which nothing is missing shows what its configuration sends. Needed
    only where something is known of subscriptions that send less.
    """
    if call.arrival.gap_notes is not None or envelope.source != PROVIDERS[call.provider].pushed:
        return
    if any(type(effect) is CallEnded for effect in effects):
        name, at_s = configuration(call, envelope.endpoint or ""), envelope.received_us // SECOND_US
        effects.append(SubscriptionShown(name, ALL_STEPS, received_steps(call), False, at_s))


def received_steps(call: Call) -> int:
    """Bit set of the STEPS whose callbacks came."""
    steps = 0
    for entry in call.lifecycle:
        if entry.family_code == PROGRESS and entry.sources & ~POLLED_BITS and entry.name in STEP_OF:
            steps |= 1 << STEP_OF[entry.name]
    return steps


def _runs(call: Call, missing: list[int]) -> list[Run]:
    if missing == [_INITIATED]:
        return [(missing, [STEP_OF["initiated"]])]
    placed = [
        (entry.number, STEP_OF[entry.name])
        for entry in call.lifecycle
        if entry.number is not None and entry.family_code == PROGRESS and entry.name in STEP_OF
    ]
    return runs_of(placed, missing)


def close_gap(call: Call, entry: TimelineEntry, effects: list[Any]) -> None:
    """A new entry may be the missing callback of a reported gap, or one that was taken for not sent."""
    arrival, notes = call.arrival, call.arrival.gap_notes
    if entry.family_code != PROGRESS:
        return
    gap = _gap_at(entry)
    if gap in arrival.gaps:
        arrival.gaps.remove(gap)
        call.gaps_open = len(arrival.gaps)
        by = "late_arrival" if entry.sources & ~POLLED_BITS else "poll_heal"
        effects.append(SequenceGapClosed(PROVIDERS[call.provider].pushed, by, gap))
        notes = arrival.gap_notes = notes or GapNotes()
        if by == "late_arrival":
            notes.late = sorted({*notes.late, gap})
        else:
            notes.healed = sorted({*notes.healed, gap})
    elif notes is not None and (gap in notes.unsent or (notes.shown and _is_below_another(call, gap))):
        notes.unsent = [one for one in notes.unsent if one != gap]
        if entry.name in STEP_OF:
            effects.append(SubscriptionDisproved(configuration_of(call), 1 << STEP_OF[entry.name]))


def note_late(call: Call, known: TimelineEntry, bit: int) -> None:
    """A source tells a known event again: it may be the callback whose gap a read has healed."""
    notes, gap = call.arrival.gap_notes, _gap_at(known)
    if notes is not None and gap in notes.healed and bit & ~POLLED_BITS and known.family_code == PROGRESS:
        notes.late = sorted({*notes.late, gap})


def _is_below_another(call: Call, number: int | None) -> bool:
    """Whether it was missing when the call showed what is sent: a request log may come in parts."""
    return number is not None and any(
        one.number is not None and one.number > number for one in call.lifecycle
    )


def _gap_at(entry: TimelineEntry) -> int | None:
    """The gap that a progress event fills."""
    return entry.number if entry.number is not None else _INITIATED if entry.name == "initiated" else None


def gap_items(call: Call, *, settled: bool) -> list[dict[str, Any]]:
    """The gaps as the call record has them, by number. A gap that is still open when the call settles has
    expired. A callback that only the provider's records have is a gap that they healed, until it comes.
    """
    notes = call.arrival.gap_notes
    if notes is None and not call.sources & POLLED_BITS:
        return []
    gaps: list[tuple[int | None, str | None, str, str | None]] = []
    if call.arrival.gaps and not numbers_of(call).whole:
        said = ("closed", "expired") if settled else ("open", None)
        gaps += [(*gap_of(gap), *said) for gap in call.arrival.gaps]
    progress = [entry for entry in call.lifecycle if entry.family_code == PROGRESS]
    for gap in notes.late if notes is not None else ():
        number, name = gap_of(gap)
        names = {entry.number: entry.name for entry in progress}
        gaps.append((number, name or names.get(number), "closed", "late_arrival"))
    if call.sources & SOURCE_BIT[PROVIDERS[call.provider].pushed]:
        gaps += [
            (entry.number, entry.name, "closed", "poll_heal")
            for entry in progress
            if not entry.sources & ~POLLED_BITS and (entry.number is not None or call.sources & _TELNYX_BIT)
        ]
    gaps.sort(key=lambda gap: (gap[0] is None, gap[0] or 0, gap[1] or "", gap[3] or ""))
    return [dict(zip(("sequence_number", "name", "state", "closed_by"), gap, strict=True)) for gap in gaps]


def expire_gaps(call: Call, effects: list[Any]) -> None:
    """The call leaves the table: its gaps will not be filled."""
    source = PROVIDERS[call.provider].pushed
    effects.extend(SequenceGapClosed(source, "expired", gap) for gap in call.arrival.gaps)


def audit_of(call: Call, public_url: str) -> list[AuditedCallback]:
    """What became of the callbacks that the provider's own records say were sent."""
    sources = {entry.fingerprint: entry.sources for entry in (*call.lifecycle, *call.others)}
    notes = call.arrival.gap_notes
    numbers = set(notes.late) if notes is not None else ()
    late = {
        entry.fingerprint
        for entry in (call.lifecycle if numbers else ())
        if entry.family_code == PROGRESS and _gap_at(entry) in numbers
    }
    return audit(call.sent, sources, late, public_url)


def expected_sources(call: Call, policy: CallPolicy) -> list[str]:
    """The sources that should report this call, sorted."""
    return _OF_TEXML if call.is_texml else policy.expected(call.provider)


def reconcile(call: Call, lifecycle: Lifecycle, policy: CallPolicy, effects: list[Any]) -> None:
    """Compare the callbacks with the provider's resources, once for each call."""
    arrival, provider = call.arrival, call.provider
    if arrival.reconciled:
        return
    arrival.reconciled = True
    if call.sent:
        effects += [
            CallbackAudited(provider, call.account, one.endpoint, one.name, one.result)
            for one in audit_of(call, policy.public_url)
        ]
    if call.is_texml or not any(SOURCE_BY_NAME[one].provider == provider for one in policy.polled):
        return
    missing = [
        entry
        for entry in call.lifecycle
        if entry.family_code == PROGRESS and not entry.sources & ~POLLED_BITS
    ]
    effects += [CallbackMissing(PROVIDERS[provider].pushed, entry.name) for entry in missing]
    seen = call.sources & ~FAILURE_BITS
    if not seen & POLLED_BITS:
        result = "missing_poll"
    elif missing or not seen & ~POLLED_BITS:
        result = "missing_callback"
    else:
        result = "mismatch" if len(lifecycle.statuses) > 1 else "match"
    effects.append(CallReconciled(provider, result))
