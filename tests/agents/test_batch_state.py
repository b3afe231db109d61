"""The decoded calls that a partition keeps between batches."""

from __future__ import annotations

from agents.batch_state import CACHED_CALLS, BatchState, PartitionMemory
from stream.core.call.state import Call, new_call


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
