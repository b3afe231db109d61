"""A batch is committed once, whatever becomes of a transaction, and shows only then."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from stream.engine import commit, shared_transactions
from stream.engine.lane import StartOffset
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import Closed, CommittedOffset, Fenced, TransactionFailed
from tests.engine.fakes import ProcessEnded
from tests.engine.lane_rig import CALLBACKS, HERE, RECOVERED_TO, LaneRig


async def test_states_show_only_after_the_commit_and_offsets_go_with_it() -> None:
    rig = LaneRig()
    rig.put("callbacks", 0, b"a", b"b")
    await rig.settle(1)
    assert rig.shown == {b"a": b"a", b"b": b"b"}
    assert rig.broker[CALLBACKS] == CommittedOffset(2, RECOVERED_TO + 2)
    assert rig.states.position(HERE) == RECOVERED_TO + 2
    assert rig.shared.written == [{HERE: {"changelog": [(b"a", b"a", (), None), (b"b", b"b", (), None)]}}]
    await rig.close()


async def test_a_batch_that_was_aborted_is_written_alone_and_the_next_one_is_shared_again() -> None:
    rig = LaneRig()
    rig.shared.fails = [(TransactionFailed(OSError("gone")), False)]
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (rig.shared.written, len(rig.alone.written), rig.shown) == ([], 1, {b"a": b"a"})
    assert (rig.alone.opened, rig.alone.closed) == (1, True)
    await rig.until(lambda: rig.shared.opened)
    rig.put("callbacks", 1, b"b")
    await rig.settle(2)
    assert (len(rig.shared.written), len(rig.alone.written), rig.shared.opened) == (1, 1, 1)
    await rig.close()


async def test_a_commit_whose_answer_was_lost_is_not_written_twice() -> None:
    rig = LaneRig()
    rig.shared.fails = [(TransactionFailed(OSError("gone")), True)]
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (len(rig.shared.written), rig.alone.written, rig.shown) == (1, [], {b"a": b"a"})
    assert rig.states.position(HERE) == RECOVERED_TO + 1  # as the commit itself says
    rig.put("callbacks", 1, b"b")
    await rig.settle(2)
    assert rig.broker[CALLBACKS] == CommittedOffset(2, RECOVERED_TO + 2)
    await rig.close()


async def test_a_transaction_that_kafka_ended_is_written_again_where_the_assignment_holds() -> None:
    rig = LaneRig()
    rig.shared.fails = [(Fenced("its time was over"), False)]
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (rig.shared.written, len(rig.alone.written)) == ([], 1)
    assert (rig.shared.opened, rig.alone.opened, rig.group.reader.confirmations) == (1, 1, 2)
    assert (rig.shown, rig.suspended, rig.observer.errors) == ({b"a": b"a"}, [], ["fenced"])
    await rig.close()


async def test_a_commit_of_a_producer_that_was_fenced_after_it_is_not_written_twice() -> None:
    rig = LaneRig()
    rig.shared.fails = [(Fenced("its time was over"), True)]
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (len(rig.shared.written), rig.alone.written, rig.shown) == (1, [], {b"a": b"a"})
    await rig.close()


@pytest.mark.parametrize(
    "theirs", [CommittedOffset(7, RECOVERED_TO + 9), CommittedOffset(1, RECOVERED_TO + 9), None], ids=str
)
async def test_a_lane_whose_partition_another_owner_has_committed_is_suspended_and_shows_nothing(
    theirs: CommittedOffset | None,
) -> None:
    rig = LaneRig()
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    rig.shared.fails = [(Fenced("by another"), False)]
    rig.broker[CALLBACKS] = theirs
    rig.put("callbacks", 1, b"b")
    await rig.until(lambda: rig.suspended)
    assert (rig.suspended, rig.shown, rig.job.committed) == ([HERE], {b"a": b"a"}, [1])
    assert rig.observer.errors == ["overtaken"]
    await rig.close()


async def test_a_commit_that_only_differs_in_the_changelog_it_needs_is_another_owner_s() -> None:
    """Offsets alone may be the same: a batch of the other topic was committed and its offset set back."""
    rig = LaneRig()
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    rig.shared.fails = [(Fenced("by another"), False)]
    rig.broker[CALLBACKS] = CommittedOffset(1, RECOVERED_TO + 5)
    rig.put("callbacks", 1, b"b")
    await rig.until(lambda: rig.suspended)
    await rig.close()


async def test_a_worker_that_woke_up_fences_nobody_before_the_group_has_confirmed_it() -> None:
    rig = LaneRig()
    rig.group.reader.confirms = False
    rig.shared.fails = [(Fenced("by another, or by time"), False)]
    rig.put("callbacks", 0, b"a")
    await rig.until(lambda: rig.group.reader.confirmations >= 3)
    assert (rig.shared.opened, rig.alone.opened, rig.alone.written) == (0, 0, [])
    assert rig.waits.sentences() == (
        "partition 3: cannot write (the group's coordinator does not confirm this worker): trying again",
    )
    rig.group.reader.confirms = True
    await rig.settle(1)
    assert (rig.alone.opened, rig.waits.sentences()) == (1, ())
    await rig.close()


async def test_a_lane_whose_assignment_ended_meanwhile_does_nothing_more() -> None:
    rig = LaneRig()
    rig.group.reader.confirms = False
    rig.shared.fails = [(Fenced("by another"), False)]
    rig.put("callbacks", 0, b"a")
    await rig.until(lambda: rig.group.reader.confirmations >= 1)
    rig.assignment.over, rig.group.reader.confirms = True, True
    await asyncio.sleep(0.05)
    assert (rig.shared.opened, rig.alone.opened, rig.suspended, rig.shown) == (0, 0, [], {})
    await rig.close()


async def test_a_lane_that_is_closed_writes_nothing_and_is_not_a_fault() -> None:
    rig = LaneRig()
    rig.shared.fails = [(Closed("the lane is closed"), False)]
    rig.put("callbacks", 0, b"a")
    await asyncio.sleep(0.05)
    assert (rig.shared.opened, rig.suspended, rig.observer.errors) == (0, [], [])
    await rig.close()


async def test_a_producer_that_cannot_be_opened_is_tried_again_however_long_the_broker_is_away() -> None:
    rig = LaneRig()
    rig.shared.fails = [(TransactionFailed(OSError("gone")), False)]
    rig.alone.open_fails = [KafkaConnectionError("refused"), TimeoutError(), OSError("gone")] * 5
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (len(rig.alone.written), rig.alone.opened, rig.waits.sentences()) == (1, 1, ())
    await rig.close()


async def test_a_broker_that_aborts_a_batch_more_often_than_errors_are_allowed_does_not_end_the_process() -> (
    None
):
    rig = LaneRig()
    rig.shared.fails = [(TransactionFailed(OSError("gone")), False)]
    rig.alone.fails = [(TransactionFailed(OSError("gone")), False)] * 6  # three errors are allowed
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (rig.shown, rig.observer.errors) == ({b"a": b"a"}, ["aborted"] * 7)
    await rig.close()


async def test_a_batch_with_a_record_that_is_always_refused_ends_the_process() -> None:
    rig = LaneRig()
    """Where it is refused with other lanes' it may be one of theirs."""
    rig.shared.fails = [(TransactionFailed(MessageSizeTooLargeError("60 bytes")), False)]
    rig.alone.fails = [(TransactionFailed(MessageSizeTooLargeError("60 bytes")), False)] * 9
    rig.put("callbacks", 0, b"a")
    with pytest.raises(ProcessEnded, match="failed 3 times"):
        await asyncio.wait_for(rig.work, 5)
    assert rig.observer.errors == ["aborted", *["refused"] * 3]


