"""All shares together are the ceilings."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.polling.shares import rate_share, slots_share


def test_a_member_has_the_rate_of_its_partitions_and_every_slot_of_its_rank() -> None:
    assert rate_share(10.0, 3, 12) == 2.5
    assert [slots_share(5, rank, 3) for rank in range(3)] == [2, 2, 1]


def test_who_stands_by_has_nothing() -> None:
    assert (rate_share(10.0, 0, 12), slots_share(5, -1, 3), slots_share(5, 3, 3)) == (0.0, 0, 0)
    assert (rate_share(10.0, 0, 0), slots_share(5, 0, 0)) == (0.0, 0)


@given(st.integers(0, 1000), st.integers(1, 64))
@settings(deadline=None)
def test_the_slots_of_all_members_are_the_accounts(concurrency: int, active: int) -> None:
    shares = [slots_share(concurrency, rank, active) for rank in range(active)]
    assert sum(shares) == concurrency
    assert max(shares) - min(shares) <= 1


@given(st.integers(1, 10_000), st.lists(st.integers(0, 64), min_size=1, max_size=16).filter(any))
@settings(deadline=None)
def test_the_rates_of_all_members_are_the_accounts(rate: int, owned: list[int]) -> None:
    shares = [rate_share(float(rate), mine, sum(owned)) for mine in owned]
    exact = sum((Fraction(rate * mine, sum(owned)) for mine in owned), Fraction())
    assert exact == rate
    assert abs(sum(shares) - rate) <= rate * 1e-12
    assert all(a <= b for (_, a), (_, b) in pairwise(sorted(zip(owned, shares, strict=True))))
