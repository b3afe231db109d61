"""What one batch counted: plain dictionaries, because this is the hot path.

The counts belong to one batch of one partition. `WorkerMetrics.add` applies them once, after the batch's
commit; those of an aborted batch are dropped with it. Label values are as the core has them (account ids,
URLs, SIP codes): the guard admits them when they are applied, once for each different value.

An event costs two increments:

    counts[EVENTS_PROCESSED, source, "applied"] += 1
    counts.times_us[source] += (occurred_us, received_us)  # where the provider's time is known
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from stream.core import effects
from stream.core.fetches import FetchRequest
from stream.service.metrics import worker_families as f

Series = tuple[Any, ...]
"""A family and its raw label values, in the family's order."""

_SERIES: dict[type[Any], Callable[[Any], Series]] = {
    effects.CallStarted: lambda of: (f.CALLS_STARTED, of.provider, of.account, of.direction),
    effects.StateConflict: lambda of: (f.CALL_STATE_CONFLICTS, of.provider, of.field),
    effects.InsightsEventSeen: lambda of: (f.CALL_INSIGHTS_EVENTS, of.edge, of.level),
    effects.CallErrorSeen: lambda of: (f.CALL_ERRORS, of.provider, of.error_code),
    effects.ErrorLogged: lambda of: (f.ERROR_LOG_ENTRIES, of.level, of.about),
    effects.CallEvicted: lambda of: (f.TABLE_EVICTIONS, "calls", of.reason),
    effects.FetchAnswered: lambda of: (f.FETCHES_ANSWERED, of.source, of.outcome),
    effects.VerdictSettled: lambda of: (f.VERDICTS, of.provider, of.direction, of.fault),
    effects.CallReconciled: lambda of: (f.RECONCILED_CALLS, of.provider, of.result),
    effects.CallbackAudited: lambda of: (f.CALLBACKS_AUDITED, of.provider, of.endpoint, of.result),
    effects.CallbackMissing: lambda of: (f.CALLBACKS_MISSING, of.source, of.event),
}
"""The series of the effects that count once, in one."""


class BatchCounts(defaultdict[Series, int]):
    """Counters of one batch, by series.

    - `gauges`: how what the partition holds changed, by series of `worker.HELD`;
      `durations_s`: observations, by series of a histogram.
    - `times_us`: by source, of one event after the other when it occurred and when it was received
      (microseconds since 1970). `alerted_us`: by source, the event times of events that opened an alert.
    - `processed_us`: when the batch was folded; None: when it is applied.
    - `heartbeat_us`: insert time of the newest tick in the batch, 0 without one.
    """

    def __init__(self, partition: int) -> None:
        super().__init__(int)
        self.partition = partition
        self.processed_us: int | None = None
        self.heartbeat_us = 0
        self.gauges: defaultdict[Series, int] = defaultdict(int)
        self.durations_s: defaultdict[Series, list[float]] = defaultdict(list)
        self.times_us: defaultdict[str, list[int]] = defaultdict(list)
        self.alerted_us: defaultdict[str, list[int]] = defaultdict(list)

    def count_effect(self, effect: Any) -> None:
        """Count an effect that the fold returned."""
        kind = type(effect)
        if (series_of := _SERIES.get(kind)) is not None:
            self[series_of(effect)] += 1
        elif (count := _COUNT.get(kind)) is not None:
            count(self, effect)


def _call_ended(counts: BatchCounts, call: effects.CallEnded) -> None:
    provider, direction = call.provider, call.direction
    counts[f.CALLS_ENDED, provider, call.account, direction, call.outcome] += 1
    if call.sip_response_code is not None:
        counts[f.CALL_FINAL_RESPONSES, provider, direction, call.sip_response_code] += 1
    if call.setup_s is not None:
        counts.durations_s[f.CALL_SETUP_DELAY, provider, direction, "ringing"].append(call.setup_s)
    if call.answer_s is not None:
        counts.durations_s[f.CALL_SETUP_DELAY, provider, direction, "answered"].append(call.answer_s)
    if call.duration_s is not None:
        counts.durations_s[f.CALL_DURATION, provider, direction].append(call.duration_s)


def _gap_opened(counts: BatchCounts, gap: effects.SequenceGapOpened) -> None:
    counts[f.SEQUENCE_GAPS_DETECTED, gap.source] += len(gap.numbers)
    counts.gauges[f.SEQUENCE_GAPS_OPEN, gap.source] += len(gap.numbers)


def _gap_closed(counts: BatchCounts, gap: effects.SequenceGapClosed) -> None:
    counts[f.SEQUENCE_GAPS_CLOSED, gap.source, gap.by] += 1
    counts.gauges[f.SEQUENCE_GAPS_OPEN, gap.source] -= 1


def _fetch_requested(counts: BatchCounts, request: FetchRequest) -> None:
    for read in request.reads:
        counts[f.FETCHES_REQUESTED, read.source, request.reason] += 1


def _application_answered(counts: BatchCounts, answer: effects.ApplicationAnswered) -> None:
    counts[f.APP_WEBHOOK_RESPONSES, answer.provider, answer.endpoint, answer.code_class] += 1
    if answer.duration_s is not None:
        counts.durations_s[f.APP_WEBHOOK_DURATION, answer.provider, answer.endpoint].append(answer.duration_s)


_COUNT: dict[type[Any], Callable[[BatchCounts, Any], None]] = {
    effects.CallEnded: _call_ended,
    effects.SequenceGapOpened: _gap_opened,
    effects.SequenceGapClosed: _gap_closed,
    effects.ApplicationAnswered: _application_answered,
    FetchRequest: _fetch_requested,
}
"""How the other effects are counted."""
