"""What is kept decoded between batches."""

from __future__ import annotations

from agents.batch_state import HOT_CALLS, Hot
from stream.core.call.state import Call, new_call


def a_call(number: int) -> tuple[bytes, Call]:
    key = f"twilio:CA{number:032x}"
    return key.encode(), new_call(key, None)


def test_a_call_that_was_committed_is_taken_once() -> None:
    key, call = a_call(1)
    hot = Hot()
    hot.keep({key: call})
    assert hot.take(key) is call
    assert hot.take(key) is None


def test_a_call_that_left_the_table_is_not_kept() -> None:
    key, call = a_call(1)
    hot = Hot()
    hot.keep({key: call})
    hot.keep({key: None})
    assert hot.take(key) is None


def test_the_calls_that_were_kept_longest_make_room() -> None:
    calls = dict(a_call(number) for number in range(HOT_CALLS + 2))
    hot = Hot()
    hot.keep(dict(calls))
    kept = [key for key in calls if hot.take(key) is not None]
    assert kept == list(calls)[2:]
