"""What is handed to the lanes when brokers answer out of order: nothing twice, nothing skipped.

The Kafka thread is a fake; Faust's consumer is made without its start.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from faust.types import TP

from stream.engine import continuity
from stream.engine.continuity import Continuity
from stream.engine.partition_log import Fetched
from stream.faust_bridge.consumer import Chunk, LaneConsumer

HERE = TP("callbacks", 3)
GENERATION = 7


def records(begin: int, end: int) -> list[Any]:
    return [SimpleNamespace(offset=offset, timestamp=0, timestamp_type=1) for offset in range(begin, end)]


class Thread:
    """Answers each fetch with the next of `answers`: records from one offset up to another, or an error."""

    def __init__(self, *answers: tuple[int, int] | str) -> None:
        self.answers = deque(answers)
        self.bounds: deque[tuple[int, int] | BaseException] = deque()
        self.sought: list[int] = []
        self.refreshed = 0
        self.confirmations = 0
        self.position = 500

    async def fetch(self, partitions: set[TP], timeout_s: float) -> Fetched:
        answer = self.answers.popleft() if self.answers and HERE in partitions else None
        found: dict[TopicPartition, Sequence[Any]] = {}
        refused: dict[TP, int] = {}
        if isinstance(answer, tuple):
            found[TopicPartition(*HERE)] = records(*answer)
            self.position = answer[1]
        elif answer:
            refused[HERE] = self.position
        return Fetched(found, {HERE: self.position}, {HERE: 1000}, 1, refused)

    async def begins(self, partitions: Sequence[TP]) -> dict[TP, int]:
        if isinstance(self.bounds[0], BaseException):
            raise self.bounds.popleft()  # type: ignore[misc]
        return {HERE: self.bounds[0][0]}

    async def ends(self, partitions: Sequence[TP]) -> dict[TP, int]:
        bounds = self.bounds.popleft() if len(self.bounds) > 1 else self.bounds[0]
        assert isinstance(bounds, tuple)
        return {HERE: bounds[1]}

    async def read_from(self, offsets: Mapping[TP, int]) -> None:
        self.sought.append(offsets[HERE])
        self.position = offsets[HERE]

    async def confirmed(self) -> bool:
        self.confirmations += 1
        if self.confirmations % 2:
            raise KafkaTimeoutError
        return True

    async def refresh(self) -> None:
        self.refreshed += 1


class Lanes:
    """Remembers what it was told."""

    gate = GENERATION
    sources = frozenset({"callbacks"})

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.opened = asyncio.Event()

    async def open(self, assigned: set[TP], generation: int) -> None:
        await self.opened.wait()
        self.told.append(("open", assigned, generation))

    def heard(self, wall_ms: int, ends: Mapping[TP, int]) -> None: ...

    def follows(self, tp: TP) -> None: ...

    def rewound(self, tp: TP, expected: int, found: int) -> None:
        self.told.append(("rewound", expected, found))

    def behind(self, tp: TP, expected: int, begin: int, end: int) -> None:
        self.told.append(("behind", expected, begin, end))

    def expired(self, tp: TP, committed: int, begin: int) -> None:
        self.told.append(("expired", committed, begin))


class Rig:
    def __init__(self, *answers: tuple[int, int] | str) -> None:
        self.thread, self.lanes = Thread(*answers), Lanes()
        self.handed: list[tuple[int, int, int, int]] = []
        consumer: Any = object.__new__(LaneConsumer)
        consumer.app = SimpleNamespace(
            consumer_generation_id=GENERATION,
            lanes=self.lanes,
            conf=SimpleNamespace(broker_heartbeat_interval=0.001),
        )
        consumer._stopped, consumer._crashed = asyncio.Event(), asyncio.Event()
        consumer._thread = self.thread
        consumer._continuity, consumer._inquiries = Continuity(), {}
        consumer._continuity.begin({HERE: 500})
        consumer._buffered_partitions = set()
        consumer._get_active_partitions = lambda: {HERE}

        async def callback(message: Any) -> None:
            chunk: Chunk = message.value
            self.handed.append((chunk.begin, chunk.records[0].offset, chunk.records[-1].offset, chunk.end))

        consumer.callback = callback
        self.consumer = consumer

    async def run(self) -> None:
        async with asyncio.timeout(10):
            while self.thread.answers or self.consumer._inquiries:
                await self.consumer._hand_on(0.0)
                await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuity, "FIRST_REST_S", 0.001)
    monkeypatch.setattr(continuity, "LONGEST_REST_S", 0.002)


async def test_what_follows_is_handed_on() -> None:
    rig = Rig((500, 510), (510, 520))
    await rig.run()
    assert rig.handed == [(500, 500, 509, 510), (510, 510, 519, 520)]
    assert (rig.thread.sought, rig.lanes.told) == ([], [])


async def test_a_consumer_that_was_sent_back_to_the_beginning_is_not_believed_however_often() -> None:
    rig = Rig((500, 510), (0, 100), (0, 100), (0, 100), (510, 520))
    await rig.run()
    assert rig.handed == [(500, 500, 509, 510), (510, 510, 519, 520)]
    assert rig.thread.sought == [510, 510, 510]
    assert rig.lanes.told == [("rewound", 510, 0)] * 3
    assert rig.thread.refreshed == 3


async def test_a_hole_that_comes_twice_is_a_hole() -> None:
    rig = Rig((503, 510), (503, 510))
    await rig.run()
    assert rig.handed == [(500, 503, 509, 510)]
    assert (rig.thread.sought, rig.lanes.told) == ([500], [("rewound", 500, 503)])


async def test_an_offset_that_a_stale_broker_refuses_is_asked_for_until_its_successor_has_it() -> None:
    rig = Rig("refused", "refused", "refused", (500, 510))
    rig.thread.bounds.append((0, 300))
    await rig.run()
    assert rig.handed == [(500, 500, 509, 510)]
    assert rig.thread.sought == []
    assert rig.lanes.told == [("behind", 500, 0, 300)] * 3
    assert rig.thread.refreshed == 3


async def test_records_that_retention_deleted_are_gone_when_the_log_twice_begins_above_them() -> None:
    rig = Rig("refused", "refused", (700, 710))
    rig.thread.bounds.append((700, 800))
    await rig.run()
    assert rig.handed == [(500, 700, 709, 710)]
    assert rig.thread.sought == [700]
    assert rig.lanes.told == [("behind", 500, 700, 800), ("expired", 500, 700)]


async def test_where_nobody_leads_the_partition_it_is_asked_again() -> None:
    rig = Rig("refused", "refused", (500, 510))
    rig.thread.bounds.extend([KafkaTimeoutError(), (0, 300)])
    await rig.run()
    assert rig.handed == [(500, 500, 509, 510)]
    assert rig.lanes.told == [("behind", 500, 0, 300)]


async def test_a_partition_that_is_asked_about_holds_no_other_back() -> None:
    rig = Rig("refused")
    asked = asyncio.Event()

    async def begins(_: Sequence[TP]) -> dict[TP, int]:
        await asked.wait()
        return {HERE: 0}

    rig.thread.bounds.append((0, 300))
    rig.thread.begins = begins  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        await rig.consumer._hand_on(0.0)
        await rig.consumer._hand_on(0.0)
        assert HERE in rig.consumer._inquiries
        asked.set()
        await rig.run()
    assert rig.lanes.told == [("behind", 500, 0, 300)]


async def test_a_worker_stays_a_member_of_its_group_however_long_its_lanes_take_to_open() -> None:
    """aiokafka sends no heartbeats before: a worker whose lanes took longer than a session was thrown out."""
    rig = Rig()
    opening = asyncio.create_task(rig.consumer._open({HERE}, GENERATION))
    async with asyncio.timeout(10):
        while rig.thread.confirmations < 4:
            await asyncio.sleep(0.001)
    rig.lanes.opened.set()
    await opening
    assert rig.lanes.told == [("open", {HERE}, GENERATION)]
    confirmations = rig.thread.confirmations
    await asyncio.sleep(0.02)
    assert rig.thread.confirmations == confirmations
