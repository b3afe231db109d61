"""What the lanes report, as metrics of Kafka and of the worker. It implements `lanes.observer.Observer`."""

from __future__ import annotations

from stream.service.metrics import worker_families as f
from stream.service.metrics.label_values import LANE
from stream.service.metrics.registry import Board


class LaneObserver:
    """Feeds the families that the lanes know about; what has no family (bytes fetched) is left."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._state = board.numbers(f.WORKER_STATE)
        self._lag = board.numbers(f.CONSUMER_LAG)
        self._processing = board.buckets(f.PROCESSING_DURATION)
        self._producing = board.buckets(f.PRODUCE_DURATION)
        self._entries: dict[int, int] = {}
        self.phase("starting")
        board.before_scrape(self._show_entries)

    def phase(self, phase: str) -> None:
        for labels in self._state.by_labels:
            self._state.set(labels, float(labels == (phase,)))

    def rebalance_started(self) -> None:
        """What was known of the old partitions is no longer ours to say."""
        self._board.numbers(f.REBALANCES).add(())
        self._lag.by_labels.clear()
        self._entries.clear()

    def rebalance_ended(self, seconds: float, partitions: int) -> None:
        self._board.buckets(f.REBALANCE_DURATION).observe((), seconds)

    def recovery(self, remaining: int) -> None:
        self._board.numbers(f.TABLE_RECOVERY_REMAINING).set(("calls",), remaining)

    def recovered(self, partitions: int, records: int, seconds: float) -> None: ...

    def consumed(self, topic: str, records: int, value_bytes: int) -> None: ...

    def batch(self, partition: int, records: int, process_s: float, total_s: float) -> None:
        if records:
            self._processing.observe((LANE,), process_s / records, records)

    def produced(self, topic: str, records: int, seconds: float, ok: bool) -> None:
        outcome = "success" if ok else "error"
        messages = self._board.admit(f.PRODUCE_MESSAGES, topic, outcome, n=records)
        self._board.numbers(f.PRODUCE_MESSAGES).add(messages, records)
        self._producing.observe(messages[:1], seconds, records)

    def lag(self, topic: str, partition: int, records: int) -> None:
        self._lag.set(self._board.admit(f.CONSUMER_LAG, topic, partition), records)

    def entries(self, partition: int, count: int) -> None:
        self._entries[partition] = count

    def error(self, kind: str) -> None:
        self._board.count(f.PROCESSING_ERRORS, LANE, kind)

    def _show_entries(self) -> None:
        self._board.numbers(f.TABLE_ENTRIES).set(("calls",), sum(self._entries.values()))
