"""The lanes of an assignment: fenced, recovered, opened, handed over, closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from stream.engine import lanes as lanes_module
from stream.engine.batch import BatchPolicy
from stream.engine.group import AssignmentOver
from stream.engine.lanes import Lanes
from stream.engine.states import DictStates
from stream.kafka.client.member_commit import Member
from stream.kafka.errors import KafkaConnectionError
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import CommittedOffset, Fenced, Produced
from tests.engine.fakes import (
    CHANGELOG,
    Brokers,
    ErrorCounter,
    FakeGroup,
    FakeProducer,
    KeepLast,
    Leader,
    ProcessEnded,
    chunk_of,
)

SOURCES = ("callbacks", "ticks")
CALLBACKS = TopicPartition("callbacks", 3)


def assigned(*numbers: int) -> set[TopicPartition]:
    return {TopicPartition(topic, number) for topic in (*SOURCES, CHANGELOG) for number in numbers}


class LanesRig:
    """The lanes of one worker on `broker`, the committed offsets, which another worker may share."""

    def __init__(
        self, broker: dict[TopicPartition, CommittedOffset | None] | None = None, leader: Leader | None = None
    ) -> None:
        self.broker = {} if broker is None else broker
        self.group = FakeGroup(Brokers(leader or Leader(), commits=[self.broker]))
        self.states, self.job, self.observer = DictStates(), KeepLast(), ErrorCounter()
        self.producers: dict[int | str, FakeProducer] = {}
        self.open_fails: list[BaseException] = []
        self.lanes = Lanes(
            self.group,
            self.states,
            sources=SOURCES,
            changelog=CHANGELOG,
            new_producer=self._new_producer,
            processor=self.job,
            observer=self.observer,
            policy=BatchPolicy(max_batch=10, collect_s=0.0, latency_s=0.0, hold_s=0.01, tries=3),
        )

    def _new_producer(self, name: int | str, produced: Produced, member: Member) -> FakeProducer:
        producer = self.producers[name] = FakeProducer(self.broker)
        producer.open_fails = self.open_fails
        return producer

    async def run(self, *numbers: int) -> None:
        """One assignment, up to its opening."""
        generation = self.group.generation
        await self.lanes.open(assigned(*numbers), generation)
        await self.lanes.recover(numbers, generation)
        await self.lanes.start(generation)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)


async def test_an_assignment_is_fenced_then_recovered_then_opened() -> None:
    rig = LanesRig({CALLBACKS: CommittedOffset(7, 20)}, Leader(range(20)))
    await rig.lanes.open(assigned(3), 1)
    assert (rig.producers[3].opened, rig.job.assigned) == (1, [])
    await rig.lanes.recover([3], 1)
    assert rig.lanes.open_generation is None
    assert rig.states.position(3) == 20
    assert rig.lanes.start_offsets() == {CALLBACKS: 7, TopicPartition("ticks", 3): 0}
    await rig.lanes.start(1)
    assert rig.job.assigned == [(3, dict(rig.states.items(3)))]
    assert (rig.lanes.open_generation, rig.lanes.partition_numbers()) == (1, [3])
    await rig.lanes.close(1)
    assert (rig.job.revoked, rig.producers[3].closed) == ([3], True)


async def test_records_of_another_generation_or_partition_are_not_taken() -> None:
    rig = LanesRig()
    await rig.run(3)
    rig.lanes.put(chunk_of("callbacks", 3, 0, b"old", generation=0))
    rig.lanes.put(chunk_of("callbacks", 4, 0, b"another's"))
    rig.lanes.put(chunk_of("callbacks", 3, 0, b"a"))
    await rig.until(lambda: rig.job.committed)
    assert dict(rig.states.items(3)) == {b"a": b"a"}
    rig.lanes.interrupt()
    rig.lanes.put(chunk_of("callbacks", 3, 1, b"late"))
    await rig.lanes.close(1)
    assert (rig.broker[CALLBACKS], rig.job.committed) == (CommittedOffset(1, 1), [1])


async def test_a_partition_that_is_handed_over_continues_where_its_former_owner_committed() -> None:
    former = LanesRig()
    await former.run(3)
    former.lanes.put(chunk_of("callbacks", 3, 0, b"a", b"b"))
    await former.until(lambda: former.job.committed)
    former.lanes.put(chunk_of("callbacks", 3, 2, b"c"))
    former.lanes.interrupt()
    await former.lanes.close(1)
    left_off = former.broker[CALLBACKS]
    assert left_off is not None

    heir = LanesRig(former.broker, Leader(range(left_off.changelog_end or 0)))
    await heir.run(3)
    assert heir.lanes.start_offsets()[CALLBACKS] == left_off.offset
    heir.lanes.put(chunk_of("callbacks", 3, left_off.offset, b"d"))
    await heir.until(lambda: heir.job.committed)
    assert heir.broker[CALLBACKS] == CommittedOffset(left_off.offset + 1, (left_off.changelog_end or 0) + 1)
    await heir.lanes.close(1)


async def test_a_lane_that_another_owner_has_fenced_is_suspended_and_ends_the_process_without_an_assignment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(lanes_module, "end_process", lambda reason, *_: ended.append(reason))
    rig = LanesRig()
    rig.group.session_timeout_s = 0.02
    await rig.run(3, 4)
    rig.producers[3].fails = [(Fenced("by another"), False)]
    rig.broker[CALLBACKS] = CommittedOffset(9, 9)
    rig.lanes.put(chunk_of("callbacks", 3, 0, b"a"))
    await rig.until(lambda: rig.lanes.progress().suspended)
    assert (rig.lanes.progress().suspended, rig.lanes.partition_numbers()) == ((3,), [4])
    assert rig.observer.errors == ["overtaken"]
    await rig.until(lambda: ended)
    assert ended == ["lane 3 has another owner and no new assignment came"]
    await rig.lanes.close(1)


async def test_a_fenced_lane_whose_next_assignment_comes_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = LanesRig()
    rig.group.session_timeout_s = 0.01
    await rig.run(3)
    rig.producers[3].fails = [(Fenced("by another"), False)]
    rig.broker[CALLBACKS] = CommittedOffset(9, 0)
    rig.lanes.put(chunk_of("callbacks", 3, 0, b"a"))
    await rig.until(lambda: rig.lanes.progress().suspended)
    rig.lanes.interrupt()
    rig.group.generation = 2
    await rig.run(3)
    await asyncio.sleep(0.05)  # longer than a suspended lane waits
    assert (rig.lanes.progress().suspended, rig.lanes.partition_numbers()) == ((), [3])
    assert rig.lanes.start_offsets()[CALLBACKS] == 9
    await rig.lanes.close(1)


async def test_topics_that_are_not_assigned_by_partition_number_end_the_process() -> None:
    rig = LanesRig()
    with pytest.raises(ProcessEnded, match="not assigned by partition number"):
        await rig.lanes.open(assigned(3) | {TopicPartition("callbacks", 4)}, 1)


async def test_an_assignment_s_lanes_are_opened_however_long_no_broker_answers() -> None:
    rig = LanesRig()
    rig.open_fails = [TimeoutError(), KafkaConnectionError(), OSError(113, "")] * 3
    await rig.lanes.open(assigned(3), 1)
    assert (rig.producers[3].opened, rig.lanes.progress().waits) == (1, ())
    await rig.lanes.close(0)


async def test_a_lane_is_not_opened_any_more_when_its_assignment_is_over() -> None:
    rig = LanesRig()
    rig.open_fails = [TimeoutError()] * 100_000
    opening = asyncio.create_task(rig.lanes.open(assigned(3), 1))
    await rig.until(lambda: rig.lanes.progress().waits)
    assert rig.lanes.progress().waits == ("partition 3: cannot be opened (TimeoutError): trying again",)
    await rig.lanes.close(0)
    await asyncio.wait_for(opening, 5)
    assert rig.producers[3].opened == 0


async def test_a_producer_that_can_never_be_opened_ends_the_process() -> None:
    rig = LanesRig()
    rig.open_fails = [ValueError("no such setting")]
    with pytest.raises(ProcessEnded, match="producers could not be opened"):
        await rig.lanes.open(assigned(3), 1)


async def test_a_recovery_whose_generation_is_over_opens_nothing() -> None:
    rig = LanesRig()
    await rig.lanes.open(assigned(3), 1)
    rig.group.generation = 2
    with pytest.raises(AssignmentOver):
        await rig.lanes.recover([3], 1)
    await rig.lanes.start(1)
    assert (rig.lanes.open_generation, rig.job.assigned) == (None, [])
    await rig.lanes.close(0)
    assert rig.job.revoked == [], "it was never told of the partition"


async def test_a_generation_that_is_open_is_not_recovered_again() -> None:
    rig = LanesRig({CALLBACKS: CommittedOffset(7, 20)}, Leader(range(20)))
    await rig.run(3)
    with pytest.raises(AssignmentOver):
        await rig.lanes.recover([3], 1)
    await rig.lanes.close(0)


async def test_records_that_retention_deleted_before_they_were_read_are_reported() -> None:
    rig = LanesRig({CALLBACKS: CommittedOffset(7, 40)}, Leader(range(30, 40), begin=30))
    await rig.run(3)
    assert rig.observer.errors == ["expired"]
    assert rig.lanes.start_offsets()[CALLBACKS] == 30
    await rig.lanes.close(0)


async def test_that_one_partition_takes_records_says_nothing_of_another() -> None:
    rig = LanesRig()
    await rig.run(3, 4)
    rig.lanes.tick_acknowledged(3)
    assert rig.lanes.progress().written_s is None
    rig.lanes.put(chunk_of("callbacks", 4, 0, b"a"))
    await rig.until(lambda: rig.job.committed)
    first = rig.lanes.progress().written_s
    assert first is not None
    await asyncio.sleep(0.02)
    rig.lanes.tick_acknowledged(4)
    second = rig.lanes.progress().written_s
    assert second is not None
    assert second >= first + 0.02, "of the partition where it is longest ago"
    await rig.lanes.close(1)


async def test_that_a_broker_answers_a_fetch_is_not_proof_that_it_takes_records() -> None:
    rig = LanesRig()
    await rig.run(3)
    rig.lanes.broker_responded(10**15, {CALLBACKS: 4})
    progress = rig.lanes.progress()
    assert (progress.broker_heard_s is not None, progress.written_s) == (True, None)
    await rig.lanes.close(0)


async def test_no_phase_follows_stopping() -> None:
    rig = LanesRig()
    rig.lanes.enter(lanes_module.Phase.STOPPING)
    rig.lanes.interrupt()
    assert rig.lanes.progress().phase is lanes_module.Phase.STOPPING


async def test_a_revocation_while_the_job_is_told_its_partitions_ends_the_telling() -> None:
    rig = LanesRig()
    await rig.lanes.open(assigned(3, 4), 1)
    await rig.lanes.recover([3, 4], 1)
    starting = asyncio.create_task(rig.lanes.start(1))
    await asyncio.sleep(0)
    rig.lanes.interrupt()
    await rig.lanes.close(0)
    await starting
    assert ([number for number, _ in rig.job.assigned], rig.job.revoked) == ([3], [3])
