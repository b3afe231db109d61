"""The recorded deliveries of a time, in the order in which the lanes of a worker take them.

They are merged by the broker's timestamp over all partitions and both raw topics. No partition runs ahead of
the others, and none has more in memory than one fetch.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, NamedTuple

from stream.kafka.client.connection import Connection
from stream.kafka.partitions import TopicPartition
from stream.kafka.topic_reader import Offsets, TopicReader, ends_of, offsets_since, read_from

SLICE_RECORDS = 1000
"""Records of a slice at most: a worker's batch."""
PARTITION_FETCH_BYTES = 512 * 1024


class RecordedSlice(NamedTuple):
    """Consecutive records of one second (Unix time), by partition number."""

    second: int
    records: dict[int, list[Any]]


class RecordedTime(NamedTuple):
    """From `from_ms` (included) to `until_ms` (excluded), in milliseconds since 1970."""

    from_ms: int
    until_ms: int


class RecordedDeliveries:
    """The raw topics of one time. `numbers`: the partitions that are read, of `partition_count`."""

    def __init__(
        self,
        reader: TopicReader | None,
        topics: Sequence[str],
        ends: Offsets,
        time: RecordedTime,
        partition_count: int,
        numbers: Collection[int],
    ) -> None:
        self.partition_count = partition_count
        self.numbers = sorted(numbers)
        self.begins_ms: int | None = None
        """The time of the first record, once it was read."""
        self._reader = reader
        self._precedence = {topic: at for at, topic in enumerate(topics)}
        self._ends = dict(ends)
        self._until_ms = time.until_ms

    async def slices(self) -> AsyncGenerator[RecordedSlice]:
        """All records, second by second. One with very many comes in several slices. Raises KafkaError.

        A topic's own order is kept, whatever its timestamps say.
        """
        waiting: list[tuple[int, int, int, int, Any, Any]] = []
        turns = count()  # heads are never compared by their records
        wanted = set(self._ends)
        at_ms, second, size = 0, 0, 0
        records: dict[int, list[Any]] = {}
        while wanted or waiting:
            if wanted:
                for partition, some in (await self._fetched(wanted)).items():
                    self._add(waiting, next(turns), partition, iter(some), at_ms)
                    wanted.discard(partition)
                continue
            at_ms, precedence, number, _, record, others = waiting[0]
            if (at_ms // 1000 != second or size >= SLICE_RECORDS) and records:
                yield RecordedSlice(second, records)
                records, size = {}, 0
            second = at_ms // 1000
            if self.begins_ms is None:
                self.begins_ms = at_ms
            records.setdefault(number, []).append(record)
            size += 1
            following = next(others, None)
            if following is None:
                heapq.heappop(waiting)
                wanted = {TopicPartition(record.topic, record.partition)} & self._ends.keys()
            elif following.timestamp < self._until_ms:
                head = (max(at_ms, following.timestamp), precedence, number, next(turns), following, others)
                heapq.heapreplace(waiting, head)
            else:
                heapq.heappop(waiting)
                self._ends.pop(TopicPartition(record.topic, record.partition), None)
        if records:
            yield RecordedSlice(second, records)

    def _add(
        self, waiting: list[Any], turn: int, partition: TopicPartition, some: Any, least_ms: int
    ) -> None:
        first = next(some)
        if first.timestamp >= self._until_ms:
            self._ends.pop(partition, None)
            return
        at_ms = max(least_ms, first.timestamp)
        head = (at_ms, self._precedence[partition.topic], partition.partition, turn, first, some)
        heapq.heappush(waiting, head)

    async def _fetched(self, wanted: set[TopicPartition]) -> dict[TopicPartition, Sequence[Any]]:
        """The next records of some of these. Those that have ended are taken out of `wanted`."""
        assert self._reader is not None
        found: dict[TopicPartition, Sequence[Any]] = {}
        for partition, some in (await self._reader.read(partitions=wanted)).items():
            end = self._ends[partition]
            known = [record for record in some if record.offset < end]
            if known:
                found[partition] = known
        for partition in list(wanted):
            if await self._reader.has_reached({partition: self._ends[partition]}):
                del self._ends[partition]
                if partition not in found:
                    wanted.discard(partition)
        return found


@asynccontextmanager
async def opened_recording(
    cluster: Connection, topics: Sequence[str], time: RecordedTime, numbers: Collection[int] | None = None
) -> AsyncIterator[RecordedDeliveries]:
    """What is recorded now of this time in the raw `topics`, in their order of precedence.

    `numbers`: only these partitions; those that do not exist are left out. Raises MissingTopicError,
    KafkaError.
    """
    ends = await ends_of(cluster, topics)
    partition_count = 1 + max(one.partition for one in ends)
    chosen = {one.partition for one in ends if numbers is None or one.partition in numbers}
    ends = {one: end for one, end in ends.items() if one.partition in chosen}
    starts = await offsets_since(cluster, list(ends), time.from_ms) if ends else {}
    starts = {one: offset for one, offset in starts.items() if offset < ends[one]}
    ends = {one: ends[one] for one in starts}
    if not starts:
        yield RecordedDeliveries(None, topics, {}, time, partition_count, chosen)
        return
    async with read_from(cluster, starts, max_partition_fetch_bytes=PARTITION_FETCH_BYTES) as reader:
        yield RecordedDeliveries(reader, topics, ends, time, partition_count, chosen)
