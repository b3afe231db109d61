"""What the consumer reads ahead, with a group and a database that do as the test says."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import pytest
from sqlalchemy.exc import OperationalError

from stream.archive.writing import consumer, same_topics
from stream.archive.writing.consumer import ArchiveConsumer
from stream.archive.writing.decoded_batch import ROLES, DecodedBatch, TopicRecord
from stream.archive.writing.writer import ArchiveWriter, FencedError, OffsetRange, WrittenBatch
from stream.kafka.client import consumers
from stream.kafka.partitions import TopicPartition
from stream.service.metrics.archive import ArchiveMetrics
from tests.archive.kept import replayed

EVENTS = "calls.events.v1"
TOPICS = {f"calls.{role}.v1": role for role in ROLES}
LIMIT_S = 10.0


class Fetched(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None


class Group:
    """A member's consumer over one partition of events.

    - `gate`: closed, no fetch returns. `markers`: of transactions, behind the records.
    - `begin`: the first offset that is kept.
    """

    def __init__(self) -> None:
        self.markers = 0
        self.begin = 0
        self.log = [value for role, _, value in replayed("amd") if role == "events"]
        self.at: dict[TopicPartition, int] = defaultdict(int)
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0
        self.committed: dict[TopicPartition, int] = {}

    async def join(
        self, *_: object, revoked: Callable[[], Any], assigned: Callable[..., Any], **__: object
    ) -> Group:
        self.revoked: Callable[[], Awaitable[None]] = revoked
        self.assigned: Callable[[frozenset[int]], Awaitable[None]] = assigned
        await self.assigned(frozenset({0}))
        return self

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Fetched]]:
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        tp = TopicPartition(EVENTS, 0)
        first = max(self.at[tp], self.begin)
        some = self.log[first : first + max_records]
        if not some:
            await asyncio.sleep(0.01)
        self.at[tp] = first + len(some) if some else self.last_stable_offset(tp)
        return {tp: [Fetched(first + number, b"", value) for number, value in enumerate(some)]}

    async def position(self, tp: TopicPartition) -> int:
        return self.at[tp]

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.at[tp] = offset

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self.begin if tp.topic == EVENTS else 0 for tp in partitions}

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self.last_stable_offset(tp) for tp in partitions}

    def last_stable_offset(self, tp: TopicPartition) -> int:
        return len(self.log) + self.markers if tp.topic == EVENTS else 0

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.committed.update(offsets)


class Database:
    """What an ArchiveWriter has written.

    - `fenced`: so many batches are refused. `away`: so often it does not answer where a partition begins.
    """

    def __init__(self) -> None:
        self.offsets: dict[tuple[str, int], int] = defaultdict(int)
        self.ids: list[str] = []
        self.batches = 0
        self.durable_at: list[int] = []
        """After how many ids each durable batch came."""
        self.fenced = self.away = 0
        self.compared: set[tuple[str, int]] = set()

    def begin(
        self, partitions: Collection[tuple[str, int]], ids: Mapping[str, str]
    ) -> dict[tuple[str, int], int]:
        if self.away:
            self.away -= 1
            raise OperationalError("", {}, ConnectionError())
        return {one: self.offsets[one] for one in partitions}

    def write(
        self,
        batch: Sequence[TopicRecord],
        spans: Mapping[tuple[str, int], OffsetRange],
        others: Mapping[tuple[str, int], int],
        *,
        is_durable: bool,
    ) -> WrittenBatch:
        if self.fenced:
            self.fenced -= 1
            raise FencedError
        for one, span in spans.items():
            assert span.first == self.offsets[one]
            self.offsets[one] = span.end
        assert all(at == self.offsets[one] for one, at in others.items())
        self.compared |= others.keys()
        self.ids += ids_of(batch)
        self.batches += bool(batch)
        if is_durable:
            self.durable_at.append(len(self.ids))
        return WrittenBatch(dict.fromkeys(ROLES, 0), dict.fromkeys(ROLES, 0))


@pytest.fixture
async def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    group = Group()
    monkeypatch.setattr(consumer, "BATCH", 2)
    monkeypatch.setattr(consumer, "PAUSE_S", 0.01)
    monkeypatch.setattr(consumers, "join", group.join)

    async def leave(*_: object) -> None: ...

    monkeypatch.setattr(consumers, "leave", leave)

    async def topic_ids(*_: object) -> dict[str, str]:
        return {}

    monkeypatch.setattr(same_topics, "topic_ids", topic_ids)
    return group


@contextlib.asynccontextmanager
async def running(database: Database) -> AsyncIterator[ArchiveConsumer]:
    writer = cast("ArchiveWriter", database)
    reader = ArchiveConsumer(cast("Any", None), TOPICS, "group", 6.0, writer, ArchiveMetrics(ROLES))
    task = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not holds():
            await asyncio.sleep(0.001)


def ids(group: Group) -> Sequence[str]:
    return ids_of([TopicRecord("events", EVENTS, 0, at, b"", value) for at, value in enumerate(group.log)])


def ids_of(records: Sequence[TopicRecord]) -> list[str]:
    return [line.fields.id for line in DecodedBatch(records).events]


async def test_small_batches_are_written_in_their_order(group: Group) -> None:
    database = Database()
    async with running(database):
        await until(lambda: len(database.ids) == len(group.log))
    assert database.ids == ids(group)
    assert database.batches == (len(group.log) + 1) // 2


async def test_the_next_batch_is_read_while_one_is_written(group: Group) -> None:
    database, writes = Database(), asyncio.Event()
    write = database.write

    def slow(batch: Sequence[TopicRecord], *offsets: Any, is_durable: bool) -> WrittenBatch:
        loop.call_soon_threadsafe(writes.set)
        asyncio.run_coroutine_threadsafe(
            until(lambda: group.at[TopicPartition(EVENTS, 0)] > 2), loop
        ).result()
        return write(batch, *offsets, is_durable=is_durable)

    loop = asyncio.get_running_loop()
    database.write = slow  # type: ignore[method-assign]
    async with running(database):
        await until(lambda: len(database.ids) == len(group.log))
    assert database.ids == ids(group)


@pytest.mark.parametrize("markers", [0, 1])
async def test_only_the_last_batch_before_a_pause_waits_for_the_disk(group: Group, markers: int) -> None:
    """Where only markers of transactions follow the records, one without records says that all is durable."""
    group.markers = markers
    database = Database()
    async with running(database):
        await until(lambda: len(group.log) in database.durable_at)
        await asyncio.sleep(0.1)
    assert database.durable_at == [len(group.log)]
    assert database.batches == (len(group.log) + 1) // 2
    assert database.offsets[EVENTS, 0] == len(group.log)


async def test_the_offsets_from_which_it_begins_are_made_durable(group: Group) -> None:
    """The one before may have written them without the disk."""
    database = Database()
    database.offsets[EVENTS, 0] = len(group.log)
    async with running(database):
        await until(lambda: database.durable_at)
        await asyncio.sleep(0.1)
    assert database.durable_at == [0]


async def test_a_database_that_answers_again_is_up_before_anything_is_written(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "RETRY_S", 0.1)
    group.log.clear()
    database = Database()
    database.away = 1
    async with running(database) as reader:
        up = partial(reader._metrics.registry.get_sample_value, "callstream_archive_up")
        await until(lambda: up() == 0)
        await until(lambda: up() == 1)
    assert database.ids == []


async def test_a_database_that_neither_answers_nor_fails_is_told_until_it_answers(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is frozen keeps its connections. The role stayed ready."""
    monkeypatch.setattr(consumer, "SILENT_S", 0.1)
    database, thaws = Database(), threading.Event()
    write = database.write
    database.write = lambda *args, **more: write(*args, **more) if thaws.wait(LIMIT_S) else None  # type: ignore[method-assign, assignment]
    async with running(database) as reader:
        up = partial(reader._metrics.registry.get_sample_value, "callstream_archive_up")
        await until(lambda: up() == 0)
        assert reader.trouble == "no answer in 0.1 s"
        thaws.set()
        await until(lambda: up() == 1)
        assert reader.trouble is None


