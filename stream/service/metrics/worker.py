"""The metrics of one worker: an `engine.status.Observer` of its lanes, and what their batches counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import sub
from types import MappingProxyType

from stream.core.sources import CALLBACK_SOURCES
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts, Series
from stream.service.metrics.family import Family
from stream.service.metrics.label_values import LANE, STAGES
from stream.service.metrics.registry import NO_CHOICE, LabelChoice, MetricRegistry

LAST_COUNTED: dict[Family, Family] = {
    f.EVENTS_PROCESSED: f.LAST_EVENT,
    f.RECONCILED_CALLS: f.RECONCILIATION_LAST_SUCCESS,
}
"""Gauges that tell when a counter last moved, by its first label."""

HELD = (f.CALLS_ACTIVE, f.CALLS_OVERDUE, f.SEQUENCE_GAPS_OPEN, f.ALERTS_ACTIVE)


@dataclass
class _Partition:
    """What an owned partition holds, and the newest heartbeat of each stage.

    The heartbeat of a lane that never moves ages from its opening.
    """

    heartbeats_s: dict[str, float]
    held: Counter[Series] = field(default_factory=Counter)
    due: int = 0
    troubled: int = 0


class WorkerMetrics(MetricRegistry):
    """What a worker counts. All calls from the event loop's thread. `clock` gives Unix seconds.

    Gauges of several workers add up, so a worker shows only what is in partitions that it owns.
    """

    def __init__(
        self,
        account_alias: str = "default",
        topics: Mapping[str, str] = MappingProxyType({}),
        clock: Callable[[], float] = time.time,
        choice: LabelChoice = NO_CHOICE,
    ) -> None:
        super().__init__(f.FAMILIES, account_alias, topics, choice, written=f.WRITTEN)
        self._clock = clock
        self._partitions: dict[int, _Partition] = {}
        self._entries: dict[int, int] = {}
        self.phase("starting")
        self.rules_read(True)  # a worker does not start with rules that it cannot use
        self.before_scrape(self._show)

    # What the processor tells.

    def opened(self, partition: int) -> None:
        """A partition was assigned and recovered. Add the counts of what its table holds next."""
        self._partitions[partition] = _Partition(dict.fromkeys(STAGES, self._clock()))

    def closed(self, partition: int) -> None:
        """A partition was revoked."""
        self._partitions.pop(partition, None)

    def indexed(self, partition: int, due: int, troubled: int) -> None:
        """How many calls the index of due calls has, and on how many of them looks fail."""
        if one := self._partitions.get(partition):
            one.due, one.troubled = due, troubled

    def folded(self, partition: int, heartbeat_us: int) -> None:
        """A batch was folded, and is not committed yet. `heartbeat_us`: as in `BatchCounts`."""
        self._heard(partition, "processed", heartbeat_us / 1_000_000)

    def add(self, counts: BatchCounts) -> None:
        """Apply what a batch counted. Called once, after its commit and after the table shows its states."""
        now_us = round(self._clock() * 1_000_000)
        for (family, *raw), n in counts.items():
            self.count(family, *raw, n=n)
            if last := LAST_COUNTED.get(family):
                self.gauge(last, raw[0]).set(now_us / 1_000_000)
        for (family, *raw), values in counts.durations_s.items():
            self.histogram(family, *raw).observe_many(values)
        for source, times_us in counts.times_us.items():
            occurred_us, received_us = times_us[::2], times_us[1::2]
            seconds = [delay_us / 1_000_000 for delay_us in map(sub, received_us, occurred_us)]
            self.histogram(f.EVENT_LATENCY, source, "received").observe_many(seconds)
            if source in CALLBACK_SOURCES:
                self.histogram(f.CALLBACK_LATENCY).observe_since(now_us, sorted(received_us))
            occurred_us.sort()
            processed_us = counts.processed_us or now_us
            self.histogram(f.EVENT_LATENCY, source, "processed").observe_since(processed_us, occurred_us)
            self.histogram(f.EVENT_LATENCY, source, "state_visible").observe_since(now_us, occurred_us)
        for source, alerted_us in counts.alerted_us.items():
            published = self.histogram(f.EVENT_LATENCY, source, "alert_published")
            published.observe_since(now_us, sorted(alerted_us))
        self._move(counts)

    def _move(self, counts: BatchCounts) -> None:
        """A batch that was committed while its partition was revoked moves nothing."""
        one = self._partitions.get(counts.partition)
        if one is None:
            return
        for series, n in counts.gauges.items():
            one.held[series] += n
            if not one.held[series]:
                del one.held[series]  # account ids of long ago
        for stage in ("published", "state_visible"):  # by the same commit
            self._heard(counts.partition, stage, counts.heartbeat_us / 1_000_000)

    def _heard(self, partition: int, stage: str, heartbeat_s: float) -> None:
        if one := self._partitions.get(partition):
            one.heartbeats_s[stage] = max(one.heartbeats_s[stage], heartbeat_s)

    def _show(self) -> None:
        owned = self._partitions.values()
        for family in HELD:
            for gauge in self.gauges(family).values():
                gauge.set(0)
        for one in owned:
            for (family, *raw), n in one.held.items():
                self.gauge(family, *raw).inc(n)
        self.gauge(f.DUE_CALLS).set(sum(one.due for one in owned))
        self.gauge(f.TROUBLED_CALLS).set(sum(one.troubled for one in owned))
        self.clear(f.HEARTBEAT)  # a worker without partitions has none, rather than one of 1970
        for stage in STAGES if owned else ():
            # The oldest of the partitions: one lane that stands still must not hide behind the others.
            self.gauge(f.HEARTBEAT, stage).set(min(one.heartbeats_s[stage] for one in owned))
        self.gauge(f.TABLE_ENTRIES, "calls").set(sum(self._entries.values()))

    # What the lanes tell their observer. Reports without a family are ignored.

    def phase(self, phase: str) -> None:
        for (state,), gauge in self.gauges(f.WORKER_STATE).items():
            gauge.set(state == phase)

    def rebalance_started(self) -> None:
        """The worker no longer speaks for the partitions that it had."""
        self.count(f.REBALANCES)
        self.clear(f.CONSUMER_LAG)
        self._entries.clear()

    def rebalance_ended(self, seconds: float, partitions: int) -> None:
        self.histogram(f.REBALANCE_DURATION).observe(seconds)

    def recovery(self, remaining: int) -> None:
        self.gauge(f.TABLE_RECOVERY_REMAINING, "calls").set(remaining)

    def recovered(self, partitions: int, records: int, seconds: float) -> None: ...

    def consumed(self, topic: str, partition: int, records: int, newest_ms: int) -> None:
        if self._topics.get(topic) == "ticks":
            self._heard(partition, "received", newest_ms / 1000)

    def batch(self, partition: int, records: int, process_s: float, commit_s: float | None) -> None:
        if commit_s is not None:
            self.histogram(f.TRANSACTION_DURATION).observe(commit_s)
        if records:
            self.histogram(f.PROCESSING_DURATION, LANE).observe(process_s / records, records)

    def lag(self, topic: str, partition: int, records: int) -> None:
        self.gauge(f.CONSUMER_LAG, topic, partition).set(records)

    def entries(self, partition: int, count: int) -> None:
        self._entries[partition] = count

    def rules_read(self, used: bool) -> None:
        """The file of alert rules was read: whether the worker judges by it, or by what it had."""
        self.gauge(f.CONFIG_RELOADED).set(used)

    def error(self, kind: str) -> None:
        self.count(f.PROCESSING_ERRORS, LANE, kind)
