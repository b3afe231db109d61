"""What a provider takes, and what it says of the rest."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.simulator.rest.throttle import AnsweredRequest, ProviderLimit, RequestStats, Throttle


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_second_s_worth_may_come_at_once_and_then_one_at_a_time() -> None:
    clock, seen = Clock(), RequestStats()
    throttle = Throttle("twilio", ProviderLimit(rate=4), seen, clock)

    def one() -> int:
        wait_s = throttle.enter()
        throttle.leave()
        return wait_s

    assert [one() for _ in range(6)] == [0, 0, 0, 0, 1, 1]
    clock.now_s += 0.25
    assert [one(), one()] == [0, 1]
    clock.now_s += 1000
    assert [one() for _ in range(5)] == [0, 0, 0, 0, 1]


def test_who_is_refused_is_told_how_many_seconds_to_wait() -> None:
    clock = Clock()
    throttle = Throttle("twilio", ProviderLimit(rate=0.1), RequestStats(), clock)
    assert [throttle.enter(), throttle.enter()] == [0, 10]
    clock.now_s += 9.5
    assert throttle.enter() == 1


@settings(deadline=None)
@given(st.floats(0.5, 50), st.lists(st.floats(0, 2), max_size=200))
def test_no_more_than_the_rate_and_one_burst_ever_get_in(rate: float, gaps_s: list[float]) -> None:
    clock = Clock()
    throttle = Throttle("twilio", ProviderLimit(rate=rate), RequestStats(), clock)
    let_in = 0
    for gap_s in gaps_s:
        clock.now_s += gap_s
        let_in += throttle.enter() == 0
    assert let_in <= max(1.0, rate) + rate * sum(gaps_s) + 1e-6


def test_one_more_than_may_be_in_work_is_refused_until_one_is_done() -> None:
    seen = RequestStats()
    throttle = Throttle("telnyx", ProviderLimit(in_flight=2), seen)
    assert [throttle.enter(), throttle.enter(), throttle.enter()] == [0, 0, 1]
    throttle.leave()
    assert throttle.enter() == 1
    throttle.leave()
    throttle.leave()
    assert throttle.enter() == 0
    assert seen.most_in_flight == {"telnyx": 3}


def test_a_refusal_for_too_many_at_once_costs_nothing_of_the_rate() -> None:
    throttle = Throttle("telnyx", ProviderLimit(in_flight=1, rate=2), RequestStats(), Clock())
    assert [throttle.enter(), throttle.enter()] == [0, 1]
    assert throttle.headers()[1] == ("x-ratelimit-remaining", "1")


def test_the_limit_is_told_where_there_is_one() -> None:
    throttle = Throttle("telnyx", ProviderLimit(rate=2), RequestStats(), Clock())
    throttle.enter()
    throttle.enter()
    assert throttle.headers() == (
        ("x-ratelimit-limit", "2"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1"),
    )
    assert Throttle("telnyx", ProviderLimit(), RequestStats()).headers() == ()


def test_what_fails_is_the_same_in_each_run() -> None:
    def run(seed: int) -> list[bool]:
        throttle = Throttle("twilio", ProviderLimit(error_rate=0.3, seed=seed), RequestStats())
        return [throttle.fails() for _ in range(200)]

    assert run(1) == run(1) != run(2)
    assert 30 < sum(run(1)) < 90
    assert not Throttle("twilio", ProviderLimit(), RequestStats()).fails()


def test_what_is_left_is_never_more_than_a_second_s_worth_and_never_less_than_one_request() -> None:
    clock = Clock()
    for rate, left in ((3, "3"), (0.5, "1")):
        throttle = Throttle("telnyx", ProviderLimit(rate=rate), RequestStats(), clock)
        clock.now_s += 60
        assert throttle.headers()[1] == ("x-ratelimit-remaining", left)


def test_what_came_is_counted_and_the_last_ones_are_kept() -> None:
    seen = RequestStats(keep=2)
    for status in (200, 429, 200):
        seen.answered(AnsweredRequest(1.0, "twilio", "calls", "", status))
    assert (seen.refused, seen.requests) == ({"twilio": 1}, {("twilio", "calls"): 3})
    assert [one.status for one in seen.latest] == [429, 200]
