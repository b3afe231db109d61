"""What one batch counted: plain dictionaries, because this is the hot path.

A tally belongs to one batch of one partition. It is applied by `Metrics.add` after the batch's commit, once;
the tally of an aborted batch is dropped with it. Values are as the core has them (account ids, URLs, SIP
codes): what may be a label is decided when it is applied, once for each different value.

An event costs one increment and two appends:

    tally.processed[source, "applied"] += 1
    tally.occurred_us[source].append(occurred_us)                 # where the provider's time is known
    tally.received_after_us[source].append(received_us - occurred_us)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from stream.core import effects
from stream.core.fetches import FetchRequest

ActiveLabels = tuple[str, str | None, str | None]
"""(provider, account id, direction) of a call, as the call has them."""


class Tally:
    """Counts of one batch. Keys are tuples in the order of the family's labels, or the single label's value.

    - `occurred_us`, `received_after_us`: by source; event times (microseconds since 1970), and how much later
      the event was received. `alerted_us`: by source, the event times of events that opened an alert.
    - `processed_us`: when the batch was folded; None: when it is applied.
    - `heartbeat_us`: insert time of the newest tick in the batch, 0 without one.
    - `active`, `overdue`, `gaps_open`: how the partition's `Standing` changed, +1 and -1, with its keys.
    """

    __slots__ = (
        "active",
        "alerted_us",
        "alerts_published",
        "call_duration_s",
        "call_errors",
        "callbacks_missing",
        "calls_ended",
        "calls_started",
        "conflicts",
        "dead_letters",
        "deduplicated",
        "errors",
        "evictions",
        "fetches_answered",
        "fetches_requested",
        "final_responses",
        "gaps_closed",
        "gaps_detected",
        "gaps_open",
        "heartbeat_us",
        "insights_events",
        "occurred_us",
        "out_of_order",
        "overdue",
        "partition",
        "processed",
        "processed_us",
        "received_after_us",
        "reconciled",
        "setup_delay_s",
        "webhook_duration_s",
        "webhook_responses",
    )

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.processed_us: int | None = None
        self.heartbeat_us = 0
        self.processed: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.deduplicated: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.out_of_order: defaultdict[str, int] = defaultdict(int)
        self.dead_letters: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.errors: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.occurred_us: defaultdict[str, list[int]] = defaultdict(list)
        self.received_after_us: defaultdict[str, list[int]] = defaultdict(list)
        self.alerted_us: defaultdict[str, list[int]] = defaultdict(list)
        self.gaps_detected: defaultdict[str, int] = defaultdict(int)
        self.gaps_closed: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.calls_started: defaultdict[ActiveLabels, int] = defaultdict(int)
        self.calls_ended: defaultdict[tuple[str, str | None, str | None, str], int] = defaultdict(int)
        self.final_responses: defaultdict[tuple[str, str | None, int], int] = defaultdict(int)
        self.setup_delay_s: defaultdict[tuple[str, str | None, str], list[float]] = defaultdict(list)
        self.call_duration_s: defaultdict[tuple[str, str | None], list[float]] = defaultdict(list)
        self.insights_events: defaultdict[tuple[str | None, str | None], int] = defaultdict(int)
        self.call_errors: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.conflicts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.webhook_responses: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self.webhook_duration_s: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self.alerts_published: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self.evictions: defaultdict[str, int] = defaultdict(int)
        self.fetches_requested: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.fetches_answered: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.reconciled: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.callbacks_missing: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.active: defaultdict[ActiveLabels, int] = defaultdict(int)
        self.overdue: defaultdict[str, int] = defaultdict(int)
        self.gaps_open: defaultdict[str, int] = defaultdict(int)

    def active_moved(self, before: ActiveLabels | None, after: ActiveLabels | None) -> None:
        """A call became active, ended, left, or its account or direction became known. None: not active."""
        if before == after:
            return
        if before is not None:
            self.active[before] -= 1
        if after is not None:
            self.active[after] += 1

    def count(self, effect: Any) -> bool:
        """Count an effect that the fold returned. False: there is no counter for it (an event, a record…)."""
        counter = _COUNTERS.get(type(effect))
        if counter is None:
            return False
        counter(self, effect)
        return True


def _call_started(tally: Tally, call: effects.CallStarted) -> None:
    tally.calls_started[call.provider, call.account, call.direction] += 1


def _call_ended(tally: Tally, call: effects.CallEnded) -> None:
    provider, direction = call.provider, call.direction
    tally.calls_ended[provider, call.account, direction, call.outcome] += 1
    if call.sip_response_code is not None:
        tally.final_responses[provider, direction, call.sip_response_code] += 1
    if call.setup_s is not None:
        tally.setup_delay_s[provider, direction, "ringing"].append(call.setup_s)
    if call.answer_s is not None:
        tally.setup_delay_s[provider, direction, "answered"].append(call.answer_s)
    if call.duration_s is not None:
        tally.call_duration_s[provider, direction].append(call.duration_s)


def _state_conflict(tally: Tally, conflict: effects.StateConflict) -> None:
    tally.conflicts[conflict.provider, conflict.field] += 1


def _gap_opened(tally: Tally, gap: effects.SequenceGapOpened) -> None:
    tally.gaps_detected[gap.source] += len(gap.numbers)
    tally.gaps_open[gap.source] += len(gap.numbers)


def _gap_closed(tally: Tally, gap: effects.SequenceGapClosed) -> None:
    tally.gaps_closed[gap.source, gap.by] += 1
    tally.gaps_open[gap.source] -= 1


def _insights_event(tally: Tally, event: effects.InsightsEventSeen) -> None:
    tally.insights_events[event.edge, event.level] += 1


def _call_error(tally: Tally, error: effects.CallErrorSeen) -> None:
    tally.call_errors[error.provider, error.error_code] += 1


def _application_answered(tally: Tally, answer: effects.ApplicationAnswered) -> None:
    tally.webhook_responses[answer.provider, answer.endpoint, answer.code_class] += 1
    if answer.duration_s is not None:
        tally.webhook_duration_s[answer.provider, answer.endpoint].append(answer.duration_s)


def _call_evicted(tally: Tally, eviction: effects.CallEvicted) -> None:
    tally.evictions[eviction.reason] += 1


def _fetch_requested(tally: Tally, request: FetchRequest) -> None:
    tally.fetches_requested[request.source, request.reason] += 1


def _fetch_answered(tally: Tally, answer: effects.FetchAnswered) -> None:
    tally.fetches_answered[answer.source, answer.outcome] += 1


def _call_reconciled(tally: Tally, found: effects.CallReconciled) -> None:
    tally.reconciled[found.provider, found.result] += 1


def _callback_missing(tally: Tally, missing: effects.CallbackMissing) -> None:
    tally.callbacks_missing[missing.source, missing.event] += 1


_COUNTERS: dict[type[Any], Callable[[Tally, Any], None]] = {
    effects.CallStarted: _call_started,
    effects.CallEnded: _call_ended,
    effects.StateConflict: _state_conflict,
    effects.SequenceGapOpened: _gap_opened,
    effects.SequenceGapClosed: _gap_closed,
    effects.InsightsEventSeen: _insights_event,
    effects.CallErrorSeen: _call_error,
    effects.ApplicationAnswered: _application_answered,
    effects.CallEvicted: _call_evicted,
    FetchRequest: _fetch_requested,
    effects.FetchAnswered: _fetch_answered,
    effects.CallReconciled: _call_reconciled,
    effects.CallbackMissing: _callback_missing,
}
