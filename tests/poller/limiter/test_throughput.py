"""What a budget gets out of what a provider allows, in virtual time, without knowing its limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stream.poller.limiter.budget import Budget
from tests.poller.limiter.virtual_provider import Limit, SlidingWindow, TokenBucket, run

SECONDS = 480.0
LEARNED_S = 120.0
"""What happens before is not counted: the limits are learned."""


def bucket() -> Limit:
    return TokenBucket(10.0, 10.0)


def small_bucket() -> Limit:
    return TokenBucket(10.0, 2.0)


def window() -> Limit:
    return SlidingWindow(10)


def budget(times: float) -> Budget[int]:
    """With limits this much higher than the provider's."""
    made: Budget[int] = Budget(10.0 * times, int(5 * times))
    made.own(0.0)
    return made


@pytest.mark.parametrize("limit", [bucket, small_bucket, window])
def test_a_provider_with_the_configured_limits_is_used_to_nine_tenths_and_hardly_throttles(
    limit: Callable[[], Limit],
) -> None:
    ran = run(budget(1), limit(), at_once=5, seconds=SECONDS)
    assert ran.taken >= 0.9 * 10 * SECONDS
    assert ran.most_at_once <= 5
    assert ran.throttled <= 2


@pytest.mark.parametrize("times", [1.2, 3, 10])
def test_a_provider_that_allows_less_and_carries_over_what_is_not_used_is_used_to_nine_tenths(
    times: float,
) -> None:
    ran = run(budget(times), bucket(), at_once=5, seconds=SECONDS + LEARNED_S, from_s=LEARNED_S)
    assert ran.taken >= 0.9 * 10 * SECONDS
    assert ran.most_at_once <= 5
    assert ran.throttled <= SECONDS / 5


@pytest.mark.parametrize(("times", "share"), [(1.2, 0.85), (3, 0.8), (10, 0.7)])
@pytest.mark.parametrize("limit", [small_bucket, window])
def test_a_provider_that_carries_nothing_over_costs_a_pause_for_each_429(
    limit: Callable[[], Limit], times: float, share: float
) -> None:
    ran = run(budget(times), limit(), at_once=5, seconds=SECONDS + LEARNED_S, from_s=LEARNED_S)
    assert ran.taken >= share * 10 * SECONDS
    assert ran.throttled <= SECONDS / 5


@pytest.mark.parametrize("work_s", [1.0, 3.0])
def test_a_provider_that_limits_concurrency_is_used_to_nine_tenths(work_s: float) -> None:
    ran = run(
        budget(3),
        TokenBucket(1e6, 1e6),
        at_once=5,
        seconds=SECONDS + LEARNED_S,
        from_s=LEARNED_S,
        work_s=work_s,
    )
    assert ran.taken >= 0.9 * 5 / work_s * SECONDS
    assert ran.throttled <= SECONDS / 5


def test_a_provider_that_allows_more_again_is_noticed_within_four_minutes() -> None:
    learned = budget(3)
    run(learned, SlidingWindow(10), at_once=5, seconds=120.0)
    assert learned.allowed_rate < 12
    for waiter in range(1000, 10_000):
        learned.queue.join(waiter, "terminal")
    now_s = 120.0
    while learned.allowed_rate < 30 and now_s < 1000:
        now_s = max(now_s, learned.ready_at_s() or now_s)
        taken = learned.take(now_s)
        assert taken is not None
        learned.answered(taken[1], "success", None, now_s, 0.0)
    assert now_s < 120 + 240
