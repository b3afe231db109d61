"""An account that refuses credentials, or does not answer, gets one probe at a time, ever less often."""

from __future__ import annotations

import pytest

from stream.poller.limiter.circuit_breaker import CircuitBreaker


def probed(breaker: CircuitBreaker, outcome: str) -> float:
    """Send the next probe as soon as it is allowed. Returns the new wait."""
    at_s = breaker.retry_at_s
    assert not breaker.allows(at_s - 0.001)
    assert breaker.allows(at_s)
    breaker.answered(outcome, breaker.sent(), at_s)
    return breaker.retry_at_s - at_s


def unreachable() -> CircuitBreaker:
    breaker = CircuitBreaker()
    for outcome in ("server_error", "network_error", "server_error", "network_error", "server_error"):
        assert breaker.state(0.0) == "closed"
        breaker.answered(outcome, breaker.sent(), 0.0)
    return breaker


def refused() -> CircuitBreaker:
    breaker = CircuitBreaker()
    breaker.answered("auth_error", breaker.sent(), 0.0)
    return breaker


def test_it_goes_from_closed_to_open_to_half_open_and_back() -> None:
    breaker = CircuitBreaker()
    states = [breaker.state(0.0)]
    breaker.answered("auth_error", breaker.sent(), 0.0)
    states += [breaker.state(29.9), breaker.state(30.0)]
    probe = breaker.sent()
    states.append(breaker.state(31.0))
    breaker.answered("auth_error", probe, 31.0)
    states += [breaker.state(90.9), breaker.state(91.0)]
    breaker.answered("success", breaker.sent(), 91.0)
    states.append(breaker.state(91.0))
    assert states == ["closed", "open", "half-open", "half-open", "open", "half-open", "closed"]


def test_refused_credentials_are_tried_again_after_30_s_and_then_at_most_every_10_minutes() -> None:
    breaker = refused()
    assert (breaker.reason, breaker.retry_at_s) == ("refused", 30.0)
    assert [probed(breaker, "auth_error") for _ in range(6)] == [60, 120, 240, 480, 600, 600]


def test_there_is_one_probe_at_a_time() -> None:
    breaker = refused()
    probe = breaker.sent()
    assert (breaker.allows(1e9), breaker.is_probing) == (False, True)
    assert breaker.released(probe)
    assert (breaker.allows(30.0), breaker.is_probing) == (True, False)


@pytest.mark.parametrize("outcome", ["success", "empty", "not_found", "client_error", "rubbish"])
def test_a_probe_with_any_other_answer_closes_it(outcome: str) -> None:
    breaker = refused()
    probed(breaker, outcome)
    assert (breaker.reason, breaker.allows(30.0)) == ("", True)
    breaker.answered("auth_error", breaker.sent(), 100.0)
    assert breaker.retry_at_s == 130.0


@pytest.mark.parametrize("outcome", ["server_error", "network_error", "throttled"])
def test_a_probe_that_shows_nothing_about_credentials_is_repeated_after_the_same_time(outcome: str) -> None:
    breaker = refused()
    assert [probed(breaker, outcome) for _ in range(6)] == [30.0] * 6
    assert breaker.reason == "refused"


def test_requests_that_were_sent_before_the_refusal_change_nothing() -> None:
    breaker = CircuitBreaker()
    numbers = [breaker.sent() for _ in range(3)]
    for number, outcome in zip(numbers, ("auth_error", "auth_error", "success"), strict=True):
        breaker.answered(outcome, number, 0.0)
    assert (breaker.reason, breaker.retry_at_s) == ("refused", 30.0)


def test_five_errors_in_a_row_open_it() -> None:
    breaker = unreachable()
    assert (breaker.reason, breaker.retry_at_s) == ("unreachable", 1.0)
    assert [probed(breaker, "network_error") for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
    probed(breaker, "success")
    assert breaker.state(1e9) == "closed"


def test_an_answer_between_two_errors_starts_the_count_again() -> None:
    breaker = CircuitBreaker()
    for outcome in ("server_error", "server_error", "server_error", "server_error", "throttled") * 3:
        breaker.answered(outcome, breaker.sent(), 0.0)
    assert breaker.state(0.0) == "closed"


def test_errors_of_requests_sent_before_do_not_lengthen_the_wait_and_an_answer_to_one_closes_it() -> None:
    breaker = unreachable()
    breaker.answered("server_error", 0, 0.5)
    assert (breaker.reason, breaker.retry_at_s) == ("unreachable", 1.0)
    breaker.answered("success", 0, 0.6)
    assert breaker.state(0.6) == "closed"


def test_an_unreachable_account_may_turn_out_to_refuse() -> None:
    breaker = unreachable()
    probed(breaker, "auth_error")
    assert (breaker.reason, breaker.retry_at_s) == ("refused", 31.0)


def test_a_probe_of_an_earlier_outage_is_not_taken_for_the_present_one() -> None:
    breaker = unreachable()
    old = breaker.sent()
    breaker.answered("success", 0, 1.0)
    for _ in range(5):
        breaker.answered("server_error", breaker.sent(), 10.0)
    new = breaker.sent()
    breaker.answered("server_error", old, 12.0)
    assert (breaker.is_probing, breaker.retry_at_s) == (True, 11.0)
    assert breaker.released(new)
