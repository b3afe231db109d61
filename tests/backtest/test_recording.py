"""In which order recorded deliveries are taken, whatever comes first over the network."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.backtest import recording
from stream.backtest.recording import RecordedDeliveries, RecordedTime
from stream.kafka.partitions import TopicPartition
from tests.agents.batches import TOPICS, Fetched

RAW = (TOPICS.callbacks, TOPICS.polled)
Log = dict[TopicPartition, list[Fetched]]


class LogReader:
    """Hands out a few records of one of the partitions that are asked for, like a consumer."""

    def __init__(self, log: Log, at_once: int) -> None:
        self._log = log
        self._at_once = at_once
        self._positions = dict.fromkeys(log, 0)

    async def read(
        self, timeout_ms: int = 0, partitions: Collection[TopicPartition] = ()
    ) -> Mapping[TopicPartition, list[Fetched]]:
        for one in sorted(partitions):
            begin = self._positions[one]
            if some := self._log[one][begin : begin + self._at_once]:
                self._positions[one] += len(some)
                return {one: some}
        return {}

    async def has_reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        return all(self._positions[one] >= end for one, end in ends.items())


def log_of(times_ms: dict[tuple[str, int], list[int]]) -> Log:
    return {
        TopicPartition(topic, number): [
            Fetched(topic, offset, None, None, (), number, ms) for offset, ms in enumerate(times)
        ]
        for (topic, number), times in times_ms.items()
    }


async def taken(log: Log, *, until_ms: int = 1 << 40, at_once: int = 2) -> list[tuple[int, int, str, int]]:
    """(second of its slice, partition, topic, offset) of each record, in the order in which they come."""
    ends = {one: len(records) for one, records in log.items() if records}
    numbers = {one.partition for one in log}
    reader = cast("Any", LogReader(log, at_once))
    found = RecordedDeliveries(reader, RAW, ends, RecordedTime(0, until_ms), 9, numbers)
    return [
        (slice_.second, number, one.topic, one.offset)
        async for slice_ in found.slices()
        for number, records in slice_.records.items()
        for one in records
    ]


async def test_partitions_and_topics_are_taken_in_order_of_time() -> None:
    callbacks, polled = RAW
    log = log_of(
        {(callbacks, 0): [1000, 1500, 9000], (callbacks, 3): [1200, 8000], (polled, 0): [1000, 8999]}
    )
    assert await taken(log) == [
        (1, 0, callbacks, 0),
        (1, 0, polled, 0),
        (1, 0, callbacks, 1),
        (1, 3, callbacks, 0),
        (8, 3, callbacks, 1),
        (8, 0, polled, 1),
        (9, 0, callbacks, 2),
    ]


@pytest.mark.parametrize("at_once", [1, 2, 3, 4, 9])
async def test_it_ends_where_it_was_asked_to_and_a_topics_own_order_is_kept(at_once: int) -> None:
    callbacks, _ = RAW
    log = log_of({(callbacks, 0): [5000, 4000, 7000, 8000], (callbacks, 1): [6000, 9000]})
    found = await taken(log, until_ms=7000, at_once=at_once)
    assert found == [(5, 0, callbacks, 0), (5, 0, callbacks, 1), (6, 1, callbacks, 0)]


async def test_a_second_with_very_many_records_comes_in_several_slices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording, "SLICE_RECORDS", 3)
    log = log_of({(RAW[0], 0): [1000] * 7})
    reader = cast("Any", LogReader(log, 100))
    ends = {one: len(records) for one, records in log.items()}
    found = RecordedDeliveries(reader, RAW, ends, RecordedTime(0, 1 << 40), 1, {0})
    assert [len(one.records[0]) async for one in found.slices()] == [3, 3, 1]
    assert found.begins_ms == 1000


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(RAW), st.integers(0, 3)),
        st.lists(st.integers(0, 20_000), max_size=12).map(sorted),
        max_size=6,
    ),
    st.integers(1, 5),
)
async def test_each_record_comes_once_and_no_time_goes_back(
    times_ms: dict[tuple[str, int], list[int]], at_once: int
) -> None:
    log = log_of(times_ms)
    found = await taken(log, at_once=at_once)
    assert sorted(one[1:] for one in found) == sorted(
        (tp.partition, tp.topic, record.offset) for tp, records in log.items() for record in records
    )
    assert [one[0] for one in found] == sorted(one[0] for one in found)