async def test_a_transaction_that_hangs_is_given_up_for_a_fresh_producer_and_the_next_has_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_transactions, "FIRST_TIMEOUT_S", 0.02)
    rig = LaneRig()
    rig.shared.hangs = rig.alone.hangs = asyncio.Event()
    rig.put("callbacks", 0, b"a")
    await rig.until(lambda: rig.alone.opened >= 3)
    assert rig.lane.committer.timeout.seconds >= 4 * 0.02
    rig.alone.hangs.set()
    await rig.settle(1)
    assert (len(rig.alone.written), rig.shown) == (1, {b"a": b"a"})
    assert set(rig.observer.errors) == {"aborted"}
    await rig.close()


async def test_a_job_that_failed_twice_is_given_the_same_records_again() -> None:
    rig = LaneRig()
    rig.job.failures = 2
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    assert (rig.job.committed, rig.lane.committer.errors_in_a_row) == ([1], 0)
    await rig.close()


async def test_a_lane_whose_batch_fails_lets_others_go_on_while_it_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commit, "FIRST_PAUSE_S", 0.2)
    rig = LaneRig()
    rig.job.failures = 1
    rig.put("callbacks", 0, b"a")
    await rig.until(lambda: rig.lane.committer.errors_in_a_row == 1)
    async with asyncio.timeout(0.1), rig.transactions.folding():
        assert rig.job.committed == []
    await rig.settle(1)
    await rig.close()


