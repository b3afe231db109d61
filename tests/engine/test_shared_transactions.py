"""The lanes of a worker share a transaction, and one that fails keeps none of the others from going on."""

from __future__ import annotations

import asyncio

import pytest

from stream.engine.group import AssignmentOver
from stream.engine.shared_transactions import FULL_BATCHES
from stream.kafka.errors import KafkaConnectionError
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import Closed, CommittedOffset, TransactionFailed, TransactionPart
from tests.engine.fakes import CHANGELOG, chunk_of
from tests.engine.test_lanes import LanesRig

GONE = TransactionFailed(OSError("gone"))


def at(partition: int) -> TopicPartition:
    return TopicPartition("callbacks", partition)


def changed(key: bytes) -> dict[str, object]:
    """What a batch writes that changes one state."""
    return {CHANGELOG: [(key, key, (), None)]}


async def running(*numbers: int) -> LanesRig:
    rig = LanesRig()
    await rig.run(*numbers)
    return rig


async def test_lanes_that_have_records_at_once_share_a_transaction_under_the_id_of_the_lowest() -> None:
    rig = await running(3, 4, 5)
    for number, key in ((3, b"a"), (4, b"b"), (5, b"c")):
        rig.lanes.put(chunk_of("callbacks", number, 0, key))
    await rig.until(lambda: len(rig.job.committed) == 3)
    assert rig.producers[3].written == [{3: changed(b"a"), 4: changed(b"b"), 5: changed(b"c")}]
    assert rig.broker == {at(number): CommittedOffset(1, 1) for number in (3, 4, 5)}
    await rig.lanes.close(1)


async def test_an_assignment_opens_the_ids_of_all_its_partitions_and_keeps_one() -> None:
    rig = await running(3, 4, 5)
    opened = {name: (one.opened, one.closed) for name, one in rig.producers.items()}
    alone = {f"{number}-alone": (1, True) for number in (3, 4, 5)}
    assert opened == {3: (1, False), 4: (1, True), 5: (1, True)} | alone
    await rig.lanes.close(1)
    assert all(one.closed for one in rig.producers.values())


async def test_what_comes_while_a_transaction_is_on_its_way_goes_with_the_next() -> None:
    rig = await running(3, 4, 5)
    rig.producers[3].hangs = asyncio.Event()
    rig.lanes.put(chunk_of("callbacks", 4, 0, b"a"))
    await rig.until(lambda: rig.producers[3].begun)
    rig.lanes.put(chunk_of("callbacks", 3, 0, b"b"))
    rig.lanes.put(chunk_of("callbacks", 5, 0, b"c"))
    await asyncio.sleep(0.02)
    rig.producers[3].hangs.set()
    await rig.until(lambda: len(rig.job.committed) == 3)
    assert rig.producers[3].written == [{4: changed(b"a")}, {3: changed(b"b"), 5: changed(b"c")}]
    await rig.lanes.close(1)


async def test_a_transaction_takes_some_full_batches_and_does_not_wait_for_more() -> None:
    numbers = range(3, 3 + FULL_BATCHES + 4)
    rig = await running(*numbers)
    keys = [b"%d" % number for number in range(10)]
    for number in numbers:
        rig.lanes.put(chunk_of("callbacks", number, 0, *keys))
    await rig.until(lambda: len(rig.job.committed) == len(numbers))
    assert FULL_BATCHES <= len(rig.producers[3].written[0]) < len(numbers)
    await rig.lanes.close(1)


async def test_each_lane_of_a_failed_transaction_commits_alone_and_holds_up_no_other() -> None:
    rig = await running(3, 4)
    rig.producers[3].fails = [(GONE, False)]
    rig.producers["4-alone"].hangs = asyncio.Event()
    rig.lanes.put(chunk_of("callbacks", 3, 0, b"a"))
    rig.lanes.put(chunk_of("callbacks", 4, 0, b"b"))
    await rig.until(lambda: rig.producers["4-alone"].begun and rig.producers[3].opened == 2)
    rig.lanes.put(chunk_of("callbacks", 3, 1, b"c"))
    await rig.until(lambda: len(rig.job.committed) == 2)
    assert rig.producers["3-alone"].written == [{3: changed(b"a")}]
    assert rig.producers[3].written == [{3: changed(b"c")}]
    assert rig.broker == {at(3): CommittedOffset(2, 2)}
    rig.producers["4-alone"].hangs.set()
    await rig.until(lambda: len(rig.job.committed) == 3)
    assert rig.broker[at(4)] == CommittedOffset(1, 1)
    await rig.lanes.close(1)


async def test_of_a_shared_transaction_whose_answer_was_lost_no_lane_writes_again() -> None:
    rig = await running(3, 4)
    rig.producers[3].fails = [(GONE, True)]
    rig.lanes.put(chunk_of("callbacks", 3, 0, b"a"))
    rig.lanes.put(chunk_of("callbacks", 4, 0, b"b"))
    await rig.until(lambda: len(rig.job.committed) == 2)
    assert (rig.producers["3-alone"].written, rig.producers["4-alone"].written) == ([], [])
    assert rig.broker == {at(number): CommittedOffset(1, 1) for number in (3, 4)}
    await rig.lanes.close(1)


