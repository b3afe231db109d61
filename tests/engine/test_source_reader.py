"""What is handed to the lanes when brokers answer out of order: nothing twice, nothing skipped."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from stream.engine import source_reader
from stream.engine.group import FetchedChunk, FetchedRecords
from stream.engine.source_reader import SourceReader
from stream.engine.status import Waits
from stream.kafka.errors import KafkaTimeoutError
from stream.kafka.partitions import TopicPartition
from tests.engine.fakes import ErrorCounter

HERE = TopicPartition("callbacks", 3)
GENERATION = 7


def records(begin: int, end: int) -> list[Any]:
    return [SimpleNamespace(offset=offset) for offset in range(begin, end)]


class Reader:
    """Answers each fetch with the next of `answers`: records from one offset up to another, or a refusal."""

    def __init__(self, *answers: tuple[int, int] | str) -> None:
        self.answers = deque(answers)
        self.bounds: deque[tuple[int, int] | BaseException] = deque()
        self.fetched: list[set[TopicPartition]] = []
        self.sought: list[int] = []
        self.refreshed = 0
        self.position = 500
        self.beside: dict[TopicPartition, Sequence[Any]] = {}
        """What a fetch finds of other partitions."""

    async def fetch(self, partitions: set[TopicPartition], timeout_s: float) -> FetchedRecords:
        self.fetched.append(partitions)
        answer = self.answers.popleft() if self.answers else None
        found = dict(self.beside)
        refused: dict[TopicPartition, int] = {}
        if isinstance(answer, tuple):
            found[HERE] = records(*answer)
            self.position = answer[1]
        elif answer:
            refused[HERE] = self.position
        return FetchedRecords(found, {HERE: self.position}, {HERE: 1000}, 1, refused)

    async def begins(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if isinstance(self.bounds[0], BaseException):
            raise self.bounds.popleft()  # type: ignore[misc]
        return {HERE: self.bounds[0][0]}

    async def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        bounds = self.bounds.popleft() if len(self.bounds) > 1 else self.bounds[0]
        assert isinstance(bounds, tuple)
        return {HERE: bounds[1]}

    async def read_from(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.sought.append(offsets[HERE])
        self.position = offsets[HERE]

    async def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, None]:
        raise AssertionError("not asked for")

    async def refresh(self) -> None:
        self.refreshed += 1


class OpenLanes:
    """The lanes as far as a source reader asks them: open while `open_generation` is GENERATION."""

    group = SimpleNamespace(id="calls-worker", generation=GENERATION)
    sources = frozenset({"callbacks", "polled"})

    def __init__(self) -> None:
        self.open_generation: int | None = GENERATION
        self.observer, self.waits = ErrorCounter(), Waits()

    def broker_responded(self, wall_ms: int, ends: Mapping[TopicPartition, int]) -> None: ...

    def report_expired(self, tp: TopicPartition, first: int, begin: int) -> None:
        self.observer.error("expired")


class Rig:
    def __init__(self, *answers: tuple[int, int] | str) -> None:
        self.reader, self.lanes = Reader(*answers), OpenLanes()
        self.handed: list[tuple[int, int, int, int]] = []
        lanes: Any = self.lanes
        self.flowing = True
        self.closes_at_delivery = False
        self.sources = SourceReader(self.reader, lanes, deliver=self._deliver, flowing=lambda: self.flowing)
        self.sources.begin({HERE: 500})

    @property
    def told(self) -> list[str]:
        return self.lanes.observer.errors

    async def _deliver(self, chunks: Sequence[FetchedChunk]) -> None:
        if self.closes_at_delivery:
            self.lanes.open_generation = None
        for chunk in chunks:
            self.handed.append((chunk.begin, chunk.records[0].offset, chunk.records[-1].offset, chunk.end))

    async def run(self) -> None:
        """Until all answers are taken and nothing is asked about any more."""
        async with asyncio.timeout(10):
            idle = 0
            while self.reader.answers or idle < 2:
                fetched = len(self.reader.fetched)
                await self.sources.fetch({HERE}, 0.0)
                await asyncio.sleep(0)
                idle = idle + 1 if len(self.reader.fetched) > fetched and not self.reader.answers else 0


@pytest.fixture(autouse=True)
def _short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_reader, "FIRST_REST_S", 0.001)
    monkeypatch.setattr(source_reader, "LONGEST_REST_S", 0.002)
    monkeypatch.setattr(source_reader, "IDLE_S", 0.0)


async def test_what_follows_is_handed_on() -> None:
    rig = Rig((500, 510), (510, 520))
    await rig.run()
    assert rig.handed == [(500, 500, 509, 510), (510, 510, 519, 520)]
    assert (rig.reader.sought, rig.told) == ([], [])


async def test_a_consumer_that_was_sent_back_to_the_beginning_is_not_believed_however_often() -> None:
    rig = Rig((500, 510), (0, 100), (0, 100), (0, 100), (510, 520))
    await rig.run()
    assert rig.handed == [(500, 500, 509, 510), (510, 510, 519, 520)]
    assert rig.reader.sought == [510, 510, 510]
    assert rig.told == ["rewound"] * 3
    assert rig.reader.refreshed == 3


async def test_a_hole_that_comes_twice_is_a_hole() -> None:
    rig = Rig((503, 510), (503, 510))
    await rig.run()
    assert rig.handed == [(500, 503, 509, 510)]
    assert (rig.reader.sought, rig.reader.refreshed) == ([500], 0)
    assert rig.told == [], "a worker that was killed leaves one: no broker is at fault"


async def test_an_offset_that_a_stale_broker_refuses_is_asked_for_until_its_successor_has_it() -> None:
    rig = Rig("refused", "refused", "refused", (500, 510))
    rig.reader.bounds.append((0, 300))
    await rig.run()
    assert rig.handed == [(500, 500, 509, 510)]
    assert rig.reader.sought == []
    assert rig.told == ["stale_broker"] * 3
    assert rig.reader.refreshed == 3


async def test_records_that_retention_deleted_are_gone_when_the_log_twice_begins_above_them() -> None:
    rig = Rig("refused", "refused", (700, 710))
    rig.reader.bounds.append((700, 800))
    await rig.run()
    assert rig.handed == [(500, 700, 709, 710)]
    assert rig.reader.sought == [700]
    assert rig.told == ["stale_broker", "expired"]


async def test_where_nobody_leads_the_partition_it_is_asked_again() -> None:
    rig = Rig("refused", "refused", (500, 510))
    rig.reader.bounds.extend([KafkaTimeoutError(), (0, 300)])
    await rig.run()
    assert rig.handed == [(500, 500, 509, 510)]
    assert rig.told == ["stale_broker"]


async def test_a_partition_that_is_asked_about_holds_no_other_back() -> None:
    rig = Rig("refused")
    asked = asyncio.Event()

    async def begins(_: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await asked.wait()
        return {HERE: 0}

    rig.reader.bounds.append((0, 300))
    rig.reader.begins = begins  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        await rig.sources.fetch({HERE}, 0.0)
        await rig.sources.fetch({HERE}, 0.0)
        assert rig.reader.fetched == [{HERE}]
        asked.set()
        await rig.run()
    assert rig.told == ["stale_broker"]


async def test_a_broker_that_is_behind_is_named_until_records_follow() -> None:
    rig = Rig("refused")
    rig.reader.bounds.append((0, 300))
    await rig.run()
    (sentence,) = rig.lanes.waits.sentences()
    assert sentence.startswith("callbacks-3: offset 500 is next, the broker that answers has 0..300. ")
    rig.reader.answers.append((500, 510))
    await rig.run()
    assert rig.lanes.waits.sentences() == ()


async def test_nothing_is_fetched_or_handed_on_outside_the_open_generation() -> None:
    rig = Rig((500, 510))
    rig.lanes.open_generation = None
    await rig.sources.fetch({HERE}, 0.0)
    assert rig.reader.fetched == []
    rig.lanes.open_generation, rig.flowing = GENERATION, False
    await rig.sources.fetch({HERE}, 0.0)
    assert rig.reader.fetched == []
    rig.flowing, fetch = True, rig.reader.fetch

    async def stopped_meanwhile(*asked: Any) -> Any:
        rig.flowing = False
        return await fetch(*asked)

    rig.reader.fetch = stopped_meanwhile
    await rig.sources.fetch({HERE}, 0.0)
    assert (rig.reader.fetched, rig.handed) == ([{HERE}], [])


async def test_a_changelog_among_the_active_partitions_is_not_fetched() -> None:
    rig = Rig((500, 510))
    await rig.sources.fetch({TopicPartition("changelog", 3)}, 0.0)
    assert rig.reader.fetched == []


async def test_what_was_fetched_before_a_rebalance_is_not_handed_on_after_it() -> None:
    rig = Rig((500, 510))
    there = TopicPartition("polled", 3)
    rig.sources.begin({HERE: 500, there: 7})
    rig.reader.beside, rig.closes_at_delivery = {there: records(7, 9)}, True
    await rig.sources.fetch({HERE, there}, 0.0)
    assert rig.handed == [(7, 7, 8, 9)]


async def test_a_refusal_that_comes_after_the_flow_has_stopped_is_not_looked_into() -> None:
    rig = Rig("refused")
    rig.flowing = False
    await rig.sources.fetch({HERE}, 0.0)
    await asyncio.sleep(0)
    assert rig.reader.refreshed == 0


async def test_what_is_asked_about_a_partition_ends_with_its_assignment() -> None:
    rig = Rig("refused")
    rig.reader.bounds.append((0, 300))
    ended = asyncio.Event()

    async def begins(_: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    rig.reader.begins = begins  # type: ignore[method-assign]
    await rig.sources.fetch({HERE}, 0.0)
    await asyncio.sleep(0.01)
    rig.sources.stop()
    await asyncio.wait_for(ended.wait(), 5)
    assert rig.told == []
