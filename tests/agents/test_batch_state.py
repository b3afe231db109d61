"""The decoded calls that a partition keeps between batches."""

from __future__ import annotations

from agents.batch_state import CACHED_CALLS, BatchState, PartitionMemory
from agents.due_index import TickFailure
from stream.core.call.state import Call, new_call
from stream.service.metrics import worker_families as f


def a_call(number: int) -> tuple[bytes, Call]:
    key = f"twilio:CA{number:032x}"
    return key.encode(), new_call(key, None)


def a_batch(memory: PartitionMemory) -> BatchState:
    return BatchState(0, {}.get, memory)


def commit(memory: PartitionMemory, calls: dict[bytes, Call | None]) -> None:
    batch = a_batch(memory)
    batch.calls = calls
    batch.commit()


def test_a_call_that_was_committed_is_taken_once() -> None:
    memory, (key, call) = PartitionMemory(), a_call(1)
    commit(memory, {key: call})
    assert a_batch(memory).call(key) is call
    assert a_batch(memory).call(key) is None, "as the store has it"


def test_a_call_that_left_the_table_is_not_kept() -> None:
    memory, (key, call) = PartitionMemory(), a_call(1)
    commit(memory, {key: call})
    commit(memory, {key: None})
    assert memory.cache == {}


def test_the_calls_that_were_kept_longest_make_room() -> None:
    memory, calls = PartitionMemory(), dict(a_call(number) for number in range(CACHED_CALLS + 2))
    commit(memory, dict(calls))
    assert list(memory.cache) == list(calls)[2:]


def test_gauges_move_by_what_a_call_was_before_its_batch_and_is_after_it() -> None:
    known = [a_call(number) for number in range(4)]
    memory = PartitionMemory(cache=dict(known))
    batch = a_batch(memory)
    for key, _ in known:
        batch.calls[key] = batch.call(key)
    (_, ended), (left, _), (_, overdue), _ = known
    ended.ended, overdue.overdue = True, True
    batch.calls[left] = None
    key, started = a_call(9)
    batch.calls[key] = started
    batch.commit()
    assert {series: n for series, n in batch.counts.gauges.items() if n} == {
        (f.CALLS_ACTIVE, "twilio", None, None): -1,
        (f.CALLS_OVERDUE, "twilio"): 1,
    }


def test_a_call_that_stays_what_it_is_moves_no_gauge() -> None:
    key, call = a_call(1)
    batch = a_batch(PartitionMemory(cache={key: call}))
    batch.calls[key] = batch.call(key)
    batch.commit()
    assert batch.counts.gauges == {}


def test_a_change_forgets_failed_ticks_also_where_the_call_stays_due_at_the_same_second() -> None:
    (key, call), failure = a_call(1), TickFailure(3, 40, 0)
    call.due_s = 10
    memory = PartitionMemory(failures={key: failure})
    memory.due.add(failure.retry_s, key)
    batch = a_batch(memory)
    batch.keep(key, 10, call)
    batch.commit()
    assert (memory.failures, [*memory.due.until(100)]) == ({}, [(10, key)])
