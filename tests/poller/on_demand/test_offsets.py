"""How far a partition is done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.poller.on_demand.offsets import Offsets


def taken(*numbers: int) -> Offsets:
    offsets = Offsets()
    for number in numbers:
        offsets.take(number)
    return offsets


def test_where_nothing_was_taken_nothing_is_said() -> None:
    assert (Offsets().position(), Offsets().undone) == (None, 0)


def test_the_lowest_undone_offset_holds_back_those_that_are_done_behind_it() -> None:
    offsets = taken(5, 6, 7)
    offsets.done(6)
    offsets.done(7)
    assert (offsets.position(), offsets.undone) == (5, 1)
    offsets.done(5)
    assert (offsets.position(), offsets.undone) == (8, 0)


def test_a_gap_between_offsets_is_a_mark_of_a_transaction_and_nothing_to_wait_for() -> None:
    offsets = taken(5, 9)
    offsets.done(5)
    assert offsets.position() == 9


def test_done_twice_is_done_once() -> None:
    offsets = taken(5, 6)
    offsets.done(5)
    offsets.done(5)
    assert (offsets.position(), offsets.undone) == (6, 1)


@given(st.lists(st.integers(1, 3), max_size=60), st.data())
def test_no_offset_is_passed_that_is_undone_and_none_waits_that_is_done(
    steps: list[int], data: st.DataObject
) -> None:
    """Against the definition, with everything remembered."""
    offsets, at = Offsets(), 100
    all_taken: list[int] = []
    finished: set[int] = set()
    for step in steps:
        at += step
        offsets.take(at)
        all_taken.append(at)
        for number in data.draw(st.lists(st.sampled_from(all_taken), max_size=3)):
            offsets.done(number)
            finished.add(number)
        open_ones = [number for number in all_taken if number not in finished]
        assert offsets.position() == (open_ones[0] if open_ones else at + 1)
        assert offsets.undone == len(open_ones)


def test_what_overtakes_a_slow_request_costs_no_memory() -> None:
    offsets = taken(0)
    for number in range(1, 50_000):
        offsets.take(number)
        offsets.done(number)
    assert (offsets.position(), len(vars(offsets)["_undone"])) == (0, 1)
