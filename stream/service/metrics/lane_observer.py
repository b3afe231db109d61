"""What the partition lanes report, as metrics of Kafka and of the worker: an `engine.status.Observer`."""

from __future__ import annotations

from stream.service.metrics import worker_families as f
from stream.service.metrics.family import PRODUCE_DURATION, PRODUCE_MESSAGES
from stream.service.metrics.label_values import LANE
from stream.service.metrics.registry import MetricRegistry


class LaneObserver:
    """Feeds the families that the lanes know about. Reports without a family (bytes fetched) are ignored."""

    def __init__(self, metrics: MetricRegistry) -> None:
        self._metrics = metrics
        self._entries: dict[int, int] = {}
        self.phase("starting")
        metrics.before_scrape(self._show_entries)

    def phase(self, phase: str) -> None:
        for (state,), gauge in self._metrics.gauges(f.WORKER_STATE).items():
            gauge.set(state == phase)

    def rebalance_started(self) -> None:
        """The worker no longer speaks for the partitions that it had."""
        self._metrics.count(f.REBALANCES)
        self._metrics.clear(f.CONSUMER_LAG)
        self._entries.clear()

    def rebalance_ended(self, seconds: float, partitions: int) -> None:
        self._metrics.histogram(f.REBALANCE_DURATION).observe((), seconds)

    def recovery(self, remaining: int) -> None:
        self._metrics.gauge(f.TABLE_RECOVERY_REMAINING, "calls").set(remaining)

    def recovered(self, partitions: int, records: int, seconds: float) -> None: ...

    def consumed(self, topic: str, records: int, value_bytes: int) -> None: ...

    def batch(self, partition: int, records: int, process_s: float, total_s: float) -> None:
        if records:
            self._metrics.histogram(f.PROCESSING_DURATION).observe((LANE,), process_s / records, records)

    def produced(self, topic: str, records: int, seconds: float, ok: bool) -> None:
        self._metrics.count(PRODUCE_MESSAGES, topic, "success" if ok else "error", n=records)
        labels = self._metrics.admit(PRODUCE_DURATION, topic, n=0)
        self._metrics.histogram(PRODUCE_DURATION).observe(labels, seconds, records)

    def lag(self, topic: str, partition: int, records: int) -> None:
        labels = self._metrics.admit(f.CONSUMER_LAG, topic, partition)
        self._metrics.gauge(f.CONSUMER_LAG, *labels).set(records)

    def entries(self, partition: int, count: int) -> None:
        self._entries[partition] = count

    def error(self, kind: str) -> None:
        self._metrics.count(f.PROCESSING_ERRORS, LANE, kind)

    def _show_entries(self) -> None:
        self._metrics.gauge(f.TABLE_ENTRIES, "calls").set(sum(self._entries.values()))
