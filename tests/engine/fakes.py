"""A consumer group, a producer, a job and brokers that do as they are told: no Faust, no Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from stream.engine.batch import Batch, Output
from stream.engine.group import FetchedChunk, FetchedRecords, PartitionReader
from stream.engine.status import Observer
from stream.kafka.client.member_commit import Member
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import CommittedOffset, TransactionPart

CHANGELOG = "changelog"


class FakeGroup:
    """A member of a group of one."""

    id = "calls-worker"

    def __init__(self, reader: PartitionReader, generation: int = 1) -> None:
        self.reader = reader
        self.generation = generation
        self.session_timeout_s = 30.0
        self.paused: set[tuple[str, int]] = set()

    def pause(self, topic: str, partition: int) -> None:
        self.paused.add((topic, partition))

    def resume(self, topic: str, partition: int) -> None:
        self.paused.discard((topic, partition))


class Leader:
    """One broker's log of a partition: `records` are offsets, `end` the last stable offset that it knows."""

    def __init__(self, records: Iterable[int] = (), begin: int = 0, end: int | None = None) -> None:
        self.records = sorted(records)
        self.begin = begin
        self.end = (self.records[-1] + 1 if self.records else 0) if end is None else end


class Brokers:
    """A `PartitionReader`. The first of `leaders` answers for all partitions; `refresh` moves on to the next.

    `commits` are the group's, by source partition: each is answered once, the last one for ever. The
    coordinator confirms the member while `confirms`.
    """

    def __init__(
        self,
        *leaders: Leader,
        commits: Sequence[Mapping[TopicPartition, CommittedOffset | None]] = (),
        moves_after: int = 1,
    ) -> None:
        self.leaders = list(leaders) or [Leader()]
        self.commits = list(commits) or [{}]
        self.refreshed = 0
        self.confirms = True
        self.confirmations = 0
        self.fails: list[BaseException] = []
        self.resets_to: int | None = None
        self.read: list[Mapping[TopicPartition, int]] = []
        self._moves_after = moves_after
        self._position: dict[TopicPartition, int] = {}

    async def begins(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.leaders[0].begin)

    async def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if self.fails:
            raise self.fails.pop(0)
        return dict.fromkeys(partitions, self.leaders[0].end)

    async def committed(
        self, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, CommittedOffset | None]:
        commits = self.commits.pop(0) if len(self.commits) > 1 else self.commits[0]
        return {tp: commits.get(tp) for tp in partitions}

    async def read_from(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.read.append(offsets)
        self._position.update(offsets)

    async def fetch(self, partitions: set[TopicPartition], timeout_s: float) -> FetchedRecords:
        leader = self.leaders[0]
        records: dict[TopicPartition, Sequence[Any]] = {}
        refused: dict[TopicPartition, int] = {}
        for tp in partitions:
            at = self._position[tp]
            if self.resets_to is not None:
                at, self.resets_to = self.resets_to, None
            if not leader.begin <= at <= leader.end:
                refused[tp] = at
                continue
            found = [offset for offset in leader.records if at <= offset < leader.end][:100]
            if found:
                records[tp] = [
                    SimpleNamespace(offset=offset, key=b"%d" % (offset % 7), value=b"%d" % offset)
                    for offset in found
                ]
            more = found and any(found[-1] < offset < leader.end for offset in leader.records)
            self._position[tp] = found[-1] + 1 if more else leader.end
        return FetchedRecords(records, {tp: self._position[tp] for tp in partitions}, {}, 0, refused)

    def member(self) -> Member:
        return Member(1, "me", None)

    async def confirmed(self) -> bool:
        self.confirmations += 1
        return self.confirms

    async def refresh(self) -> None:
        self.refreshed += 1
        if self.refreshed >= self._moves_after and len(self.leaders) > 1:
            self.leaders.pop(0)


class FakeProducer:
    """Commits into `broker`. Each of `fails` is raised by one transaction: (error, committed before it)."""

    def __init__(self, broker: dict[TopicPartition, CommittedOffset | None]) -> None:
        self.broker = broker
        self.fails: list[tuple[BaseException, bool]] = []
        self.open_fails: list[BaseException] = []
        self.written: list[dict[int, Mapping[str, Sequence[Output]]]] = []
        self.opened = self.begun = 0
        self.closed = False
        self.hangs: asyncio.Event | None = None

    async def open(self) -> None:
        if self.open_fails:
            raise self.open_fails.pop(0)
        self.opened += 1

    async def close(self) -> None:
        self.closed = True

    async def transact(self, parts: Sequence[TransactionPart], *, changelog: str) -> dict[int, int]:
        self.begun += 1
        if self.hangs is not None:
            await self.hangs.wait()
        error, committed = self.fails.pop(0) if self.fails else (None, True)
        ends = {part.partition: part.changelog_end + len(part.outputs.get(changelog, ())) for part in parts}
        if committed:
            self.written.append({part.partition: part.outputs for part in parts})
            for part in parts:
                for topic, offset in part.offsets.items():
                    at = CommittedOffset(offset, ends[part.partition])
                    self.broker[TopicPartition(topic, part.partition)] = at
        if error is not None:
            raise error
        return ends


class KeepLast:
    """A job that keeps the last value of each key; fails as often as told, takes as many records as told.

    A key that is there already comes to nothing.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.takes: int | None = None
        self.committed: list[int] = []
        self.assigned: list[tuple[int, dict[bytes, bytes]]] = []
        self.revoked: list[int] = []

    def process(self, partition: int, records: Sequence[Any], get: Callable[[bytes], bytes | None]) -> Batch:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("told to")
        records = records[: self.takes]
        states: dict[bytes, bytes | None] = {
            record.key: record.value for record in records if get(record.key) != record.value
        }
        unfinished = self.takes is not None
        return Batch(states, {}, lambda: self.committed.append(len(records)), self.takes, unfinished, 7)

    def partition_assigned(self, partition: int, items: Iterable[tuple[bytes, bytes]]) -> None:
        self.assigned.append((partition, dict(items)))

    def partition_revoked(self, partition: int) -> None:
        self.revoked.append(partition)


class NullObserver(Observer):
    """Counts nothing."""


class ErrorCounter(NullObserver):
    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, kind: str) -> None:
        self.errors.append(kind)


class ProcessEnded(BaseException):
    """What the process would have ended with: (reason, exit code)."""


def raise_process_ended(reason: str, code: int = 75) -> None:
    """In place of `end_process`."""
    raise ProcessEnded(reason, code)


def chunk_of(topic: str, partition: int, first: int, *values: bytes, generation: int = 1) -> FetchedChunk:
    """Records of `topic` with `values`, which are their keys too, from offset `first` on."""
    records: list[Any] = [
        SimpleNamespace(topic=topic, key=value, value=value, offset=first + at, timestamp=first + at)
        for at, value in enumerate(values)
    ]
    return FetchedChunk(topic, partition, generation, first, records, first + len(records))
