"""A lane between a job, a producer that fails in chosen ways, and a store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from faust.types import TP

from stream.engine import lane as lane_module
from stream.engine.batch import Batch, Output
from stream.engine.changelog_end import Committed
from stream.engine.lane import Ground, Lane, Pace, Start
from stream.engine.observer import NullObserver
from stream.engine.ticks import Wants
from stream.engine.transactions import Closed, Fenced, TransactionFailed
from stream.engine.waits import Waits

TOPICS = ("callbacks", "polled")
HERE = 3
RECOVERED_TO = 100


class Ended(BaseException):
    """What the process would have ended with."""


class Producer:
    """Commits. Each entry of `fails` is raised by one transaction instead, after its commit or before."""

    def __init__(self, broker: dict[TP, Committed | None]) -> None:
        self.broker = broker
        self.fails: list[tuple[BaseException, bool]] = []
        self.written: list[Mapping[str, Sequence[Output]]] = []
        self.opened = 0
        self.open_fails: list[BaseException] = []
        self.hangs: asyncio.Event | None = None

    async def transact(
        self,
        outputs: Mapping[str, Sequence[Output]],
        offsets: Mapping[TopicPartition, int],
        *,
        changelog: str,
        needs: int,
    ) -> int:
        if self.hangs is not None:
            await self.hangs.wait()
        error, after = self.fails.pop(0) if self.fails else (None, True)
        end = needs + len(outputs.get(changelog, ()))
        if after:
            self.written.append(outputs)
            self.broker.update({TP(*tp): Committed(offset, end) for tp, offset in offsets.items()})
        if error is not None:
            raise error
        return end

    async def open(self) -> None:
        if self.open_fails:
            raise self.open_fails.pop(0)
        self.opened += 1

    async def close(self) -> None: ...


class Job:
    """Keeps the last value of each key; fails as often as told."""

    def __init__(self) -> None:
        self.failures = 0
        self.takes: int | None = None
        self.committed: list[int] = []

    def process(self, partition: int, records: Sequence[Any], get: Callable[[bytes], bytes | None]) -> Batch:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("told to")
        records = records[: self.takes]
        states: dict[bytes, bytes | None] = {record.key: record.value for record in records}
        unfinished = self.takes is not None
        return Batch(states, {}, lambda: self.committed.append(len(records)), self.takes, unfinished, 7)

    def partition_assigned(self, partition: int, items: Iterable[tuple[bytes, bytes]]) -> None: ...

    def partition_revoked(self, partition: int) -> None: ...


class Counted(NullObserver):
    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, kind: str) -> None:
        self.errors.append(kind)


class Rig:
    """A lane and what stands around it."""

    def __init__(self) -> None:
        self.broker: dict[TP, Committed | None] = {TP(topic, HERE): None for topic in TOPICS}
        self.observer = Counted()
        self.producer, self.job = Producer(self.broker), Job()
        self.states: dict[bytes, bytes | None] = {}
        self.parked: list[int] = []
        self.wants = Wants()
        self.slots = asyncio.Semaphore(1)
        self.ends: dict[TopicPartition, int] = {}

        async def committed(tps: Sequence[TP]) -> dict[TP, Committed | None]:
            return {tp: self.broker[tp] for tp in tps}

        def write(_: int, new: Mapping[bytes, bytes | None], position: int | None) -> None:
            self.states.update(new)
            self.positions.append(position)

        async def confirmed() -> bool:
            self.asked += 1
            return self.confirms

        self.current, self.confirms, self.asked, self.waits = True, True, 0, Waits()
        self.positions: list[int | None] = []
        states: Any = SimpleNamespace(reader=lambda _: self.states.get, write=write)
        ground = Ground(
            processor=self.job,
            states=states,
            observer=self.observer,
            changelog="changelog",
            pace=Pace(max_batch=10, collect_s=0.0, hold_s=0.05),
            max_errors_in_a_row=3,
            slots=self.slots,
            known_end=lambda tp: self.ends.get(tp, 0),
            committed=committed,
            current=lambda: self.current,
            confirmed=confirmed,
            waits=self.waits,
            parked=lambda number, _: self.parked.append(number),
            finished=lambda _: None,
            drained=lambda *_: None,
            wants=self.wants,
        )
        producer: Any = self.producer
        self.lane = Lane(HERE, TOPICS, producer, ground)
        self.lane.begin({topic: Start(0, None) for topic in TOPICS}, RECOVERED_TO)
        self.lane.start()

    def put(self, topic: str, first: int, *values: bytes) -> bool:
        records: list[Any] = [
            SimpleNamespace(
                topic=topic, key=value, value=value, offset=first + place, timestamp=first + place
            )
            for place, value in enumerate(values)
        ]
        return self.lane.put(topic, first, records, first + len(records))

    async def settle(self, batches: int) -> None:
        async with asyncio.timeout(5):
            while len(self.job.committed) < batches:
                await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _end(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(reason: str, code: int = 75) -> None:
        raise Ended(reason, code)

    monkeypatch.setattr(lane_module, "end_process", end)
    monkeypatch.setattr(lane_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(lane_module, "REOPEN_EVERY_S", 0.01)
    monkeypatch.setattr(lane_module, "SHOWN_S", 0.001)


async def test_states_show_only_after_the_commit_and_offsets_go_with_it() -> None:
    rig = Rig()
    rig.put("callbacks", 0, b"a", b"b")
    await rig.settle(1)
    assert rig.states == {b"a": b"a", b"b": b"b"}
    assert rig.broker[TP("callbacks", HERE)] == Committed(2, RECOVERED_TO + 2)
    assert rig.positions == [RECOVERED_TO + 2]
    assert rig.producer.written == [{"changelog": [(b"a", b"a", (), None), (b"b", b"b", (), None)]}]
    await rig.lane.close(1)


async def test_what_the_job_does_not_take_of_a_batch_is_the_next_one() -> None:
    rig = Rig()
    rig.job.takes = 2
    rig.producer.fails = [(TransactionFailed(OSError("gone")), False)]
    rig.put("callbacks", 0, b"a", b"b", b"c", b"d", b"e")
    await rig.settle(3)
    changed = [[key for key, *_ in written["changelog"]] for written in rig.producer.written]
    assert changed == [[b"a", b"b"], [b"c", b"d"], [b"e"]]
    assert rig.broker[TP("callbacks", HERE)] == Committed(5, 105)
    assert rig.lane.queued == 0
    assert rig.wants.take([HERE], {5}, 0.0) == [HERE], "it was left unfinished"
    assert rig.wants.take([HERE], {HERE}, 7.0) == [HERE], "something is due"
    await rig.lane.close(1)


async def test_a_batch_that_was_aborted_is_written_again_by_a_new_producer() -> None:
    rig = Rig()
    rig.producer.fails = [(TransactionFailed(OSError("gone")), False)]
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (len(rig.producer.written), rig.producer.opened, rig.states) == (1, 1, {b"a": b"a"})
    await rig.lane.close(1)


async def test_a_commit_whose_answer_was_lost_is_not_written_twice() -> None:
    rig = Rig()
    rig.producer.fails = [(TransactionFailed(OSError("gone")), True)]
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (len(rig.producer.written), rig.producer.opened, rig.states) == (1, 1, {b"a": b"a"})
    assert rig.positions == [RECOVERED_TO + 1]  # as the commit itself says
    rig.put("callbacks", 1, b"b")
    await rig.settle(2)
    assert rig.broker[TP("callbacks", HERE)] == Committed(2, RECOVERED_TO + 2)
    await rig.lane.close(1)


async def test_a_transaction_that_kafka_ended_is_written_again_where_the_assignment_holds() -> None:
    rig = Rig()
    rig.producer.fails = [(Fenced("its time was over"), False)]
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (len(rig.producer.written), rig.producer.opened, rig.asked) == (1, 1, 1)
    assert (rig.states, rig.parked, rig.observer.errors) == ({b"a": b"a"}, [], ["fenced"])
    await rig.lane.close(1)


async def test_a_commit_of_a_producer_that_was_fenced_after_it_is_not_written_twice() -> None:
    rig = Rig()
    rig.producer.fails = [(Fenced("its time was over"), True)]
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (len(rig.producer.written), rig.producer.opened, rig.states) == (1, 1, {b"a": b"a"})
    await rig.lane.close(1)


@pytest.mark.parametrize(
    "theirs", [Committed(7, RECOVERED_TO + 9), Committed(1, RECOVERED_TO + 9), None], ids=str
)
async def test_a_lane_whose_partition_another_owner_has_committed_parks_and_shows_nothing(
    theirs: Committed | None,
) -> None:
    rig = Rig()
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    rig.producer.fails = [(Fenced("by another"), False)]
    rig.broker[TP("callbacks", HERE)] = theirs
    rig.put("callbacks", 1, b"b")
    async with asyncio.timeout(5):
        while not rig.parked:
            await asyncio.sleep(0.01)
    assert (rig.parked, rig.states, rig.job.committed) == ([HERE], {b"a": b"a"}, [1])
    assert rig.observer.errors == ["overtaken"]
    await rig.lane.close(1)


async def test_a_commit_that_only_differs_in_the_changelog_it_needs_is_another_owner_s() -> None:
    """Offsets alone may be the same: a batch of the other topic was committed and its offset set back."""
    rig = Rig()
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    rig.producer.fails = [(Fenced("by another"), False)]
    rig.broker[TP("callbacks", HERE)] = Committed(1, RECOVERED_TO + 5)
    rig.put("callbacks", 1, b"b")
    async with asyncio.timeout(5):
        while not rig.parked:
            await asyncio.sleep(0.01)
    await rig.lane.close(1)


async def test_a_worker_that_woke_up_fences_nobody_before_the_group_has_confirmed_it() -> None:
    rig = Rig()
    rig.confirms = False
    rig.producer.fails = [(Fenced("by another, or by time"), False)]
    rig.put("callbacks", 0, b"a")
    async with asyncio.timeout(5):
        while rig.asked < 3:
            await asyncio.sleep(0.005)
    assert (rig.producer.opened, rig.producer.written) == (0, [])
    assert rig.waits.sentences() == (
        "partition 3: cannot write (the group's coordinator does not confirm this worker): trying again",
    )
    rig.confirms = True
    await rig.settle(1)
    assert (rig.producer.opened, rig.waits.sentences()) == (1, ())
    await rig.lane.close(1)


async def test_a_lane_whose_assignment_ended_meanwhile_does_nothing_more() -> None:
    rig = Rig()
    rig.confirms = False
    rig.producer.fails = [(Fenced("by another"), False)]
    rig.put("callbacks", 0, b"a")
    async with asyncio.timeout(5):
        while rig.asked < 1:
            await asyncio.sleep(0.005)
    rig.current, rig.confirms = False, True
    await asyncio.sleep(0.05)
    assert (rig.producer.opened, rig.parked, rig.states) == (0, [], {})
    await rig.lane.close(1)


async def test_a_lane_that_is_closed_writes_nothing_and_is_no_fault() -> None:
    rig = Rig()
    rig.producer.fails = [(Closed("the lane is closed"), False)]
    rig.put("callbacks", 0, b"a")
    await asyncio.sleep(0.05)
    assert (rig.producer.opened, rig.parked, rig.observer.errors) == (0, [], [])
    await rig.lane.close(1)


async def test_a_producer_that_cannot_be_opened_is_tried_again_however_long_the_broker_is_away() -> None:
    rig = Rig()
    rig.producer.fails = [(TransactionFailed(OSError("gone")), False)]
    rig.producer.open_fails = [KafkaConnectionError("refused"), TimeoutError(), OSError("gone")] * 5
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (len(rig.producer.written), rig.producer.opened, rig.waits.sentences()) == (1, 1, ())
    await rig.lane.close(1)


async def test_a_broker_that_aborts_a_batch_more_often_than_errors_are_allowed_does_not_end_the_process() -> (
    None
):
    rig = Rig()
    rig.producer.fails = [(TransactionFailed(OSError("gone")), False)] * 6  # three errors are allowed
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (rig.states, rig.observer.errors) == ({b"a": b"a"}, ["aborted"] * 6)
    await rig.lane.close(1)


async def test_a_batch_with_a_record_that_is_always_refused_ends_the_process() -> None:
    rig = Rig()
    rig.producer.fails = [(TransactionFailed(MessageSizeTooLargeError("60 bytes")), False)] * 9
    rig.put("callbacks", 0, b"a")
    task = rig.lane._task
    assert task is not None
    with pytest.raises(Ended, match="failed 3 times"):
        await asyncio.wait_for(task, 5)
    assert rig.observer.errors == ["refused"] * 3


async def test_a_transaction_that_hangs_lets_other_lanes_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "SLOW_S", 0.02)
    rig = Rig()
    rig.producer.hangs = asyncio.Event()
    rig.put("callbacks", 0, b"a")
    async with asyncio.timeout(5):
        await asyncio.sleep(0.01)
        async with rig.slots:  # there is one
            assert rig.job.committed == []
        rig.producer.hangs.set()
    await rig.settle(1)
    async with asyncio.timeout(5), rig.slots:
        pass
    await rig.lane.close(1)


async def test_a_transaction_that_hangs_is_given_up_for_a_fresh_producer_and_the_next_has_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane_module, "SLOW_S", 0.01)
    monkeypatch.setattr(lane_module, "PATIENCE_S", 0.02)
    rig = Rig()
    rig.producer.hangs = asyncio.Event()
    rig.put("callbacks", 0, b"a")
    began = time.monotonic()
    async with asyncio.timeout(5):
        while rig.producer.opened < 3:
            await asyncio.sleep(0.005)
    assert time.monotonic() - began >= 0.02 + 0.04 + 0.08
    rig.producer.hangs.set()
    await rig.settle(1)
    assert (len(rig.producer.written), rig.states) == (1, {b"a": b"a"})
    assert set(rig.observer.errors) == {"aborted"}
    assert rig.lane._patience_s <= 0.32
    await rig.lane.close(1)


async def test_a_job_that_failed_twice_is_given_the_same_records_again() -> None:
    rig = Rig()
    rig.job.failures = 2
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (rig.job.committed, rig.lane.errors_in_a_row) == ([1], 0)
    await rig.lane.close(1)


async def test_records_lost_on_the_way_end_the_process() -> None:
    rig = Rig()
    with pytest.raises(Ended):
        rig.put("callbacks", 5, b"f")
    await rig.lane.close(0)


async def test_records_that_come_again_are_taken_once() -> None:
    rig = Rig()
    rig.put("callbacks", 0, b"a", b"b")
    rig.put("callbacks", 1, b"b", b"c")
    async with asyncio.timeout(5):
        while sum(rig.job.committed) < 3:
            await asyncio.sleep(0.01)
    assert rig.broker[TP("callbacks", HERE)] == Committed(3, RECOVERED_TO + 3)
    assert sum(rig.job.committed) == 3
    await rig.lane.close(1)


async def test_a_batch_waits_for_a_topic_that_is_known_to_have_older_records() -> None:
    rig = Rig()
    rig.ends[TopicPartition("polled", HERE)] = 1
    rig.put("callbacks", 5 - 5, b"later")
    await asyncio.sleep(0.01)
    assert rig.job.committed == []
    rig.put("polled", 0, b"older")
    await rig.settle(1)
    assert rig.job.committed == [2]
    await rig.lane.close(1)


async def test_a_topic_that_does_not_come_is_not_waited_for_again() -> None:
    rig = Rig()
    rig.ends[TopicPartition("polled", HERE)] = 1
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    before = asyncio.get_running_loop().time()
    rig.put("callbacks", 1, b"b")
    await rig.settle(2)
    assert asyncio.get_running_loop().time() - before < 0.05
    await rig.lane.close(1)


async def test_a_full_queue_says_so() -> None:
    rig = Rig()
    assert rig.put("callbacks", 0, *(b"%d" % number for number in range(20)))
    assert not rig.put("polled", 0, b"a")
    await rig.settle(3)
    await rig.lane.close(1)


async def test_a_lane_that_stands_in_line_gathers_what_comes_meanwhile_into_one_batch() -> None:
    rig = Rig()
    async with rig.slots:  # another lane is in a batch
        rig.put("callbacks", 0, b"a")
        await asyncio.sleep(0.02)
        rig.put("callbacks", 1, b"b", b"c")
        await asyncio.sleep(0.02)
        assert rig.job.committed == []
    await rig.settle(1)
    assert rig.job.committed == [3]
    await rig.lane.close(1)


async def test_a_lane_whose_batch_fails_lets_others_go_on_while_it_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane_module, "FIRST_PAUSE_S", 0.2)
    rig = Rig()
    rig.job.failures = 1
    rig.put("callbacks", 0, b"a")
    async with asyncio.timeout(5):
        while rig.lane.errors_in_a_row == 0:
            await asyncio.sleep(0.005)
        async with rig.slots:
            assert rig.job.committed == []
    await rig.settle(1)
    await rig.lane.close(1)
