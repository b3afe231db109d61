"""All shares together are the ceilings, in every second."""

from __future__ import annotations

import math
import random
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.poller.limiter.assignor import shares
from stream.poller.limiter.budget import LATE_S, Budget
from stream.poller.limiter.rate_limiter import HANDOVER_S
from stream.poller.limiter.shares import parts, rate_share, slots_share

PARTITIONS, CONCURRENCY = range(12), 5
LATE_LOOP_S = 0.002


def dealt(rate: float, concurrency: int, active: int) -> list[float]:
    return [rate_share(rate, concurrency, rank, active) for rank in range(active)]


def test_a_member_has_every_slot_of_its_rank_and_the_rate_in_proportion() -> None:
    assert [slots_share(5, rank, 3) for rank in range(3)] == [2, 2, 1]
    assert dealt(10.0, 5, 3) == [4.0, 4.0, 2.0]


def test_only_the_last_has_a_part_of_a_request() -> None:
    assert dealt(33.5, 5, 3) == [13.0, 13.0, 7.5]
    assert dealt(4.0, 5, 4) == [1.0, 1.0, 1.0, 1.0]
    assert dealt(0.5, 5, 1) == [0.5]


def test_an_account_is_dealt_out_to_as_many_as_have_a_whole_request_of_both_ceilings() -> None:
    assert [parts(rate, 5) for rate in (33.0, 4.9, 1.5, 0.5)] == [5, 4, 1, 1]


def test_who_stands_by_has_nothing_and_neither_has_one_too_many() -> None:
    assert (slots_share(5, -1, 3), slots_share(5, 3, 3), slots_share(5, 0, 0)) == (0, 0, 0)
    assert (rate_share(10.0, 5, -1, 3), rate_share(10.0, 5, 3, 3), rate_share(10.0, 5, 0, 0)) == (0, 0, 0)
    assert dealt(1.5, 5, 3) == [1.5, 0.0, 0.0]


@given(st.integers(0, 1000), st.integers(1, 64))
@settings(deadline=None)
def test_the_slots_of_all_members_are_the_accounts(concurrency: int, active: int) -> None:
    shares = [slots_share(concurrency, rank, active) for rank in range(active)]
    assert sum(shares) == concurrency
    assert max(shares) - min(shares) <= 1


@given(st.integers(1, 10_000), st.integers(1, 64), st.integers(1, 64))
@settings(deadline=None)
def test_the_rates_of_all_members_are_the_accounts_also_when_each_is_rounded_up(
    eighths: int, concurrency: int, active: int
) -> None:
    rate = eighths / 8
    rates = dealt(rate, concurrency, active)
    assert sum(rates) == rate
    assert sum(map(math.ceil, rates)) == math.ceil(rate)
    if active <= (units := parts(rate, concurrency)):
        assert all(one >= min(rate, 1) for one in rates)
        ideal = [rate * slots_share(units, rank, active) / units for rank in range(active)]
        assert all(abs(one - own) <= 1 for one, own in zip(rates, ideal, strict=True))


def busy(waiters: float) -> Budget[int]:
    """Nobody's share yet, and many who wait."""
    budget: Budget[int] = Budget(0.0, 0)
    for waiter in range(math.ceil(waiters)):
        budget.ask(waiter, "terminal")
    return budget


def sent_by_one(budget: Budget[int], from_s: float, to_s: float, chance: random.Random) -> list[float]:
    """When a poller of which always more is asked sends; its event loop is always a little late."""
    times = []
    now_s = from_s
    while now_s < to_s:
        if (served := budget.serve(now_s)) is not None:
            times.append(now_s)
            budget.answered(served[1], "success", None, now_s, 0.0)
        if (ready_at_s := budget.ready_at_s()) is None:
            break
        now_s = max(now_s, ready_at_s) + LATE_LOOP_S * chance.random()
    return times


def most_in_a_second(times: list[float]) -> int:
    ordered = sorted(times)
    return max(bisect_left(ordered, begin + 1 - 1e-9) - first for first, begin in enumerate(ordered))


@pytest.mark.parametrize("members", range(1, 6))
@pytest.mark.parametrize("rate", [0.5, 1.0, 4.0, 10.0, 33.0])
def test_in_no_second_do_all_pollers_together_send_more_than_the_rate_and_none_sends_less_than_its_share(
    rate: float, members: int
) -> None:
    chance = random.Random(1)
    seconds = 60.0
    places = [
        place
        for place, owned in shares(map(str, range(members)), PARTITIONS, parts(rate, CONCURRENCY)).values()
        if owned
    ]
    rates = [rate_share(rate, CONCURRENCY, place.rank, place.active) for place in places]
    # All at the same time, which is the worst for whoever rounds up; and each at its own.
    for spread_s in (0.0, 0.0, 1.0, 1.0, 1.0, 1.0):
        times = []
        for place, own in zip(places, rates, strict=True):
            budget = busy(rate * seconds)
            budget.share(own, place.slots(CONCURRENCY))
            from_s = spread_s * chance.random()
            times.append(sent_by_one(budget, from_s, from_s + seconds, chance))
        assert most_in_a_second([at for own in times for at in own]) <= math.ceil(rate)
        for own, sent in zip(rates, times, strict=True):
            assert len(sent) >= own * (seconds - 1) / (1 + LATE_S)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (1, 5), (2, 3), (5, 1), (5, 4)])
@pytest.mark.parametrize("rate", [5.0, 10.0, 33.0])
def test_when_shares_change_hands_there_are_no_more_in_a_second_either(
    rate: float, before: int, after: int
) -> None:
    chance = random.Random(1)
    for dealt_s in (7.0, 7.05, 7.1, 7.3):
        times = []
        for rank in range(max(before, after)):
            budget = busy(rate * 20)
            for active, from_s, to_s in ((before, 0.0, dealt_s), (after, dealt_s, 20.0)):
                own = rank if rank < active else -1
                budget.share(
                    rate_share(rate, CONCURRENCY, own, active),
                    slots_share(CONCURRENCY, own, active),
                    from_s + HANDOVER_S,
                )
                times += sent_by_one(budget, from_s, to_s, chance)
        assert most_in_a_second(times) <= rate
