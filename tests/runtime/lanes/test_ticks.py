"""When partitions get their ticks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from stream.runtime.lanes.ticks import LONGEST_S, PLACES, Ticker, Waiting, count_places, places_between


def ticker(numbers: list[int], unfinished: set[int]) -> Ticker:
    return Ticker("ticks", {}, lambda: numbers, unfinished, lambda _: None, lambda: None)


def test_each_partition_has_a_tick_in_each_second_and_not_all_at_once() -> None:
    some = ticker(list(range(12)), set())
    start = count_places(1_772_445_600.0)
    rounds = [some.wanted(places_between(now - 1, now)) for now in range(start, start + PLACES)]
    assert sorted(number for numbers in rounds for number in numbers) == list(range(12))
    assert max(map(len, rounds)) == 1


def test_more_partitions_than_places_share_them() -> None:
    some = ticker(list(range(30)), set())
    assert [len(some.wanted({place})) for place in range(PLACES)] == [3] * 6 + [2] * 6


def test_a_round_that_took_long_leaves_no_partition_out_and_ticks_none_twice() -> None:
    assert places_between(100, 103) == {101 % 12, 102 % 12, 103 % 12}
    assert places_between(100, 100) == set()
    assert places_between(100, 5000) == set(range(PLACES))
    assert places_between(100, 90) == set(), "the clock was set back"


def test_a_partition_with_something_left_is_in_the_next_round_once() -> None:
    unfinished = {3, 7}
    some = ticker([0, 3], unfinished)
    assert some.wanted({0}) == [0, 3]
    assert some.wanted({0}) == [0]
    assert unfinished == {7}, "another's by now, or not at work yet"


def sent() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


async def test_a_partition_whose_tick_is_not_acknowledged_gets_no_other_and_holds_none_up() -> None:
    acknowledged: list[int] = []
    waiting = Waiting(acknowledged.append, lambda: 0.0)
    hangs, taken = sent(), sent()
    waiting.add(3, hangs)
    waiting.add(4, taken)
    taken.set_result("at an offset")
    await asyncio.sleep(0)
    assert (acknowledged, waiting.without([3, 4, 5])) == ([4], [4, 5])
    waiting.check()


async def test_a_tick_that_failed_or_waits_for_too_long_costs_the_producer() -> None:
    now = 0.0
    waiting = Waiting(lambda _: None, lambda: now)
    waiting.add(3, sent())
    now = LONGEST_S + 0.1
    with pytest.raises(TimeoutError):
        waiting.check()
    failed = sent()
    waiting = Waiting(lambda _: None, lambda: now)
    waiting.add(3, failed)
    failed.set_exception(KafkaError())
    await asyncio.sleep(0)
    with pytest.raises(KafkaError):
        waiting.check()
