"""What one batch counted: plain dictionaries, because this is the hot path.

The counts belong to one batch of one partition. `WorkerMetrics.add` applies them once, after the batch's
commit; those of an aborted batch are dropped with it. Label values are as the core has them (account ids,
URLs, SIP codes): the guard admits them when they are applied, once for each different value.

An event costs one increment and two appends:

    counts[EVENTS_PROCESSED, source, "applied"] += 1
    counts.occurred_us[source].append(occurred_us)                 # where the provider's time is known
    counts.received_after_us[source].append(received_us - occurred_us)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from stream.core import effects
from stream.core.fetches import FetchRequest
from stream.service.metrics import worker_families as f
from stream.service.metrics.family import Family

Series = tuple[Any, ...]
"""A family and its raw label values, in the family's order."""

ActiveLabels = tuple[str, str | None, str | None]
"""(provider, account id, direction) of a call, as the call has them."""

_COUNTED: dict[type[Any], tuple[Family, Callable[[Any], tuple[Any, ...]]]] = {
    effects.CallStarted: (f.CALLS_STARTED, attrgetter("provider", "account", "direction")),
    effects.CallEnded: (f.CALLS_ENDED, attrgetter("provider", "account", "direction", "outcome")),
    effects.StateConflict: (f.CALL_STATE_CONFLICTS, attrgetter("provider", "field")),
    effects.SequenceGapClosed: (f.SEQUENCE_GAPS_CLOSED, attrgetter("source", "by")),
    effects.InsightsEventSeen: (f.CALL_INSIGHTS_EVENTS, attrgetter("edge", "level")),
    effects.CallErrorSeen: (f.CALL_ERRORS, attrgetter("provider", "error_code")),
    effects.ApplicationAnswered: (
        f.APP_WEBHOOK_RESPONSES,
        attrgetter("provider", "endpoint", "code_class"),
    ),
    FetchRequest: (f.FETCHES_REQUESTED, attrgetter("source", "reason")),
    effects.FetchAnswered: (f.FETCHES_ANSWERED, attrgetter("source", "outcome")),
    effects.CallReconciled: (f.RECONCILED_CALLS, attrgetter("provider", "result")),
    effects.CallbackMissing: (f.CALLBACKS_MISSING, attrgetter("source", "event")),
}
"""The counter of an effect, and its labels."""


class BatchCounts(defaultdict[Series, int]):
    """Counters of one batch, by series.

    - `gauges`: how what the partition holds changed, by series of `CALLS_ACTIVE`, `CALLS_OVERDUE` and
      `SEQUENCE_GAPS_OPEN`; `durations_s`: observations, by series of a histogram.
    - `occurred_us`, `received_after_us`: by source; event times (microseconds since 1970), and how much later
      the event was received. `alerted_us`: by source, the event times of events that opened an alert.
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
        self.occurred_us: defaultdict[str, list[int]] = defaultdict(list)
        self.received_after_us: defaultdict[str, list[int]] = defaultdict(list)
        self.alerted_us: defaultdict[str, list[int]] = defaultdict(list)

    def active_moved(self, before: ActiveLabels | None, after: ActiveLabels | None) -> None:
        """A call became active, ended, left, or its account or direction became known. None: not active."""
        if before == after:
            return
        if before is not None:
            self.gauges[f.CALLS_ACTIVE, *before] -= 1
        if after is not None:
            self.gauges[f.CALLS_ACTIVE, *after] += 1

    def count_effect(self, effect: Any) -> None:
        """Count an effect that the fold returned."""
        kind = type(effect)
        if kind in _COUNTED:
            family, labels = _COUNTED[kind]
            self[family, *labels(effect)] += 1
        if kind is effects.CallEnded:
            self._call_ended(effect)
        elif kind is effects.SequenceGapOpened:
            self[f.SEQUENCE_GAPS_DETECTED, effect.source] += len(effect.numbers)
            self.gauges[f.SEQUENCE_GAPS_OPEN, effect.source] += len(effect.numbers)
        elif kind is effects.SequenceGapClosed:
            self.gauges[f.SEQUENCE_GAPS_OPEN, effect.source] -= 1
        elif kind is effects.ApplicationAnswered:
            self._took(effect.duration_s, f.APP_WEBHOOK_DURATION, effect.provider, effect.endpoint)
        elif kind is effects.CallEvicted:
            self[f.TABLE_EVICTIONS, "calls", effect.reason] += 1

    def _call_ended(self, call: effects.CallEnded) -> None:
        provider, direction = call.provider, call.direction
        if call.sip_response_code is not None:
            self[f.CALL_FINAL_RESPONSES, provider, direction, call.sip_response_code] += 1
        self._took(call.setup_s, f.CALL_SETUP_DELAY, provider, direction, "ringing")
        self._took(call.answer_s, f.CALL_SETUP_DELAY, provider, direction, "answered")
        self._took(call.duration_s, f.CALL_DURATION, provider, direction)

    def _took(self, duration_s: float | None, *series: Any) -> None:
        if duration_s is not None:
            self.durations_s[series].append(duration_s)
