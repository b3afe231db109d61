"""An account that refuses, or does not answer, is asked ever more seldom, by one request at a time."""

from __future__ import annotations

import pytest

from stream.poller.limiter.circuit_breaker import CircuitBreaker


def probed(breaker: CircuitBreaker, outcome: str) -> float:
    """Send the next probe as soon as it may go; how long that took."""
    waited_s = breaker.probe_at_s
    assert not breaker.may_send(waited_s - 0.001)
    assert breaker.may_send(waited_s)
    breaker.answered(outcome, breaker.sent(), waited_s)
    return breaker.probe_at_s - waited_s


def out_of_reach() -> CircuitBreaker:
    breaker = CircuitBreaker()
    for outcome in ("server_error", "network_error", "server_error", "network_error", "server_error"):
        assert breaker.state == "running"
        breaker.answered(outcome, breaker.sent(), 0.0)
    return breaker


def refused() -> CircuitBreaker:
    breaker = CircuitBreaker()
    breaker.answered("auth_error", breaker.sent(), 0.0)
    return breaker


def test_refused_credentials_are_tried_again_after_30_s_and_then_at_most_every_10_minutes() -> None:
    breaker = refused()
    assert (breaker.state, breaker.probe_at_s) == ("refused", 30.0)
    assert [probed(breaker, "auth_error") for _ in range(6)] == [60, 120, 240, 480, 600, 600]


def test_only_one_request_tries() -> None:
    breaker = refused()
    probe = breaker.sent()
    assert not breaker.may_send(1e9)
    breaker.given_back(probe)
    assert breaker.may_send(30.0)


@pytest.mark.parametrize("outcome", ["success", "empty", "not_found", "client_error", "rubbish"])
def test_a_probe_that_is_answered_otherwise_ends_it(outcome: str) -> None:
    breaker = refused()
    probed(breaker, outcome)
    assert (breaker.state, breaker.may_send(30.0)) == ("running", True)
    breaker.answered("auth_error", breaker.sent(), 100.0)
    assert breaker.probe_at_s == 130.0


@pytest.mark.parametrize("outcome", ["server_error", "network_error", "throttled"])
def test_a_probe_whose_answer_says_nothing_of_credentials_is_repeated_after_the_same_time(
    outcome: str,
) -> None:
    breaker = refused()
    assert [probed(breaker, outcome) for _ in range(6)] == [30.0] * 6
    assert breaker.state == "refused"


def test_what_was_sent_before_the_refusal_changes_nothing() -> None:
    breaker = CircuitBreaker()
    numbers = [breaker.sent() for _ in range(3)]
    for number, outcome in zip(numbers, ("auth_error", "auth_error", "success"), strict=True):
        breaker.answered(outcome, number, 0.0)
    assert (breaker.state, breaker.probe_at_s) == ("refused", 30.0)


def test_five_errors_in_a_row_are_an_account_out_of_reach() -> None:
    breaker = out_of_reach()
    assert (breaker.state, breaker.probe_at_s) == ("unreachable", 1.0)
    assert [probed(breaker, "network_error") for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
    probed(breaker, "success")
    assert breaker.state == "running"


def test_an_answer_between_two_errors_begins_the_row_anew() -> None:
    breaker = CircuitBreaker()
    for outcome in ("server_error", "server_error", "server_error", "server_error", "throttled") * 3:
        breaker.answered(outcome, breaker.sent(), 0.0)
    assert breaker.state == "running"


def test_errors_of_what_was_sent_before_do_not_lengthen_the_pause_and_an_answer_ends_it() -> None:
    breaker = out_of_reach()
    breaker.answered("server_error", 0, 0.5)
    assert (breaker.state, breaker.probe_at_s) == ("unreachable", 1.0)
    breaker.answered("success", 0, 0.6)
    assert breaker.state == "running"


def test_an_account_out_of_reach_may_turn_out_to_refuse() -> None:
    breaker = out_of_reach()
    probed(breaker, "auth_error")
    assert (breaker.state, breaker.probe_at_s) == ("refused", 31.0)


def test_a_probe_of_an_earlier_time_is_not_taken_for_the_one_of_now() -> None:
    breaker = out_of_reach()
    old = breaker.sent()
    breaker.answered("success", 0, 1.0)
    for _ in range(5):
        breaker.answered("server_error", breaker.sent(), 10.0)
    new = breaker.sent()
    breaker.answered("server_error", old, 12.0)
    assert (breaker.probe, breaker.probe_at_s) == (new, 11.0)
