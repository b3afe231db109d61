"""The index of calls that a tick must check."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.due_index import SPARE_SECONDS, DueIndex

entries = st.lists(st.tuples(st.integers(0, 20), st.sampled_from((b"a", b"b", b"c", b"d"))))


def filled(some: list[tuple[int, bytes]]) -> DueIndex:
    due = DueIndex()
    for second, key in some:
        due.add(second, key)
    return due


@given(entries, st.integers(-1, 21))
def test_calls_are_due_in_the_order_of_their_seconds_and_keys_however_they_came(
    some: list[tuple[int, bytes]], now: int
) -> None:
    assert list(filled(some).until(now)) == sorted({entry for entry in some if entry[0] <= now})


@given(entries, st.sets(st.sampled_from((b"a", b"b", b"c", b"d"))))
def test_the_first_second_is_that_of_a_key_which_counts(
    some: list[tuple[int, bytes]], without: set[bytes]
) -> None:
    due = filled(some)
    for second, key in some[::3]:
        due.remove(second, key)
    left = [second for second, key in due.until(100) if key not in without]
    assert due.first(without=without) == min(left, default=None)


def test_looking_twice_finds_the_same() -> None:
    due = filled([(3, b"b"), (1, b"a")])
    assert list(due.until(3)) == list(due.until(3)) == [(1, b"a"), (3, b"b")]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.sampled_from((b"a", b"b", b"c")))))
def test_what_was_removed_is_gone_and_nothing_else(changes: list[tuple[bool, int, bytes]]) -> None:
    due, expected = DueIndex(), set[tuple[int, bytes]]()
    for added, second, key in changes:
        if added:
            due.add(second, key)
            expected.add((second, key))
        else:
            due.remove(second, key)
            expected.discard((second, key))
        assert list(due.until(100)) == sorted(expected)
        assert len(due) == len(expected)


def test_seconds_that_nothing_is_due_at_any_more_are_forgotten() -> None:
    """Each call of a quiet hour is due at its own second, and moves to another one when it ends."""
    due = filled([(0, b"always")])
    for second in range(1, 5000):
        due.add(second, b"a")
        due.remove(second, b"a")
    assert len(due._seconds) <= 2 + SPARE_SECONDS
    assert list(due.until(5000)) == [(0, b"always")]
