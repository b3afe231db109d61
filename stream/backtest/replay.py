"""One set of rules on recorded deliveries: the job of a worker, with all of its partitions, without Kafka.

Ticks are not kept as long as deliveries, so they are derived: a partition gets one in each second in which
something is due there, as from a worker. What calls tell about scopes and about each other goes to the
partition that it would be written to, and is taken before the next slice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from itertools import count
from typing import Any, NamedTuple

import orjson

from stream.backtest.recording import SLICE_RECORDS, RecordedSlice
from stream.core.timestamps import SECOND_US, utc
from stream.engine.batch import EACH, KEYED, Batch, Output, Processor
from stream.kafka.partitions import partition_of
from stream.kafka.topics import Topics

ENTRY_BYTES = 600
"""What an entry of the table and of the index of due calls takes beside its key and value."""


class DerivedRecord(NamedTuple):
    """A record of the internal topics, which a worker would have written."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class ReplayedPartition:
    """The table of one partition, and what waits for it."""

    def __init__(self) -> None:
        self.states: dict[bytes, bytes] = {}
        self.told: deque[DerivedRecord] = deque()
        self.due_s: int | None = None
        self.ticked_s = 0

    def next_tick_s(self) -> int | None:
        """The second of the next tick. One that has left something due is followed by the next second's."""
        return None if self.due_s is None else max(self.due_s, self.ticked_s + 1)


class Replay:
    """A job and its tables.

    - `partitions`: all of them, by number; `alerts`: alert records that were not taken yet.
    - `unreadable`: dead letters; `bytes`: about how much memory the tables take.
    """

    def __init__(
        self, job: Processor, topics: Topics, partition_count: int, numbers: Collection[int]
    ) -> None:
        """`numbers`: the partitions of which deliveries come. The others count what is told of scopes."""
        self.alerts: list[bytes] = []
        self.unreadable = 0
        self.bytes = 0
        self._job = job
        self._topics = topics
        self._numbers = frozenset(numbers)
        self.partitions = {number: ReplayedPartition() for number in range(partition_count)}
        self._offsets = count()
        for number in self.partitions:
            job.partition_assigned(number, ())

    def take(self, slice_: RecordedSlice) -> None:
        """Let time go on to the slice's second, then take its records."""
        self.advance(slice_.second)
        for number, records in slice_.records.items():
            self._process(number, records)
        self._take_told(slice_.second)

    def advance(self, second: int) -> None:
        """Let time go on to `second`."""
        while (next_s := self._next_tick_s()) is not None and next_s <= second:
            for number, partition in self.partitions.items():
                due_s = partition.next_tick_s()
                if due_s is not None and due_s <= next_s:
                    self._tick(number, next_s)
            self._take_told(next_s)

    def _next_tick_s(self) -> int | None:
        seconds = (one.next_tick_s() for one in self.partitions.values())
        return min((second for second in seconds if second is not None), default=None)

    def _tick(self, number: int, second: int) -> None:
        value = orjson.dumps({"v": 1, "now": utc(second * SECOND_US)})
        tick = self._derived(self._topics.ticks, number, second, None, value)
        while self._process(number, [tick]).unfinished:
            pass
        self.partitions[number].ticked_s = second

    def _take_told(self, second: int) -> None:
        """What has been told is taken; what that tells in turn, too."""
        waiting = True
        while waiting:
            waiting = False
            for number, partition in self.partitions.items():
                if partition.told:
                    waiting = True
                    records = [one._replace(timestamp=second * 1000) for one in partition.told]
                    partition.told.clear()
                    self._process(number, records)

    def _process(self, number: int, records: Sequence[Any]) -> Batch:
        """Fold records as batches of a worker, and keep the states. Returns the last batch."""
        partition = self.partitions[number]
        at = 0
        while True:
            batch = self._job.process(number, records[at : at + SLICE_RECORDS], partition.states.get)
            self._keep(partition, batch)
            partition.due_s = batch.due_s
            self._route(number, batch)
            at += batch.taken if batch.taken is not None else SLICE_RECORDS
            if at >= len(records):
                return batch

    def _keep(self, partition: ReplayedPartition, batch: Batch) -> None:
        for key, state in batch.states.items():
            before = partition.states.pop(key, None)
            if before is not None:
                self.bytes -= len(key) + len(before) + ENTRY_BYTES
            if state is not None:
                partition.states[key] = state
                self.bytes += len(key) + len(state) + ENTRY_BYTES
        batch.committed()

    def _route(self, number: int, batch: Batch) -> None:
        """What a worker would write: only what the comparison and the second step need is kept."""
        outputs = batch.outputs
        self.alerts += (Output(*one).value or b"" for one in outputs.get(self._topics.alerts, ()))
        self.unreadable += len(outputs.get(self._topics.dead_letters, ()))
        for one in outputs.get(self._topics.scopes, ()):
            key, value, _, partition = Output(*one)
            keyed = partition_of(key or b"", len(self.partitions)) if partition == KEYED else number
            for target in range(len(self.partitions)) if partition == EACH else (keyed,):
                if target in self._numbers or _is_of_a_scope(value):
                    record = self._derived(self._topics.scopes, target, 0, key, value)
                    self.partitions[target].told.append(record)

    def _derived(
        self, topic: str, number: int, second: int, key: bytes | None, value: bytes | None
    ) -> DerivedRecord:
        return DerivedRecord(topic, number, next(self._offsets), second * 1000, key, value)


def _is_of_a_scope(value: bytes | None) -> bool:
    """A call whose deliveries are not read is not to begin because another one names it."""
    return orjson.loads(value or b"{}").get("kind") in ("told", "forgotten")
