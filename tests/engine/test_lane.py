"""How a lane queues records and gathers them into batches."""

from __future__ import annotations

import asyncio
import time

import pytest

from stream.engine import shared_transactions
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import CommittedOffset, TransactionFailed, TransactionPart
from tests.engine.fakes import ProcessEnded
from tests.engine.lane_rig import CALLBACKS, HERE, RECOVERED_TO, LaneRig


async def test_what_the_job_does_not_take_of_a_batch_is_the_next_one() -> None:
    rig = LaneRig()
    rig.job.takes = 2
    rig.shared.fails = [(TransactionFailed(OSError("gone")), False)]
    rig.put("callbacks", 0, b"a", b"b", b"c", b"d", b"e")
    await rig.settle(3)
    transactions = rig.alone.written + rig.shared.written
    changed = [[key for key, *_ in written[HERE]["changelog"]] for written in transactions]
    assert changed == [[b"a", b"b"], [b"c", b"d"], [b"e"]]
    assert rig.broker[CALLBACKS] == CommittedOffset(5, 105)
    assert rig.lane.queued == 0
    assert rig.ticks.take([HERE], {5}, 0.0) == [HERE], "it was left unfinished"
    assert rig.ticks.take([HERE], {HERE}, 7.0) == [HERE], "something is due"
    await rig.close()


async def test_records_lost_on_the_way_end_the_process() -> None:
    rig = LaneRig()
    with pytest.raises(ProcessEnded):
        rig.put("callbacks", 5, b"f")
    await rig.lane.close(0)


async def test_records_that_come_again_are_taken_once() -> None:
    rig = LaneRig()
    rig.put("callbacks", 0, b"a", b"b")
    rig.put("callbacks", 1, b"b", b"c")
    await rig.until(lambda: sum(rig.job.committed) >= 3)
    assert rig.broker[CALLBACKS] == CommittedOffset(3, RECOVERED_TO + 3)
    assert sum(rig.job.committed) == 3
    await rig.close()


async def test_a_batch_waits_for_a_topic_that_is_known_to_have_older_records() -> None:
    rig = LaneRig()
    rig.known_ends[TopicPartition("polled", HERE)] = 1
    rig.put("callbacks", 5 - 5, b"later")
    await asyncio.sleep(0.01)
    assert rig.job.committed == []
    rig.put("polled", 0, b"older")
    await rig.settle(1)
    assert rig.job.committed == [2]
    await rig.close()


async def test_a_topic_that_does_not_come_is_not_waited_for_again() -> None:
    rig = LaneRig()
    rig.known_ends[TopicPartition("polled", HERE)] = 1
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    rig.known_ends[TopicPartition("polled", HERE)] = 1
    rig.put("callbacks", 1, b"b")
    await asyncio.sleep(0)
    await asyncio.sleep(0.02)  # less than a batch waits for a topic
    assert rig.job.committed == [1, 1]
    await rig.close()


async def test_a_full_queue_pauses_its_partition_until_one_batch_is_left() -> None:
    rig = LaneRig()
    rig.put("callbacks", 0, *(b"%d" % number for number in range(20)))
    rig.put("polled", 0, b"a")
    assert rig.group.paused == {CALLBACKS}
    await rig.settle(3)
    assert rig.group.paused == set()
    await rig.close()


async def test_a_lane_gathers_what_comes_until_the_next_transaction_is_due() -> None:
    rig = LaneRig(latency_s=0.1)
    began = time.monotonic()
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    rig.put("callbacks", 1, b"b")
    await asyncio.sleep(0.01)
    rig.put("callbacks", 2, b"c", b"d")
    await rig.settle(2)
    assert rig.job.committed == [1, 3]
    assert time.monotonic() >= began + 0.1
    await rig.close()


async def test_how_long_other_lanes_fold_does_not_delay_the_next_transaction() -> None:
    rig = LaneRig(latency_s=0.3)
    folding = rig.transactions.folding()
    await folding.__aenter__()
    committed = asyncio.create_task(rig.transactions.commit(TransactionPart(HERE, {}, {"callbacks": 1}, 0)))
    await asyncio.sleep(0.25)
    assert not committed.done()
    began = time.monotonic()
    await folding.__aexit__(None, None, None)
    await committed
    await rig.transactions.due()
    assert time.monotonic() < began + 0.2
    await rig.close()


async def test_enough_records_do_not_wait_until_the_next_transaction_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_transactions, "ENOUGH_A_SECOND", 0.1)
    rig = LaneRig(latency_s=60.0)
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    for transactions, first in ((1, 1), (2, 7)):
        rig.put("callbacks", first, *(b"%d" % number for number in range(first, first + 5)))
        await asyncio.sleep(0.05)
        assert len(rig.job.committed) == transactions, "five are not enough, nor is what was committed"
        rig.put("callbacks", first + 5, b"%d" % (first + 5))
        await rig.settle(transactions + 1)
    assert rig.job.committed == [1, 6, 6]
    await rig.close()


async def test_a_full_batch_does_not_wait_until_the_next_transaction_is_due() -> None:
    rig = LaneRig(latency_s=60.0)
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    rig.put("callbacks", 1, *(b"%d" % number for number in range(10)))
    await rig.settle(2)
    await rig.close()


async def test_a_full_batch_that_waits_for_older_records_leaves_the_event_loop_to_others() -> None:
    rig = LaneRig(collect_s=0.2)
    rig.put("callbacks", 0, *(b"%d" % number for number in range(10)))
    began = time.monotonic()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert time.monotonic() < began + 0.1
    assert rig.job.committed == []
    await rig.settle(1)
    assert time.monotonic() >= began + 0.2
    await rig.close()


async def test_a_lane_that_is_closed_finishes_its_batch_and_drops_what_is_queued() -> None:
    rig = LaneRig()
    rig.shared.hangs = asyncio.Event()
    rig.put("callbacks", 0, b"a")
    await rig.until(lambda: rig.lane.queued == 1 and rig.shared.begun)
    rig.put("callbacks", 1, b"b")
    closing = asyncio.create_task(rig.lane.close(5))
    await asyncio.sleep(0.01)
    assert not closing.done()
    rig.shared.hangs.set()
    await closing
    assert (rig.broker[CALLBACKS], rig.shown) == (CommittedOffset(1, RECOVERED_TO + 1), {b"a": b"a"})
    assert rig.alone.closed


async def test_a_lane_whose_batch_does_not_finish_in_time_is_closed_without_it() -> None:
    rig = LaneRig()
    rig.shared.hangs = asyncio.Event()
    rig.put("callbacks", 0, b"a")
    await rig.until(lambda: rig.shared.begun)
    await asyncio.sleep(0.01)
    async with asyncio.timeout(2):
        await rig.lane.close(0.02)
    assert (rig.broker, rig.shown, rig.alone.closed) == ({}, {}, True)