async def test_lanes_commit_alone_as_long_as_the_shared_producer_cannot_be_opened() -> None:
    rig = await running(3, 4)
    rig.producers[3].fails = [(GONE, False)]
    rig.producers[3].open_fails = [KafkaConnectionError("refused")] * 100_000
    for offset, key in enumerate((b"a", b"b", b"c")):
        rig.lanes.put(chunk_of("callbacks", 4, offset, key))
        await rig.until(lambda done=offset + 1: len(rig.job.committed) == done)
    assert (rig.producers[3].written, len(rig.producers["4-alone"].written)) == ([], 3)
    assert rig.producers[3].closed, "nothing of the transaction goes out any more"
    rig.producers[3].open_fails = []
    await rig.until(lambda: rig.producers[3].opened == 2)
    rig.lanes.put(chunk_of("callbacks", 4, 3, b"d"))
    await rig.until(lambda: rig.producers[3].written)
    await rig.lanes.close(1)


async def test_a_worker_that_the_group_does_not_confirm_opens_no_id_again() -> None:
    rig = await running(3, 4)
    rig.group.reader.confirms = False
    rig.producers[3].fails = [(GONE, False)]
    rig.lanes.put(chunk_of("callbacks", 4, 0, b"a"))
    await rig.until(lambda: rig.group.reader.confirmations >= 4)
    assert (rig.producers[3].opened, rig.producers["4-alone"].opened) == (1, 1)
    await rig.lanes.close(0)


async def test_a_batch_that_waits_when_the_lanes_are_given_up_is_not_written() -> None:
    rig = await running(3, 4)
    rig.producers[3].hangs = asyncio.Event()
    rig.lanes.put(chunk_of("callbacks", 3, 0, b"a"))
    await rig.until(lambda: rig.producers[3].begun)
    transactions = rig.lanes._transactions
    assert transactions is not None
    waiting = asyncio.create_task(transactions.commit(TransactionPart(4, {}, {"callbacks": 1}, 0)))
    await asyncio.sleep(0)
    await rig.lanes.close(0)
    with pytest.raises(AssignmentOver):
        await waiting
    assert (rig.broker, rig.job.committed) == ({}, [])


async def test_lanes_that_are_given_up_while_the_shared_producer_is_opened_again_end_no_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(
        "stream.engine.shared_transactions.end_process", lambda reason, _code: ended.append(reason)
    )
    rig = await running(3, 4)
    producer, opening = rig.producers[3], asyncio.Event()

    async def open_until_closed() -> None:
        opening.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Closed("closed while it was opened") from None

    monkeypatch.setattr(producer, "open", open_until_closed)
    producer.fails = [(GONE, False)]
    rig.lanes.put(chunk_of("callbacks", 4, 0, b"a"))
    await opening.wait()
    transactions = rig.lanes._transactions
    assert transactions is not None
    assert transactions._task is not None
    await rig.lanes.close(0)
    await asyncio.wait([transactions._task], timeout=5)
    assert ended == []


async def test_lanes_do_not_wait_for_a_shared_producer_that_takes_long_to_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kafka opens an id only when the markers of its last transaction are in each of its partitions."""
    monkeypatch.setattr("stream.engine.shared_transactions.REOPEN_EVERY_S", 0.01)
    rig = await running(3, 4)
    producer, opened = rig.producers[3], asyncio.Event()
    monkeypatch.setattr(producer, "open", opened.wait)
    producer.fails = [(GONE, False)]
    for offset, key in enumerate((b"a", b"b", b"c")):
        rig.lanes.put(chunk_of("callbacks", 4, offset, key))
        await rig.until(lambda done=offset + 1: len(rig.job.committed) == done)
    assert (producer.written, len(rig.producers["4-alone"].written)) == ([], 3)
    opened.set()
    await asyncio.sleep(0.01)
    rig.lanes.put(chunk_of("callbacks", 4, 3, b"d"))
    await rig.until(lambda: producer.written)
    await rig.lanes.close(1)


async def test_full_batches_that_come_to_nothing_do_not_hold_up_another_lane_s_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream.engine.shared_transactions.LONGEST_GATHERING_S", 0.0)
    rig = await running(3, 4)
    rig.lanes.put(chunk_of("callbacks", 4, 0, b"known"))
    await rig.until(lambda: rig.job.committed)
    rig.lanes.put(chunk_of("callbacks", 4, 1, *20_000 * [b"known"]))
    rig.lanes.put(chunk_of("callbacks", 3, 0, b"new"))
    await rig.until(lambda: at(3) in rig.broker)
    assert rig.lanes.progress().queued > 10_000
    await rig.lanes.close(1)
