"""What a budget makes of 429s: a pause, a decrease, and the way back to the full rate."""

from __future__ import annotations

import pytest

from tests.poller.limiter.budgets import answer, busy, once, paused_s, send


@pytest.mark.parametrize(
    ("named_s", "jitter", "pause_s"),
    [
        (None, 0.0, 1.0),
        (7.0, 0.0, 7.0),
        (7.0, 1.0, 7.7),
        (0.0, 0.0, 1.0),
        (-5.0, 0.5, 1.05),
        (float("nan"), 0.0, 1.0),
        (float("inf"), 0.0, 3600.0),
        (1e9, 0.0, 3600.0),
    ],
)
def test_a_429_pauses_everything_for_as_long_as_it_names(
    named_s: float | None, jitter: float, pause_s: float
) -> None:
    """Case 56."""
    budget = busy()
    budget.answered(send(budget, 0.0), "throttled", named_s, 10.0, jitter)
    assert paused_s(budget, 10.0) == pytest.approx(pause_s)
    assert (budget.state(10.0), budget.state(10.0 + pause_s + 0.001)) == ("throttled", "running")


def test_the_429s_of_what_was_sent_before_the_decrease_count_once_and_the_longest_pause_holds() -> None:
    budget = busy()
    grants = [send(budget, second / 2) for second in range(3)]
    for grant, named_s in zip(grants, (1.0, 30.0, 2.0), strict=True):
        answer(budget, grant, "throttled", 2.0, retry_after_s=named_s)
    assert (budget.allowed_rate, budget.allowed_concurrency) == (8.0, 4)
    assert paused_s(budget, 2.0) == 30.0
    once(budget, "throttled", 40.0)
    assert (budget.allowed_rate, budget.allowed_concurrency) == (pytest.approx(6.4), 4)


def test_answers_to_what_was_sent_before_the_decrease_do_not_increase_it() -> None:
    budget = busy()
    before, refused = send(budget, 0.0), send(budget, 1.0)
    answer(budget, refused, "throttled", 2.0)
    answer(budget, before, "success", 10.0)
    assert budget.allowed_rate == 8.0
    once(budget, "success", 11.0)
    assert budget.allowed_rate == pytest.approx(8.0 + 8 * 10 / 250)


def test_an_answer_counts_for_ten_seconds_at_most_and_never_beyond_the_configured_limits() -> None:
    budget = busy()
    once(budget, "throttled", 0.0)
    once(budget, "success", 1000.0)
    assert budget.allowed_rate == pytest.approx(8.4)
    for number in range(100):
        once(budget, "success", 2000.0 + 10 * number)
    assert (budget.allowed_rate, budget.allowed_concurrency) == (10.0, 5)


@pytest.mark.parametrize("outcome", ["server_error", "network_error", "auth_error"])
def test_failed_requests_increase_nothing(outcome: str) -> None:
    budget = busy()
    once(budget, "throttled", 0.0)
    once(budget, outcome, 10.0)
    assert budget.allowed_rate == 8.0


@pytest.mark.parametrize(
    ("rate", "floor", "concurrency"), [(10.0, 0.1, 1), (100.0, 1.0, 1), (0.5, 0.1, 1), (0.05, 0.05, 5)]
)
def test_the_floor_is_a_hundredth_of_the_rate_but_one_request_in_ten_seconds_or_what_was_configured(
    rate: float, floor: float, concurrency: int
) -> None:
    budget = busy(rate, 5)
    for number in range(200):
        once(budget, "throttled", number * 1000.0)
    assert budget.allowed_rate == pytest.approx(floor)
    assert budget.allowed_concurrency == concurrency


@pytest.mark.parametrize("rate", [0.5, 10.0, 100.0])
def test_five_minutes_after_a_storm_of_429s_the_full_rate_is_back(rate: float) -> None:
    budget = busy(rate, 5, waiters=100_000)
    now_s = 0.0
    for _ in range(100):
        now_s = max(now_s, budget.ready_at_s() or 0.0)
        once(budget, "throttled", now_s)
    assert budget.allowed_rate < 0.25 * rate
    over_s = now_s
    while budget.allowed_rate < rate:
        now_s = max(now_s, budget.ready_at_s() or 0.0)
        once(budget, "success", now_s)
        assert now_s < over_s + 300
