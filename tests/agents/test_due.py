"""The index of calls that a tick must look at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.due import Due

entries = st.lists(st.tuples(st.integers(0, 20), st.sampled_from((b"a", b"b", b"c", b"d"))))


def filled(some: list[tuple[int, bytes]]) -> Due:
    due = Due()
    for second, key in some:
        due.add(second, key)
    return due


@given(entries, st.integers(-1, 21))
def test_calls_are_due_in_the_order_of_their_seconds_and_keys_however_they_came(
    some: list[tuple[int, bytes]], now: int
) -> None:
    assert list(filled(some).until(now)) == sorted({entry for entry in some if entry[0] <= now})


def test_looking_twice_finds_the_same() -> None:
    due = filled([(3, b"b"), (1, b"a")])
    assert list(due.until(3)) == list(due.until(3)) == [(1, b"a"), (3, b"b")]


@given(entries, st.integers(0, 20), st.integers(0, 10))
def test_what_was_looked_at_is_forgotten_and_nothing_else(
    some: list[tuple[int, bytes]], now: int, n: int
) -> None:
    due = filled(some)
    looked_at = list(due.until(now))[:n]
    due.forget(looked_at)
    assert list(due.until(100)) == sorted(set(some) - set(looked_at))


def test_a_call_that_is_due_again_at_the_same_second_is_found_again() -> None:
    due = filled([(1, b"a")])
    due.forget([(1, b"a")])
    due.add(1, b"a")
    assert list(due.until(1)) == [(1, b"a")]


def test_forgetting_what_is_not_there_changes_nothing() -> None:
    due = filled([(1, b"a")])
    due.forget([(1, b"b"), (9, b"a")])
    assert list(due.until(9)) == [(1, b"a")]
