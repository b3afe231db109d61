"""When partitions get their ticks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from stream.engine.ticks import LONGEST_S, SLOTS, PendingTicks, TickSchedule, count_slots, slots_between


def rounds(schedule: TickSchedule, numbers: list[int], start_s: float = 1_772_445_600.0) -> list[list[int]]:
    """Who gets a tick in the slots of one second."""
    start = count_slots(start_s)
    return [
        schedule.take(numbers, slots_between(now - 1, now), now / SLOTS)
        for now in range(start, start + SLOTS)
    ]


def test_partitions_with_something_due_have_a_tick_in_each_second_and_not_all_at_once() -> None:
    schedule = TickSchedule()
    for number in range(30):
        schedule.note(number, 1_772_445_600 - number, unfinished=False)
    assert [len(taken) for taken in rounds(schedule, list(range(12)))] == [1] * 12
    found = rounds(schedule, list(range(30)))
    assert sorted(number for taken in found for number in taken) == list(range(30))
    assert max(map(len, found)) == 3


def test_partitions_where_nothing_is_due_have_theirs_in_one_request() -> None:
    schedule = TickSchedule()
    for number in range(6):
        schedule.note(number, 1_772_445_601, unfinished=False)
    schedule.note(6, None, unfinished=False)
    assert rounds(schedule, list(range(12))) == [list(range(12))] + [[]] * 11
    assert rounds(schedule, list(range(12)), 1_772_445_601.0)[:3] == [[0, 6, 7, 8, 9, 10, 11], [1], [2]]


def test_a_round_that_took_long_leaves_no_partition_out_and_ticks_none_twice() -> None:
    assert slots_between(100, 103) == {101 % 12, 102 % 12, 103 % 12}
    assert slots_between(100, 100) == set()
    assert slots_between(100, 5000) == set(range(SLOTS))
    assert slots_between(100, 90) == set(), "the clock was set back"


def test_a_partition_with_something_left_is_in_the_next_round_once() -> None:
    schedule = TickSchedule()
    schedule.note(3, 50, unfinished=True)
    schedule.note(7, 50, unfinished=True)
    assert schedule.take([0, 3], {0}, 100.0) == [0, 3]
    assert schedule.take([0, 3], {0}, 100.0) == [0]
    assert schedule.take([7], {0}, 100.0) == [7], "it was not at work then"
    schedule.note(7, 50, unfinished=True)
    schedule.forget()
    assert schedule.take([7], {1, 7}, 100.0) == [], "nothing is known of it"


def sent() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


async def test_a_partition_whose_tick_is_not_acknowledged_gets_no_other_and_holds_none_up() -> None:
    acknowledged: list[int] = []
    pending = PendingTicks(acknowledged.append, lambda: 0.0)
    hangs, taken = sent(), sent()
    pending.add(3, hangs)
    pending.add(4, taken)
    taken.set_result("at an offset")
    await asyncio.sleep(0)
    assert (acknowledged, pending.without([3, 4, 5])) == ([4], [4, 5])
    pending.check()


async def test_a_tick_that_failed_or_waits_for_too_long_costs_the_producer() -> None:
    now = 0.0
    pending = PendingTicks(lambda _: None, lambda: now)
    pending.add(3, sent())
    now = LONGEST_S + 0.1
    with pytest.raises(TimeoutError):
        pending.check()
    failed = sent()
    pending = PendingTicks(lambda _: None, lambda: now)
    pending.add(3, failed)
    failed.set_exception(KafkaError())
    await asyncio.sleep(0)
    with pytest.raises(KafkaError):
        pending.check()
