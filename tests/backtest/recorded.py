"""Recorded deliveries for the tests of the backtest: the traces of `tests/replay` as slices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count, groupby
from typing import Any

from agents.processor import CallProcessor
from stream.backtest.recording import RecordedSlice
from stream.core.alerting.rules import DEFAULT_RULES, Rules
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.kafka.partitions import partition_of
from stream.service.metrics.worker import WorkerMetrics
from tests.agents.batches import TOPICS, Fetched
from tests.cases.playing import START_US, landed

START_S = START_US // 1_000_000


def job(rules: Rules = DEFAULT_RULES, **policy: Any) -> CallProcessor:
    """The job of a worker with these rules."""
    return CallProcessor(
        TOPICS,
        CallPolicy(**{"polled": (), **policy, "alert_rules": rules}),
        Privacy(),
        WorkerMetrics(clock=lambda: START_S),
        deployment="calls",
        errors_limit=1,
    )


def records_of(trace: dict[str, Any], partitions: int) -> Iterator[Fetched]:
    """A trace as a broker has it that took each delivery when it came."""
    offsets = count()
    for delivery in sorted(trace["deliveries"], key=lambda one: one["at"]):
        received_us = START_US + round(delivery["at"] * 1_000_000)
        for topic, key, value in landed(delivery, received_us, Counter()):
            number = partition_of(key or b"", partitions)
            yield Fetched(topic, next(offsets), key, value, (), number, received_us // 1000)


def slices_of(records: Iterable[Fetched]) -> Iterator[RecordedSlice]:
    """Records in order of time, second by second."""
    for second, some in groupby(records, key=lambda one: one.timestamp // 1000):
        by_partition: dict[int, list[Any]] = {}
        for one in some:
            by_partition.setdefault(one.partition, []).append(one)
        yield RecordedSlice(second, by_partition)
