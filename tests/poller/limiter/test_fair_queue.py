"""Who is next: heal first, and nobody never."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.fetches import PRIORITIES
from stream.poller.limiter.fair_queue import FairPriorityQueue

LONGEST_WAIT = 25
"""Turns: 8 to be due, and 8 for each other class that is due before."""


def filled(**members: int) -> FairPriorityQueue[str]:
    line: FairPriorityQueue[str] = FairPriorityQueue()
    for priority, count in members.items():
        for number in range(count):
            line.join(f"{priority} {number}", priority)
    return line


def taken(line: FairPriorityQueue[str], count: int) -> list[str]:
    return [line.take() for _ in range(count)]


def test_the_higher_class_goes_first_and_each_class_in_the_order_in_which_it_came() -> None:
    line = filled(backfill=1, freshness=1, terminal=2, heal=2)
    assert line.waiting() == {"heal": 2, "terminal": 2, "freshness": 1, "backfill": 1}
    assert taken(line, 6) == ["heal 0", "heal 1", "terminal 0", "terminal 1", "freshness 0", "backfill 0"]
    assert len(line) == 0


def test_a_class_that_was_passed_over_eight_times_is_next() -> None:
    line = filled(heal=20, terminal=2)
    assert taken(line, 18) == [
        *(f"heal {number}" for number in range(8)),
        "terminal 0",
        *(f"heal {number}" for number in range(8, 16)),
        "terminal 1",
    ]


def test_of_all_four_classes_heal_has_seven_turns_of_eight_and_the_others_share_the_eighth() -> None:
    line = filled(heal=300, terminal=300, freshness=300, backfill=300)
    order = taken(line, 240)
    assert Counter(name.split()[0] for name in order) == {
        "heal": 211,
        "terminal": 10,
        "freshness": 10,
        "backfill": 9,
    }


def test_without_heal_requests_the_next_class_has_its_seven_of_eight() -> None:
    line = filled(terminal=300, freshness=300, backfill=300)
    counts = Counter(name.split()[0] for name in taken(line, 160))
    assert counts == {"terminal": 141, "freshness": 10, "backfill": 9}


def test_a_class_that_nobody_waits_in_any_more_forgets_that_it_was_passed_over() -> None:
    line = filled(heal=20, terminal=1)
    taken(line, 7)
    line.leave("terminal 0")
    line.join("terminal 1", "terminal")
    assert taken(line, 9) == [*(f"heal {number}" for number in range(7, 15)), "terminal 1"]


def test_whoever_leaves_is_not_called_and_leaving_twice_is_nothing() -> None:
    line = filled(heal=3)
    line.leave("heal 1")
    line.leave("heal 1")
    assert taken(line, 2) == ["heal 0", "heal 2"]
    with pytest.raises(IndexError):
        line.take()


def test_an_unknown_priority_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled(urgent=1)


@given(st.lists(st.sampled_from([*PRIORITIES, "take", "take"]), max_size=400))
@settings(deadline=None)
def test_nobody_at_the_head_of_a_class_waits_for_more_than_twenty_five_turns(steps: list[str]) -> None:
    line: FairPriorityQueue[int] = FairPriorityQueue()
    waiting: dict[str, list[int]] = {name: [] for name in PRIORITIES}
    turns_at_head = dict.fromkeys(PRIORITIES, 0)
    steps += ["heal", "take"] * 60  # From here on there is always a heal request: nobody comes by chance.
    for number, step in enumerate(steps):
        if step != "take":
            line.join(number, step)
            waiting[step].append(number)
        elif any(waiting.values()):
            member = line.take()
            (name,) = [name for name, members in waiting.items() if member in members]
            assert waiting[name].pop(0) == member
            for other, members in waiting.items():
                turns_at_head[other] = 0 if other == name or not members else turns_at_head[other] + 1
            assert max(turns_at_head.values()) < LONGEST_WAIT
    assert line.waiting() == {name: len(members) for name, members in waiting.items()}


@given(st.lists(st.sampled_from(PRIORITIES[1:]), max_size=200), st.integers(1, 200))
@settings(deadline=None)
def test_while_heal_requests_wait_they_have_seven_of_eight_turns_and_more(
    others: list[str], turns: int
) -> None:
    line: FairPriorityQueue[str] = filled(heal=turns)
    for number, name in enumerate(others):
        line.join(f"{name} {number}", name)
    heal = sum(name.startswith("heal") for name in taken(line, turns))
    assert heal >= turns * 7 // 8
