"""The cache of decoded calls between batches."""

from __future__ import annotations

from agents.batch_state import CACHED_CALLS, DecodedCallCache
from stream.core.call.state import Call, new_call


def a_call(number: int) -> tuple[bytes, Call]:
    key = f"twilio:CA{number:032x}"
    return key.encode(), new_call(key, None)


def test_a_call_that_was_committed_is_taken_once() -> None:
    key, call = a_call(1)
    cache = DecodedCallCache()
    cache.keep({key: call})
    assert cache.take(key) is call
    assert cache.take(key) is None


def test_a_call_that_left_the_table_is_not_kept() -> None:
    key, call = a_call(1)
    cache = DecodedCallCache()
    cache.keep({key: call})
    cache.keep({key: None})
    assert cache.take(key) is None


def test_the_calls_that_were_kept_longest_make_room() -> None:
    calls = dict(a_call(number) for number in range(CACHED_CALLS + 2))
    cache = DecodedCallCache()
    cache.keep(dict(calls))
    kept = [key for key in calls if cache.take(key) is not None]
    assert kept == list(calls)[2:]
