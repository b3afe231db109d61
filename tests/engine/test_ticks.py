"""When partitions get their ticks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from stream.engine import ticks
from stream.engine.batch import Batch
from stream.engine.ticks import (
    LONGEST_S,
    MUCH,
    SLOTS,
    PendingTicks,
    Ticker,
    TickSchedule,
    count_slots,
    slots_between,
)

NOW_S = 1_772_445_600.0


def rounds(schedule: TickSchedule, numbers: list[int], start_s: float) -> list[list[int]]:
    """Who gets a tick in the slots of one second."""
    start = count_slots(start_s)
    return [
        schedule.take(numbers, slots_between(now - 1, now), now / SLOTS)
        for now in range(start, start + SLOTS)
    ]


def noted(*due_s: int | None) -> TickSchedule:
    """With a heartbeat just behind it, and something due in partition 0, 1… from these seconds on."""
    schedule = TickSchedule()
    schedule.take([0], {0}, NOW_S - 0.5)
    for number, second in enumerate(due_s):
        schedule.note(number, Batch({}, {}, due_s=second))
    return schedule


def test_partitions_with_something_due_share_a_request_in_each_second_while_ticks_find_little() -> None:
    schedule = noted(*(int(NOW_S) - number for number in range(12)))
    numbers = list(range(12))
    assert rounds(schedule, numbers, NOW_S) == [numbers, *[[]] * (SLOTS - 1)]
    for number in numbers:
        schedule.note(number, Batch({}, {}, due_s=0, ticked=MUCH // 12))
    assert rounds(schedule, numbers, NOW_S + 1) == [numbers, *[[]] * (SLOTS - 1)]


def test_where_ticks_find_much_not_all_partitions_have_theirs_at_once() -> None:
    schedule = noted()
    for number in range(30):
        schedule.note(number, Batch({}, {}, due_s=0, ticked=MUCH // 12))
    for second in range(2):
        found = rounds(schedule, list(range(30)), NOW_S + second)
        assert [len(taken) for taken in found] == [30 // SLOTS] * SLOTS
        assert sorted(number for taken in found for number in taken) == list(range(30))
    schedule.forget()
    schedule.take([0], {0}, NOW_S + 1.9)
    assert len(rounds(schedule, list(range(30)), NOW_S + 2)[0]) == 30, "of a former assignment"


def test_a_partition_where_nothing_is_due_has_none_until_something_is() -> None:
    schedule = noted(int(NOW_S) + 1, None, int(NOW_S) + 1, None)
    none = [[]] * (SLOTS - 1)
    assert rounds(schedule, [0, 1, 2, 3], NOW_S) == [[], *none]
    assert rounds(schedule, [0, 1, 2, 3], NOW_S + 1) == [[0, 2], *none]
    assert rounds(schedule, [4], NOW_S + 1) == [[4], *none], "nothing is known of it yet"


def test_all_partitions_have_a_heartbeat_every_few_seconds_in_one_request() -> None:
    schedule = noted(*[None] * 6)
    numbers = list(range(6))
    late = [rounds(schedule, numbers, NOW_S + second) for second in range(14)]
    beats = [second for second, found in enumerate(late) for taken in found if taken]
    assert [taken for found in late for taken in found if taken] == [numbers] * 2
    assert beats == [4, 9], "each HEARTBEAT_S, of which half a second had passed"
    assert schedule.take(numbers, set(), NOW_S - 3600) == numbers, "the clock was set back"
    schedule.forget()
    assert schedule.take([], set(), NOW_S - 3600) == []
    assert schedule.take(numbers, set(), NOW_S - 3600) == numbers, "the first one of an assignment"


def test_a_round_that_took_long_leaves_no_partition_out_and_ticks_none_twice() -> None:
    assert slots_between(100, 102) == {101 % SLOTS, 102 % SLOTS}
    assert slots_between(100, 100) == set()
    assert slots_between(100, 5000) == set(range(SLOTS))
    assert slots_between(100, 90) == set(), "the clock was set back"


def test_a_partition_with_something_left_is_in_the_next_round_once() -> None:
    schedule = noted(None, None, None, None, None)
    left = Batch({}, {}, due_s=int(NOW_S), unfinished=True)
    schedule.note(3, left)
    schedule.note(4, left)
    assert schedule.take([0, 3], {1}, NOW_S) == [3]
    assert schedule.take([0, 3], {1}, NOW_S) == []
    assert schedule.take([4], {1}, NOW_S) == [4], "it was not at work then"
    schedule.note(4, left)
    schedule.forget()
    assert schedule.take([4], {0}, NOW_S) == [4], "a heartbeat"
    assert schedule.take([4], {1}, NOW_S) == [], "nothing is left of the former assignment"


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


async def test_all_partitions_have_a_heartbeat_as_soon_as_a_producer_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a worker would say for some seconds longer that its partitions take nothing."""

    class Producer:
        def __init__(self, *, broken: bool) -> None:
            self.broken = broken

        async def send(self, _topic: str, *, value: bytes, partition: int) -> asyncio.Future[Any]:
            if self.broken:
                raise KafkaError
            taken = sent()
            taken.set_result("at an offset")
            return taken

    async def drop(_producer: object) -> None: ...

    monkeypatch.setattr(ticks, "drop", drop)
    monkeypatch.setattr(ticks, "REST_S", 0.0)
    producers = [Producer(broken=True), Producer(broken=False)]
    acknowledged, failures = set[int](), list[str]()

    async def opened() -> Producer:
        return producers.pop(0)

    ticker = Ticker(
        "calls.ticks.v1",
        opened,
        lambda: [0, 1, 2],
        noted(None, None, None),
        acknowledged=acknowledged.add,
        failed=lambda: failures.append("given up"),
    )
    running = asyncio.create_task(ticker.run())
    async with asyncio.timeout(ticks.HEARTBEAT_S / 2):
        while acknowledged != {0, 1, 2}:
            await asyncio.sleep(0.01)
    running.cancel()
    assert failures == ["given up"]