async def test_what_was_read_ahead_before_a_rebalance_is_read_again(group: Group) -> None:
    """A fetch that is under way then gives what follows on the new place, and nobody takes it."""
    database = Database()
    async with running(database):
        await until(lambda: database.batches)
        group.gate.clear()
        await until(lambda: group.waiting)
        await group.revoked()
        await group.assigned(frozenset({0}))
        await asyncio.sleep(0.05)
        group.gate.set()
        await until(lambda: len(database.ids) == len(group.log))
    assert database.ids == ids(group)


async def test_what_was_read_ahead_of_a_refused_batch_is_read_again(group: Group) -> None:
    database = Database()
    database.fenced = 1
    async with running(database):
        await until(lambda: len(database.ids) == len(group.log))
    assert database.ids == ids(group)


async def test_the_writer_compares_the_partitions_of_which_a_batch_has_nothing(group: Group) -> None:
    """`Database.write` asserts that they are where the writer says."""
    database = Database()
    group.gate.clear()
    async with running(database):
        await until(lambda: group.waiting)
        await group.revoked()
        await group.assigned(frozenset({0, 1}))
        group.gate.set()
        await until(lambda: len(database.ids) == len(group.log))
    assert {number for _, number in database.compared} == {1}


@pytest.mark.parametrize("written", [0, 1, 3])
async def test_what_the_topic_no_longer_has_is_told_and_the_rest_is_read(
    group: Group, caplog: pytest.LogCaptureFixture, written: int
) -> None:
    """An archive that begins lacks nothing."""
    group.begin = 3
    database = Database()
    database.offsets[EVENTS, 0] = written
    async with running(database):
        await until(lambda: len(database.ids) == len(group.log) - 3)
    assert database.ids == ids(group)[3:]
    told = f"records were deleted before they were archived: {EVENTS}[0] offsets 1 to 2"
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == [told] * (written == 1)


async def test_offsets_beyond_the_end_are_of_another_topic_and_nothing_is_read(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(same_topics, "RECHECK_S", 0.01)
    database = Database()
    database.offsets[EVENTS, 0] = len(group.log) + 1
    async with running(database) as reader:
        await until(lambda: reader.topics.other)
        await asyncio.sleep(0.1)
        assert database.batches == 0
        assert reader.topics.other == f"{EVENTS}[0] ends before offset {len(group.log) + 1}"
        database.offsets.clear()  # rebuilt
        await until(lambda: len(database.ids) == len(group.log))
        assert reader.topics.other is None


@pytest.mark.parametrize("more", [False, True])
async def test_a_topic_that_is_made_again_is_noticed_by_where_its_records_begin(
    group: Group, monkeypatch: pytest.MonkeyPatch, more: bool
) -> None:
    """Kafka's client goes on at its beginning. It may have as many records as the old one by then."""
    monkeypatch.setattr(same_topics, "RECHECK_S", 0.01)
    database = Database()
    async with running(database) as reader:
        await until(lambda: len(database.ids) == len(group.log))
        written = [*database.ids]
        if not more:
            del group.log[3:]
        group.at[TopicPartition(EVENTS, 0)] = 0
        if more:  # offsets alone do not tell
            await asyncio.sleep(0.1)
            assert database.ids == written
        else:
            await until(lambda: reader.topics.other)
    assert database.ids == written
