"""How far a partition is done."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.kafka.client.offsets import METADATA_LIMIT, Offsets


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


# -- what the next owner is told


def passed_on(offsets: Offsets) -> Offsets:
    """As the next owner restores them."""
    position = offsets.position()
    assert position is not None
    return Offsets.restored(position, offsets.metadata())


def test_the_next_owner_takes_what_is_undone_and_what_is_new() -> None:
    offsets = taken(5, 6, 7, 9)
    offsets.done(6)
    offsets.done(9)
    again = passed_on(offsets)
    assert (again.undone, again.awaited) == (2, 2)
    assert [number for number in (5, 6, 7, 9, 10, 12) if again.take(number)] == [5, 7, 10, 12]
    assert (again.undone, again.awaited) == (4, 0)
    assert again.position() == 5
    for number in (5, 7, 10):
        again.done(number)
    assert again.position() == 12


def test_what_was_answered_is_not_forgotten_by_an_owner_that_did_not_come_so_far() -> None:
    offsets = taken(*range(10))
    for number in range(1, 10):
        offsets.done(number)
    second = passed_on(offsets)
    assert second.take(0)
    third = passed_on(second)
    assert [number for number in range(12) if third.take(number)] == [0, 10, 11]


def test_a_record_that_has_expired_since_holds_nothing_up() -> None:
    offsets = taken(5, 6, 7, 8)
    offsets.done(7)
    again = passed_on(offsets)
    assert [number for number in (8, 9) if again.take(number)] == [8, 9]
    assert again.position() == 8


def test_nothing_is_said_where_the_position_says_it_all() -> None:
    offsets = taken(5, 6)
    assert (Offsets().metadata(), offsets.metadata()) == ("", "")
    offsets.done(5)
    assert offsets.metadata() == ""
    offsets.done(6)
    assert offsets.metadata() == ""


@pytest.mark.parametrize(
    "metadata", ["", "x", "3", "3:!", "3:AAAA", "-1:eJwDAAAAAAE=", "9999:eJwDAAAAAAE=", "é"]
)
def test_metadata_that_cannot_be_read_says_nothing(metadata: str) -> None:
    offsets = Offsets.restored(5, metadata)
    assert (offsets.take(5), offsets.position()) == (True, 5)


def test_metadata_has_room_in_kafka_and_says_what_fits() -> None:
    backlog = taken(*range(20_000))
    for number in range(1, 20_000, 2):
        backlog.done(number)
    assert 0 < len(backlog.metadata()) <= METADATA_LIMIT
    chance = random.Random(1)
    scattered = taken(*range(400_000))
    done = {number for number in range(1, 400_000) if chance.random() < 0.5}
    for number in done:
        scattered.done(number)
    assert METADATA_LIMIT / 2 < len(scattered.metadata()) <= METADATA_LIMIT
    again = passed_on(scattered)
    taken_again = {number for number in range(400_000) if again.take(number)}
    assert taken_again.isdisjoint(number for number in done if number < 15_000)
    assert taken_again >= set(range(400_000)) - done


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=60),
    st.data(),
)
def test_the_next_owner_takes_each_undone_offset_and_no_other(steps: list[int], data: st.DataObject) -> None:
    numbers = list(accumulate(steps, initial=100))
    offsets = taken(*numbers)
    done = data.draw(st.sets(st.sampled_from(numbers)))
    for number in done:
        offsets.done(number)
    position = offsets.position()
    assert position is not None
    again = passed_on(offsets)
    fetched = [number for number in numbers if number >= position]
    assert {number for number in fetched if again.take(number)} == set(numbers) - done
    for number in set(numbers) - done:
        again.done(number)
    assert again.position() in (None, numbers[-1] + 1)


def test_of_the_records_of_a_topic_that_was_made_again_nothing_is_known() -> None:
    before = taken(1000, 1001, 1002)
    before.done(1001)
    again = Offsets.restored(1000, before.metadata())
    assert [again.take(offset) for offset in (0, 1)] == [True, True]
    assert (again.position(), again.undone, again.awaited) == (0, 2, 0)
