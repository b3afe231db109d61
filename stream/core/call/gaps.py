"""What is missing of a call: sequence numbers, and callbacks that the provider's own records prove were due.

A missing number becomes a gap when its grace period ends. It is no gap where the provider's request log has
every numbered callback that came, and not this one: Twilio counts events that are not subscribed to, and does
not send them. Callbacks and resources are compared once, when no more will be read; what comes later is late.
"""

from __future__ import annotations

from typing import Any

from stream.core.call.deadlines import SECOND_US, next_due
from stream.core.call.lifecycle import Lifecycle, missing_numbers
from stream.core.call.state import NUMBERS_KEPT, Call
from stream.core.call.timeline_entry import TimelineEntry
from stream.core.effects import CallbackMissing, CallReconciled, SequenceGapClosed, SequenceGapOpened
from stream.core.policy import CallPolicy
from stream.core.sources import (
    FAILURE_BITS,
    POLLED_BITS,
    PROVIDERS,
    REQUEST_LOG_BIT,
    SOURCE_BY_NAME,
    TELNYX_TEXML_CALLBACK,
)

_OF_TEXML = [TELNYX_TEXML_CALLBACK]


def watch_gaps(call: Call, received_us: int, policy: CallPolicy) -> None:
    """Start the grace period of numbers that are missing now, or of gaps whose numbers were not sent: the
    request log's rows come in any order.
    """
    numbers, sources = call.unplaced_numbers() if call.others else (0, -1)
    for entry in call.lifecycle:
        if entry.number is not None and entry.family == "progress" and entry.number < NUMBERS_KEPT:
            numbers |= 1 << entry.number
            sources &= entry.sources
    arrival = call.arrival
    if not numbers & (numbers + 1) or arrival.gap_due_us:
        return
    missing = [] if sources & REQUEST_LOG_BIT else missing_numbers(numbers)
    if any(number not in arrival.gaps for number in missing) or (arrival.gaps and not missing):
        arrival.gap_due_us = received_us + int(policy.gap_grace_s * SECOND_US)
        call.due_s = next_due(call, policy)


def open_gaps(call: Call, lifecycle: Lifecycle, effects: list[Any]) -> None:
    """The grace period has ended: report the numbers that are still missing, close gaps of those not sent."""
    arrival, source = call.arrival, PROVIDERS[call.provider].numbered
    arrival.gap_due_us = 0
    if lifecycle.logged:
        effects.extend(SequenceGapClosed(source, "not_sent") for _ in arrival.gaps)
        arrival.gaps, call.gaps_open = [], 0
    opened = [number for number in lifecycle.missing_numbers() if number not in arrival.gaps]
    if opened:
        arrival.gaps = sorted(arrival.gaps + opened)
        call.gaps_open = len(arrival.gaps)
        effects.append(SequenceGapOpened(source, opened))


def close_gap(call: Call, entry: TimelineEntry, effects: list[Any]) -> None:
    """A new entry may be the missing number of a reported gap."""
    gaps = call.arrival.gaps
    if entry.family == "progress" and entry.number in gaps:
        gaps.remove(entry.number)
        call.gaps_open = len(gaps)
        by = "late_arrival" if entry.sources & ~POLLED_BITS else "poll_heal"
        effects.append(SequenceGapClosed(PROVIDERS[call.provider].numbered, by))


def expire_gaps(call: Call, effects: list[Any]) -> None:
    """The call leaves the table: its gaps will not be filled."""
    source = PROVIDERS[call.provider].numbered
    effects.extend(SequenceGapClosed(source, "expired") for _ in call.arrival.gaps)


def expected_sources(call: Call, policy: CallPolicy) -> list[str]:
    """The sources that should report this call, sorted."""
    return _OF_TEXML if call.is_texml else policy.expected(call.provider)


def reconcile(call: Call, lifecycle: Lifecycle, policy: CallPolicy, effects: list[Any]) -> None:
    """Compare the callbacks with the provider's resources, once for each call."""
    arrival, provider = call.arrival, call.provider
    if arrival.reconciled or call.is_texml:
        return
    if not any(SOURCE_BY_NAME[source].provider == provider for source in policy.polled):
        return
    arrival.reconciled = True
    missing = [
        entry for entry in call.lifecycle if entry.family == "progress" and not entry.sources & ~POLLED_BITS
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