async def test_a_lane_whose_group_has_begun_another_generation_does_nothing_more() -> None:
    rig = LaneRig()
    rig.shared.fails = [(Fenced("by another"), False)]
    rig.group.generation = 2
    rig.put("callbacks", 0, b"a")
    await asyncio.wait_for(rig.work, 5)
    assert (rig.shared.opened, rig.alone.opened, rig.suspended, rig.shown) == (0, 0, [], {})
    await rig.close()


async def test_the_time_that_a_transaction_has_is_limited_and_falls_with_a_quick_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_transactions, "FIRST_TIMEOUT_S", 0.01)
    monkeypatch.setattr(shared_transactions, "LONGEST_TIMEOUT_S", 0.03)
    timeout = shared_transactions.TransactionTimeout()
    for _ in range(3):
        with pytest.raises(TransactionFailed):
            await timeout.limit(asyncio.sleep(1))
    assert timeout.seconds == 0.03
    monkeypatch.setattr(shared_transactions, "FIRST_TIMEOUT_S", 0.0)
    assert await timeout.limit(asyncio.sleep(0, "done")) == "done"
    assert timeout.seconds < 0.03


async def test_a_batch_that_came_to_nothing_goes_with_the_next_or_when_it_is_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = LaneRig()
    rig.known_ends[CALLBACKS] = 3
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    rig.put("callbacks", 1, b"a", b"a")
    await rig.settle(2)
    assert (rig.broker[CALLBACKS], rig.lane.lag("callbacks")) == (CommittedOffset(1, RECOVERED_TO + 1), 0)
    rig.put("polled", 0, b"b")
    await rig.settle(3)
    both = CommittedOffset(3, RECOVERED_TO + 2), CommittedOffset(1, RECOVERED_TO + 2)
    assert (rig.broker[CALLBACKS], rig.broker[TopicPartition("polled", HERE)]) == both
    monkeypatch.setattr(commit, "COMMIT_EVERY_S", 0.0)
    rig.put("polled", 1, b"b")
    await rig.settle(4)
    assert rig.broker[TopicPartition("polled", HERE)] == CommittedOffset(2, RECOVERED_TO + 2)
    assert (len(rig.shared.written), rig.alone.written) == (3, [])
    await rig.close()


async def test_what_is_folded_counts_as_lag_until_its_transaction_is_over() -> None:
    rig = LaneRig()
    rig.known_ends[CALLBACKS] = 3
    rig.put("callbacks", 0, b"a")
    await rig.settle(1)
    rig.shared.hangs = asyncio.Event()
    rig.put("callbacks", 1, b"b", b"c")
    await rig.until(lambda: rig.shared.begun == 2)
    assert rig.lane.lag("callbacks") == 2
    rig.shared.hangs.set()
    await rig.settle(2)
    assert rig.lane.lag("callbacks") == 0
    await rig.close()


async def test_what_a_group_without_a_commit_has_not_read_counts_as_lag() -> None:
    rig = LaneRig()
    rig.lane.begin({"callbacks": StartOffset(40, None)}, RECOVERED_TO)
    rig.known_ends[CALLBACKS] = 50
    assert rig.lane.lag("callbacks") == 10
    await rig.close()


async def test_what_retention_deleted_is_not_lag() -> None:
    rig = LaneRig()
    rig.lane.begin({"callbacks": StartOffset(40, CommittedOffset(7, 0))}, RECOVERED_TO)
    rig.known_ends[CALLBACKS] = 50
    assert rig.lane.lag("callbacks") == 10
    await rig.close()


async def test_offsets_that_came_to_nothing_are_asked_for_with_the_batch_that_they_go_with() -> None:
    rig = LaneRig()
    rig.put("callbacks", 0, b"a")
    rig.put("polled", 0, b"a")
    await rig.settle(1)
    rig.put("polled", 1, b"a")
    await rig.settle(2)
    rig.shared.fails = [(TransactionFailed(OSError("gone")), True)]
    rig.put("callbacks", 1, b"b")
    await rig.settle(3)
    assert (rig.suspended, rig.alone.written, rig.shown) == ([], [], {b"a": b"a", b"b": b"b"})
    assert rig.broker[TopicPartition("polled", HERE)] == CommittedOffset(2, RECOVERED_TO + 2)
    await rig.close()
