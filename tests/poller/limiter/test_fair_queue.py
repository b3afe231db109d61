"""Which waiter is next: heal first, and no priority starves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.fetches import PRIORITIES
from stream.poller.limiter.fair_queue import FairPriorityQueue

LONGEST_WAIT = 25
"""Turns: 8 to be due, and 8 for each other priority that is due before."""


def filled(**members: int) -> FairPriorityQueue[str]:
    queue: FairPriorityQueue[str] = FairPriorityQueue()
    for priority, count in members.items():
        for number in range(count):
            queue.join(f"{priority} {number}", priority)
    return queue


def taken(queue: FairPriorityQueue[str], count: int) -> list[str]:
    return [queue.take() for _ in range(count)]


def test_the_higher_priority_goes_first_and_each_in_the_order_in_which_it_came() -> None:
    queue = filled(backfill=1, freshness=1, terminal=2, heal=2)
    assert queue.waiting() == {"heal": 2, "terminal": 2, "freshness": 1, "backfill": 1}
    assert taken(queue, 6) == ["heal 0", "heal 1", "terminal 0", "terminal 1", "freshness 0", "backfill 0"]
    assert not queue


def test_a_priority_that_was_passed_over_eight_times_is_next() -> None:
    queue = filled(heal=20, terminal=2)
    assert taken(queue, 18) == [
        *(f"heal {number}" for number in range(8)),
        "terminal 0",
        *(f"heal {number}" for number in range(8, 16)),
        "terminal 1",
    ]


def test_of_all_four_priorities_heal_has_seven_turns_of_eight_and_the_others_share_the_eighth() -> None:
    queue = filled(heal=300, terminal=300, freshness=300, backfill=300)
    counts = Counter(name.split()[0] for name in taken(queue, 240))
    assert counts == {"heal": 211, "terminal": 10, "freshness": 10, "backfill": 9}


def test_without_heal_the_next_priority_has_its_seven_of_eight() -> None:
    queue = filled(terminal=300, freshness=300, backfill=300)
    counts = Counter(name.split()[0] for name in taken(queue, 160))
    assert counts == {"terminal": 141, "freshness": 10, "backfill": 9}


def test_an_empty_priority_forgets_that_it_was_passed_over() -> None:
    queue = filled(heal=20, terminal=1)
    taken(queue, 7)
    queue.remove("terminal 0".__eq__)
    queue.join("terminal 1", "terminal")
    assert taken(queue, 9) == [*(f"heal {number}" for number in range(7, 15)), "terminal 1"]


def test_a_waiter_that_was_removed_gets_no_turn() -> None:
    queue = filled(heal=3)
    assert [queue.remove("heal 1".__eq__), queue.remove("heal 1".__eq__)] == [["heal 1"], []]
    assert taken(queue, 2) == ["heal 0", "heal 2"]
    with pytest.raises(IndexError):
        queue.take()


def test_an_unknown_priority_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled(urgent=1)


@given(st.lists(st.sampled_from([*PRIORITIES, "take", "take"]), max_size=400))
@settings(deadline=None)
def test_the_first_of_a_priority_waits_for_at_most_twenty_five_turns(steps: list[str]) -> None:
    queue: FairPriorityQueue[int] = FairPriorityQueue()
    waiting: dict[str, list[int]] = {name: [] for name in PRIORITIES}
    turns_at_head = dict.fromkeys(PRIORITIES, 0)
    steps += ["heal", "take"] * 60  # from here on there is always a heal request: none is next by chance
    for number, step in enumerate(steps):
        if step != "take":
            queue.join(number, step)
            waiting[step].append(number)
        elif any(waiting.values()):
            member = queue.take()
            (name,) = [name for name, members in waiting.items() if member in members]
            assert waiting[name].pop(0) == member
            for other, members in waiting.items():
                turns_at_head[other] = 0 if other == name or not members else turns_at_head[other] + 1
            assert max(turns_at_head.values()) < LONGEST_WAIT
    assert queue.waiting() == {name: len(members) for name, members in waiting.items()}


@given(st.lists(st.sampled_from(PRIORITIES[1:]), max_size=200), st.integers(1, 200))
@settings(deadline=None)
def test_while_heal_requests_wait_they_have_seven_of_eight_turns_and_more(
    others: list[str], turns: int
) -> None:
    queue = filled(heal=turns)
    for number, name in enumerate(others):
        queue.join(f"{name} {number}", name)
    heal = sum(name.startswith("heal") for name in taken(queue, turns))
    assert heal >= turns * 7 // 8
