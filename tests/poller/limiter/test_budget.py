"""One budget for an account, in virtual time."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.poller.limiter.budget import LATE_S, Budget, Grant
from tests.poller.limiter.budgets import INTERVAL_S, answer, busy, once, send


def test_requests_are_spaced_evenly_and_none_is_sent_before_its_time() -> None:
    budget = busy()
    now_s, times = 0.0, []
    for _ in range(5):
        once(budget, "success", now_s)
        times.append(now_s)
        assert budget.take(now_s) is None
        now_s = budget.ready_at_s() or 0.0
    assert [b - a for a, b in pairwise(times)] == pytest.approx([INTERVAL_S - LATE_S] + [INTERVAL_S] * 3)


def in_no_second_more_than(rate: float, times: list[float]) -> bool:
    most = int(rate)
    return all(later - earlier >= 1 - 1e-9 for earlier, later in zip(times, times[most:], strict=False))


@given(st.lists(st.floats(0, 0.3), min_size=60, max_size=60), st.sampled_from([1.0, 3.0, 10.0, 17.0]))
@settings(deadline=None)
def test_no_second_has_more_than_the_rate_however_late_the_loop_is(late_s: list[float], rate: float) -> None:
    budget = busy(rate, 1000)
    now_s, times = 0.0, []
    for late in late_s:
        now_s = max(now_s, budget.ready_at_s() or 0.0) + late
        while (taken := budget.take(now_s)) is not None:
            answer(budget, taken[1], "success", now_s)
            times.append(now_s)
    assert in_no_second_more_than(rate, times)


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 2)), min_size=1, max_size=8),
    st.sampled_from([1.0, 3.0, 10.0]),
)
@settings(deadline=None)
def test_no_second_has_more_than_the_rate_while_the_account_changes_hands(
    turns: list[tuple[float, int]], rate: float
) -> None:
    """Each owner sends all it may until it is disowned; the next one has waited for its second."""
    owners = [busy(rate, 1000) for _ in range(3)]
    for owner in owners:
        owner.own(None)
    now_s, times = 0.0, []
    for lasts_s, number in turns:
        owner, end_s = owners[number], now_s + lasts_s
        owner.own(now_s + 1.0)
        while (ready_at_s := owner.ready_at_s()) is not None and ready_at_s < end_s:
            times.append(max(now_s, ready_at_s))
            once(owner, "success", times[-1])
        owner.own(None)
        now_s = end_s
    assert in_no_second_more_than(rate, times)


def test_a_loop_that_is_a_little_late_loses_no_throughput() -> None:
    budget = busy(10.0, 1000)
    now_s = 0.0
    for _ in range(100):
        now_s = max(now_s, budget.ready_at_s() or 0.0) + 0.009
        once(budget, "success", now_s)
    assert now_s == pytest.approx(99 * INTERVAL_S + 0.009, abs=LATE_S)


def test_no_more_are_in_flight_than_may_be() -> None:
    budget = busy(1000.0, 2)
    first, _ = send(budget, 0.0), send(budget, 1.0)
    assert (len(budget.in_flight), budget.take(2.0), budget.ready_at_s()) == (2, None, None)
    answer(budget, first, "success", 3.0)
    assert budget.take(3.0) is not None


def test_a_request_without_an_outcome_frees_its_place_and_teaches_nothing() -> None:
    budget = busy(10.0, 1)
    budget.released(send(budget, 0.0))
    assert (len(budget.in_flight), budget.state(0.0)) == (0, "running")
    assert budget.take(0.05) is None
    assert budget.take(1.0) is not None


def test_a_request_that_was_never_made_costs_no_time_unless_another_was_granted_since() -> None:
    budget = busy(10.0, 5)
    budget.released(send(budget, 0.0), unsent=True)
    first = send(budget, 0.0)
    second = send(budget, INTERVAL_S)
    budget.released(first, unsent=True)
    assert budget.take(1.5 * INTERVAL_S) is None
    budget.released(second, unsent=True)
    assert budget.take(1.5 * INTERVAL_S) is not None


def test_a_request_is_answered_once_and_with_an_outcome() -> None:
    budget = busy()
    grant = send(budget, 0.0)
    with pytest.raises(ValueError):
        answer(budget, grant, "fine", 0.0)
    answer(budget, grant, "success", 0.0)
    with pytest.raises(KeyError):
        answer(budget, grant, "success", 0.0)
    with pytest.raises(KeyError):
        budget.released(grant)


# -- ownership


def test_nothing_is_sent_by_a_poller_that_does_not_own_the_account() -> None:
    budget: Budget[int] = Budget(10.0, 5)
    budget.queue.join(1, "heal")
    assert (budget.state(0.0), budget.ready_at_s(), budget.take(0.0)) == ("standby", None, None)
    assert (budget.allowed_rate, budget.allowed_concurrency, budget.failure(0.0)) == (0.0, 0, None)


def test_a_new_owner_sends_from_its_time_on_and_keeps_what_it_learned_when_it_loses_the_account() -> None:
    budget = busy(10.0, 10)
    once(budget, "throttled", 0.0)
    budget.own(None)
    assert (budget.allowed_rate, budget.allowed_concurrency) == (0.0, 0)
    budget.own(50.0)
    assert (budget.allowed_rate, budget.allowed_concurrency, budget.state(10.0)) == (8.0, 8, "running")
    assert (budget.take(49.9), budget.take(50.0) is not None) == (None, True)


# -- closed accounts


def test_the_next_is_the_most_urgent_of_the_queue() -> None:
    budget: Budget[str] = Budget(1000.0, 10)
    budget.own(0.0)
    for waiter, priority in (("b", "backfill"), ("h", "heal"), ("f", "freshness")):
        budget.queue.join(waiter, priority)
    assert [taken[0] for second in range(3) if (taken := budget.take(float(second)))] == ["h", "f", "b"]


def test_while_credentials_are_refused_one_request_at_a_time_tries_them() -> None:
    budget = busy()
    once(budget, "auth_error", 0.0)
    assert (budget.state(1.0), budget.ready_at_s()) == ("refused", 30.0)
    probe = send(budget, 30.0)
    assert (budget.take(35.0), budget.ready_at_s()) == (None, None)
    answer(budget, probe, "success", 35.0)
    assert (budget.state(35.0), budget.take(35.0) is not None) == ("running", True)


def test_a_probe_without_an_outcome_lets_another_try() -> None:
    budget = busy()
    once(budget, "auth_error", 0.0)
    budget.released(send(budget, 30.0))
    assert budget.take(31.0) is not None


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
    assert (budget.state(1.0), budget.ready_at_s()) == ("refused", 101.0)


def test_impatient_requests_fail_where_credentials_are_refused_or_a_429_asked_for_a_long_pause() -> None:
    budget = busy()
    once(budget, "throttled", 0.0, retry_after_s=30.0)
    assert budget.failure(0.0) is None
    once(budget, "throttled", 31.0, retry_after_s=31.0)
    assert [budget.failure(second) for second in (31.0, 32.0)] == ["throttled", None]
    for number in range(5):
        once(budget, "network_error", 100.0 + number)
    assert budget.failure(104.0) is None
    for _ in range(5):
        once(budget, "network_error", budget.ready_at_s() or 0.0)
    assert (budget.failure(104.0), budget.state(104.0)) == (None, "unreachable"), "a probe is soon due"
    once(budget, "auth_error", 1000.0)
    assert [budget.failure(second) for second in (1000.0, 2000.0)] == ["auth_error", "auth_error"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "leave", "time", "answer", "drop", "own"]), st.integers(0, 99))
    ),
    st.sampled_from([1, 2, 5]),
)
@settings(deadline=None)
def test_places_are_conserved_and_each_waiter_is_taken_once_or_still_waits(
    steps: list[tuple[str, int]], concurrency: int
) -> None:
    budget: Budget[int] = Budget(10.0, concurrency)
    budget.own(0.0)
    chance = random.Random(1)
    waiting: set[int] = set()
    taken_: list[int] = []
    in_flight: list[Grant] = []
    now_s = 0.0
    for number, (step, pick) in enumerate(steps):
        if step == "ask":
            budget.queue.join(number, ("heal", "terminal", "freshness", "backfill")[pick % 4])
            waiting.add(number)
        elif step == "leave" and waiting:
            left = sorted(waiting)[pick % len(waiting)]
            assert budget.queue.remove(left.__eq__) == [left]
            waiting.discard(left)
        elif step == "time":
            now_s += pick / 50
        elif step == "answer" and in_flight:
            outcome = ("success", "throttled", "auth_error", "server_error", "not_ready")[pick % 5]
            grant = in_flight.pop(pick % len(in_flight))
            budget.answered(grant, outcome, None, now_s, chance.random())
        elif step == "drop" and in_flight:
            budget.released(in_flight.pop(pick % len(in_flight)), unsent=bool(pick % 2))
        elif step == "own":
            budget.own(now_s + pick / 50 if pick % 3 else None)
        while (taken := budget.take(now_s)) is not None:
            taken_.append(taken[0])
            waiting.remove(taken[0])
            in_flight.append(taken[1])
            assert len(in_flight) <= concurrency
        assert len(budget.in_flight) == len(in_flight)
        assert sum(budget.queue.waiting().values()) == len(waiting)
        assert (ready_at_s := budget.ready_at_s()) is None or ready_at_s > now_s
    for grant in in_flight:
        budget.answered(grant, "success", None, now_s, 0.0)
    budget.own(now_s)
    while waiting:
        ready_at_s = budget.ready_at_s()
        assert ready_at_s is not None
        now_s = max(now_s, ready_at_s)
        waiter, grant = budget.take(now_s) or pytest.fail("none is taken at the time that was named")
        budget.answered(grant, "success", None, now_s, 0.0)
        waiting.remove(waiter)
        taken_.append(waiter)
    assert len(taken_) == len(set(taken_))
