"""One budget for an account, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.poller.limiter.budget import LATE_S, Budget, Grant
from tests.poller.limiter.virtual_provider import Limit, SlidingWindow, TokenBucket, run

EVEN_S = (1 + LATE_S) / 10
"""Between two requests at 10 a second."""


def busy(rate: float = 10.0, concurrency: int = 5, waiters: int = 1000) -> Budget[int]:
    """A budget with many who wait."""
    budget: Budget[int] = Budget(rate, concurrency)
    for waiter in range(waiters):
        budget.ask(waiter, "terminal")
    return budget


def send(budget: Budget[int], now_s: float) -> Grant:
    served = budget.serve(now_s)
    assert served is not None
    return served[1]


def answer(budget: Budget[int], sent: Grant, outcome: str, now_s: float, **more: float) -> None:
    budget.answered(sent, outcome, more.get("retry_after_s"), now_s, more.get("jitter", 0.0))


def once(budget: Budget[int], outcome: str, now_s: float, **more: float) -> None:
    """A request that is answered at once."""
    answer(budget, send(budget, now_s), outcome, now_s, **more)


def refuse(budget: Budget[int]) -> None:
    once(budget, "auth_error", 0.0)


def test_requests_are_spaced_evenly_and_none_is_sent_before_its_time() -> None:
    budget = busy()
    now_s, times = 0.0, []
    for _ in range(5):
        once(budget, "success", now_s)
        times.append(now_s)
        assert budget.serve(now_s) is None
        now_s = budget.ready_at_s() or 0.0
    assert [b - a for a, b in pairwise(times)] == pytest.approx([EVEN_S - LATE_S] + [EVEN_S] * 3)


@given(st.lists(st.floats(0, 0.3), min_size=60, max_size=60), st.sampled_from([1.0, 3.0, 10.0, 17.0]))
@settings(deadline=None)
def test_in_no_second_are_there_more_than_the_rate_however_late_the_loop_is(
    late_s: list[float], rate: float
) -> None:
    budget = busy(rate, 1000)
    now_s, times = 0.0, []
    for late in late_s:
        now_s = max(now_s, budget.ready_at_s() or 0.0) + late
        while (served := budget.serve(now_s)) is not None:
            answer(budget, served[1], "success", now_s)
            times.append(now_s)
    most = int(rate)
    assert all(later - earlier >= 1 - 1e-9 for earlier, later in zip(times, times[most:], strict=False))


def test_a_loop_that_is_a_little_late_loses_no_throughput() -> None:
    budget = busy(10.0, 1000)
    now_s = 0.0
    for _ in range(100):
        now_s = max(now_s, budget.ready_at_s() or 0.0) + 0.009
        once(budget, "success", now_s)
    assert now_s == pytest.approx(99 * EVEN_S + 0.009, abs=LATE_S)


def test_no_more_are_on_their_way_than_there_are_slots() -> None:
    budget = busy(1000.0, 2)
    first, _ = send(budget, 0.0), send(budget, 1.0)
    assert (budget.in_flight, budget.serve(2.0), budget.ready_at_s()) == (2, None, None)
    answer(budget, first, "success", 3.0)
    assert budget.serve(3.0) is not None


def test_a_request_that_came_to_nothing_gives_its_slot_back_and_teaches_nothing() -> None:
    budget = busy(10.0, 1)
    budget.given_back(send(budget, 0.0))
    assert (budget.in_flight, budget.state(0.0)) == (0, "running")
    assert budget.serve(1.0) is not None


def test_a_request_is_answered_once_and_with_an_outcome() -> None:
    budget = busy()
    sent = send(budget, 0.0)
    with pytest.raises(ValueError):
        answer(budget, sent, "fine", 0.0)
    answer(budget, sent, "success", 0.0)
    with pytest.raises(KeyError):
        answer(budget, sent, "success", 0.0)
    with pytest.raises(KeyError):
        budget.given_back(sent)


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
    budget = busy()
    budget.answered(send(budget, 0.0), "throttled", named_s, 10.0, jitter)
    assert budget.paused_s(10.0) == pytest.approx(pause_s)
    assert budget.ready_at_s() == pytest.approx(10.0 + pause_s)
    assert (budget.state(10.0), budget.state(10.0 + pause_s + 0.001)) == ("throttled", "running")


def test_the_429s_of_what_was_sent_before_the_fall_count_once_and_the_longest_pause_holds() -> None:
    budget = busy()
    sent = [send(budget, second / 2) for second in range(3)]
    for one, named_s in zip(sent, (1.0, 30.0, 2.0), strict=True):
        answer(budget, one, "throttled", 2.0, retry_after_s=named_s)
    assert (budget.allowed_rate, budget.allowed_concurrency) == (8.0, 4)
    assert budget.paused_s(2.0) == 30.0
    once(budget, "throttled", 40.0)
    assert (budget.allowed_rate, budget.allowed_concurrency) == (pytest.approx(6.4), 4)


def test_answers_to_what_was_sent_before_the_fall_do_not_raise_what_has_fallen() -> None:
    budget = busy()
    before, refused = send(budget, 0.0), send(budget, 1.0)
    answer(budget, refused, "throttled", 2.0)
    answer(budget, before, "success", 10.0)
    assert budget.allowed_rate == 8.0
    answer(budget, send(budget, 11.0), "success", 11.0)
    assert budget.allowed_rate == pytest.approx(8.5)


@pytest.mark.parametrize(("rate", "least"), [(10.0, 0.1), (100.0, 1.0), (0.5, 0.1), (0.05, 0.05)])
def test_the_rate_falls_to_a_hundredth_but_to_a_request_in_ten_seconds_or_what_it_was(
    rate: float, least: float
) -> None:
    budget = busy(rate, 5)
    for number in range(200):
        once(budget, "throttled", number * 1000.0)
    assert budget.allowed_rate == pytest.approx(least)
    assert budget.allowed_concurrency == 1


def test_new_ceilings_hold_at_once_and_keep_what_was_learned_of_the_old() -> None:
    budget = busy(10.0, 10)
    once(budget, "throttled", 0.0)
    budget.share(5.0, 5)
    assert (budget.allowed_rate, budget.allowed_concurrency) == (4.0, 4)
    budget.share(0.0, 0)
    assert (budget.state(10.0), budget.ready_at_s(), budget.serve(10.0)) == ("standby", None, None)
    budget.share(20.0, 20)
    assert (budget.allowed_rate, budget.allowed_concurrency, budget.state(10.0)) == (
        16.0,
        16,
        "running",
    )


def test_with_fewer_slots_than_are_on_their_way_nobody_goes_until_there_is_one_free() -> None:
    budget = busy(1000.0, 3)
    sent = [send(budget, float(second)) for second in range(3)]
    budget.share(1000.0, 2)
    answer(budget, sent[0], "success", 3.0)
    assert budget.serve(3.0) is None
    answer(budget, sent[1], "success", 3.0)
    assert budget.serve(3.0) is not None


@pytest.mark.parametrize(("rate", "concurrency"), [(0.0, 5), (10.0, 0)])
def test_without_a_share_of_either_it_stands_by(rate: float, concurrency: int) -> None:
    budget = busy(rate, concurrency)
    assert (budget.state(0.0), budget.serve(1e9), budget.paused_s(0.0)) == ("standby", None, 0.0)


def test_the_next_is_called_by_priority_and_whoever_left_is_not() -> None:
    budget: Budget[str] = Budget(1000.0, 10)
    for waiter, priority in (("b", "backfill"), ("t", "terminal"), ("h", "heal"), ("f", "freshness")):
        budget.ask(waiter, priority)
    budget.leave("t")
    called = [served[0] for second in range(3) if (served := budget.serve(float(second))) is not None]
    assert called == ["h", "f", "b"]


def test_while_credentials_are_refused_one_request_at_a_time_tries_them() -> None:
    budget = busy()
    refuse(budget)
    assert (budget.state(1.0), budget.paused_s(1.0), budget.ready_at_s()) == ("refused", 29.0, 30.0)
    probe = send(budget, 30.0)
    assert (budget.serve(35.0), budget.ready_at_s()) == (None, None)
    answer(budget, probe, "success", 35.0)
    assert (budget.state(35.0), budget.serve(35.0) is not None) == ("running", True)


def test_a_probe_that_came_to_nothing_lets_another_try() -> None:
    budget = busy()
    refuse(budget)
    budget.given_back(send(budget, 30.0))
    assert budget.serve(31.0) is not None


def test_refused_is_said_until_one_may_try_and_to_all_but_that_one() -> None:
    budget = busy(waiters=1)
    assert not budget.refused(0.0)
    refuse(budget)
    assert [budget.refused(second) for second in (0.0, 29.0, 30.0)] == [True, True, False]
    budget.ask(1, "heal")
    assert budget.refused(30.0)
    send(budget, 30.0)
    assert budget.refused(31.0)


def test_errors_in_a_row_leave_one_request_at_a_time_and_no_lower_rate() -> None:
    budget = busy()
    for second in range(5):
        once(budget, "network_error", float(second))
    assert (budget.state(4.0), budget.ready_at_s(), budget.allowed_rate) == ("unreachable", 5.0, 10.0)
    once(budget, "empty", 5.0)
    assert budget.state(5.0) == "running"


def test_a_pause_and_a_wait_for_a_probe_are_both_waited_for() -> None:
    budget = busy()
    one, other = send(budget, 0.0), send(budget, 1.0)
    answer(budget, one, "throttled", 1.0, retry_after_s=100.0)
    answer(budget, other, "auth_error", 1.0)
    assert (budget.state(1.0), budget.paused_s(1.0), budget.ready_at_s()) == ("refused", 100.0, 101.0)


def bucket() -> Limit:
    return TokenBucket(10.0, 10.0)


def small_bucket() -> Limit:
    return TokenBucket(10.0, 2.0)


def window() -> Limit:
    return SlidingWindow(10)


@pytest.mark.parametrize("work_s", [0.02, 0.1])
@pytest.mark.parametrize("times", [1, 3, 10])
@pytest.mark.parametrize("limit", [bucket, small_bucket, window])
def test_nine_tenths_of_what_a_provider_allows_are_used_without_knowing_its_limits(
    limit: Callable[[], Limit], times: int, work_s: float
) -> None:
    ran = run(Budget(10.0 * times, 5 * times), limit(), at_once=5, seconds=300.0, work_s=work_s)
    assert ran.taken >= 0.9 * 10 * 300
    assert ran.most_at_once <= 5
    assert ran.throttled <= 60


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("work_s", [1.0, 3.0])
def test_nine_tenths_of_the_requests_at_once_are_used_without_knowing_how_many_there_may_be(
    work_s: float, times: int
) -> None:
    ran = run(Budget(10.0 * times, 5 * times), TokenBucket(1e6, 1e6), at_once=5, seconds=300.0, work_s=work_s)
    assert ran.taken >= 0.9 * 300 * 5 / work_s
    assert ran.throttled <= 60


@pytest.mark.parametrize("limit", [bucket, window])
def test_nine_tenths_are_used_where_both_limits_are_nearly_reached(limit: Callable[[], Limit]) -> None:
    for times in (1, 3):
        ran = run(Budget(10.0 * times, 5 * times), limit(), at_once=5, seconds=600.0, work_s=0.4)
        assert ran.taken >= 0.9 * 10 * 600


def test_a_provider_that_allows_more_again_is_noticed_within_two_minutes() -> None:
    budget: Budget[int] = Budget(30.0, 15)
    run(budget, SlidingWindow(10), at_once=5, seconds=120.0)
    assert budget.allowed_rate < 11
    for waiter in range(1000, 10_000):
        budget.ask(waiter, "terminal")
    now_s = 120.0
    while budget.allowed_rate < 30 and now_s < 1000:
        now_s = max(now_s, budget.ready_at_s() or now_s)
        once(budget, "success", now_s)
    assert now_s < 120 + 120


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "leave", "time", "answer", "drop", "share"]), st.integers(0, 99))
    ),
    st.sampled_from([1, 2, 5]),
)
@settings(deadline=None)
def test_slots_are_conserved_and_everybody_is_called_once_or_still_waits(
    steps: list[tuple[str, int]], concurrency: int
) -> None:
    budget: Budget[int] = Budget(10.0, concurrency)
    chance = random.Random(1)
    waiting: set[int] = set()
    called: list[int] = []
    on_their_way: list[Grant] = []
    now_s, slots = 0.0, concurrency
    for number, (step, pick) in enumerate(steps):
        if step == "ask":
            budget.ask(number, ("heal", "terminal", "freshness", "backfill")[pick % 4])
            waiting.add(number)
        elif step == "leave" and waiting:
            left = sorted(waiting)[pick % len(waiting)]
            budget.leave(left)
            waiting.discard(left)
        elif step == "time":
            now_s += pick / 50
        elif step == "answer" and on_their_way:
            outcome = ("success", "throttled", "auth_error", "server_error", "not_ready")[pick % 5]
            sent = on_their_way.pop(pick % len(on_their_way))
            budget.answered(sent, outcome, None, now_s, chance.random())
        elif step == "drop" and on_their_way:
            budget.given_back(on_their_way.pop(pick % len(on_their_way)))
        elif step == "share":
            slots = pick % 4
            budget.share(float(pick % 3) * 5, slots)
        while (served := budget.serve(now_s)) is not None:
            called.append(served[0])
            waiting.remove(served[0])
            on_their_way.append(served[1])
            assert len(on_their_way) <= slots
        assert budget.in_flight == len(on_their_way)
        assert sum(budget.waiting().values()) == len(waiting)
        assert (ready_at_s := budget.ready_at_s()) is None or ready_at_s > now_s
    for sent in on_their_way:
        budget.answered(sent, "success", None, now_s, 0.0)
    budget.share(10.0, 1)
    while waiting:
        ready_at_s = budget.ready_at_s()
        assert ready_at_s is not None
        now_s = max(now_s, ready_at_s)
        waiter, sent = budget.serve(now_s) or pytest.fail("nobody is called at the time that was named")
        budget.answered(sent, "success", None, now_s, 0.0)
        waiting.remove(waiter)
        called.append(waiter)
    assert len(called) == len(set(called))
