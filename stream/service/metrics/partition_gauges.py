"""Gauges of what the owned partitions hold: set when one is opened, moved by each batch, dropped with it.

Gauges of several workers add up, so a worker shows only what is in partitions that it owns.
"""

from __future__ import annotations

from collections import Counter

from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts, Series
from stream.service.metrics.registry import MetricRegistry

HELD = (f.CALLS_ACTIVE, f.CALLS_OVERDUE, f.SEQUENCE_GAPS_OPEN)


class PartitionGauges:
    """The gauges over all owned partitions, added up at each scrape."""

    def __init__(self, metrics: MetricRegistry) -> None:
        self._metrics = metrics
        self._held: dict[int, Counter[Series]] = {}
        self._heartbeat_s: dict[int, float] = {}
        self._indexed: dict[int, tuple[int, int]] = {}
        metrics.before_scrape(self._show)

    def open(self, partition: int, now_s: float) -> None:
        """A partition is owned from now on, and holds nothing yet.

        The heartbeat of a lane that never moves ages from here.
        """
        self._held[partition] = Counter()
        self._heartbeat_s[partition] = now_s

    def close(self, partition: int) -> None:
        for by_partition in (self._held, self._heartbeat_s, self._indexed):
            by_partition.pop(partition, None)

    def index(self, partition: int, due: int, troubled: int) -> None:
        """(calls in the index of due calls, of these the ones on which looks fail)"""
        self._indexed[partition] = due, troubled

    def move(self, counts: BatchCounts) -> None:
        """Apply a batch. One that was committed while its partition was revoked moves nothing."""
        partition = counts.partition
        held = self._held.get(partition)
        if held is None:
            return
        for series, n in counts.gauges.items():
            held[series] += n
            if not held[series]:
                del held[series]  # account ids of long ago
        heartbeat_s = counts.heartbeat_us / 1_000_000
        self._heartbeat_s[partition] = max(self._heartbeat_s[partition], heartbeat_s)

    def _show(self) -> None:
        metrics = self._metrics
        for family in HELD:
            for gauge in metrics.gauges(family).values():
                gauge.set(0)
        for held in self._held.values():
            for (family, *raw), n in held.items():
                metrics.gauge(family, *metrics.admit(family, *raw, n=0)).inc(n)
        metrics.gauge(f.DUE_CALLS).set(sum(due for due, _ in self._indexed.values()))
        metrics.gauge(f.TROUBLED_CALLS).set(sum(troubled for _, troubled in self._indexed.values()))
        # The oldest of the partitions: one lane that stands still must not hide behind the others.
        metrics.gauge(f.HEARTBEAT, "state_visible").set(min(self._heartbeat_s.values(), default=0))
