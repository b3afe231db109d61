"""The metrics of one worker: a batch's counts go in after its commit, an exposition comes out."""

from __future__ import annotations

import time
from collections.abc import Callable

from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.family import Family
from stream.service.metrics.label_values import LabelValues
from stream.service.metrics.lane_observer import LaneObserver
from stream.service.metrics.partition_gauges import PartitionGauges
from stream.service.metrics.registry import MetricRegistry

LAST_COUNTED: dict[Family, Family] = {
    f.EVENTS_PROCESSED: f.LAST_EVENT,
    f.RECONCILED_CALLS: f.RECONCILIATION_LAST_SUCCESS,
}
"""Gauges that tell when a counter last moved, by its first label."""


class WorkerMetrics(MetricRegistry):
    """What a worker counts. All calls from the event loop's thread.

    `observer` goes to the lanes. `clock` gives Unix seconds.
    """

    def __init__(self, label_values: LabelValues, clock: Callable[[], float] = time.time) -> None:
        super().__init__(label_values, f.FAMILIES)
        self.observer = LaneObserver(self)
        self._gauges = PartitionGauges(self)
        self._clock = clock

    def opened(self, partition: int) -> None:
        """A partition was assigned and recovered. Add the counts of what its table holds next."""
        self._gauges.open(partition, self._clock())

    def closed(self, partition: int) -> None:
        """A partition was revoked."""
        self._gauges.close(partition)

    def indexed(self, partition: int, due: int, troubled: int) -> None:
        """How many calls the index of due calls has, and on how many of them looks fail."""
        self._gauges.index(partition, due, troubled)

    def add(self, counts: BatchCounts) -> None:
        """Apply what a batch counted. Called once, after its commit and after the table shows its states."""
        now_us = round(self._clock() * 1_000_000)
        for (family, *raw), n in counts.items():
            self.count(family, *raw, n=n)
            last = LAST_COUNTED.get(family)
            if last is not None:
                self.gauge(last, *self.admit(last, raw[0], n=0)).set(now_us / 1_000_000)
        for (family, *raw), values in counts.durations_s.items():
            self.histogram(family).observe_many(self.admit(family, *raw, n=len(values)), values)
        self._add_latency(counts, now_us)
        self._gauges.move(counts)

    def _add_latency(self, counts: BatchCounts, now_us: int) -> None:
        latency = self.histogram(f.EVENT_LATENCY)
        for source, occurred_us in counts.occurred_us.items():
            occurred_us.sort()
            processed_us = counts.processed_us or now_us
            latency.observe_since(self._stage(source, "processed"), processed_us, occurred_us)
            latency.observe_since(self._stage(source, "state_visible"), now_us, occurred_us)
        for source, delays_us in counts.received_after_us.items():
            seconds = [delay_us / 1_000_000 for delay_us in delays_us]
            latency.observe_many(self._stage(source, "received"), seconds)
        for source, alerted_us in counts.alerted_us.items():
            latency.observe_since(self._stage(source, "alert_published"), now_us, sorted(alerted_us))

    def _stage(self, source: str, stage: str) -> tuple[str, ...]:
        return self.admit(f.EVENT_LATENCY, source, stage)
