"""An account that refuses, or does not answer, is asked ever more seldom, by one request at a time."""

from __future__ import annotations

import pytest

from stream.poller.limiter.circuit_breaker import Standing


def probed(standing: Standing, outcome: str) -> float:
    """Send the next probe as soon as it may go; how long that took."""
    waited_s = standing.probe_at_s
    assert not standing.may_send(waited_s - 0.001)
    assert standing.may_send(waited_s)
    standing.answered(outcome, standing.sent(), waited_s)
    return standing.probe_at_s - waited_s


def out_of_reach() -> Standing:
    standing = Standing()
    for outcome in ("server_error", "network_error", "server_error", "network_error", "server_error"):
        assert standing.state == "running"
        standing.answered(outcome, standing.sent(), 0.0)
    return standing


def refused() -> Standing:
    standing = Standing()
    standing.answered("auth_error", standing.sent(), 0.0)
    return standing


def test_refused_credentials_are_tried_again_after_30_s_and_then_at_most_every_10_minutes() -> None:
    standing = refused()
    assert (standing.state, standing.probe_at_s) == ("refused", 30.0)
    assert [probed(standing, "auth_error") for _ in range(6)] == [60, 120, 240, 480, 600, 600]


def test_only_one_request_tries() -> None:
    standing = refused()
    probe = standing.sent()
    assert not standing.may_send(1e9)
    standing.given_back(probe)
    assert standing.may_send(30.0)


@pytest.mark.parametrize("outcome", ["success", "empty", "not_found", "client_error", "rubbish"])
def test_a_probe_that_is_answered_otherwise_ends_it(outcome: str) -> None:
    standing = refused()
    probed(standing, outcome)
    assert (standing.state, standing.may_send(30.0)) == ("running", True)
    standing.answered("auth_error", standing.sent(), 100.0)
    assert standing.probe_at_s == 130.0


@pytest.mark.parametrize("outcome", ["server_error", "network_error", "throttled"])
def test_a_probe_whose_answer_says_nothing_of_credentials_is_repeated_after_the_same_time(
    outcome: str,
) -> None:
    standing = refused()
    assert [probed(standing, outcome) for _ in range(6)] == [30.0] * 6
    assert standing.state == "refused"


def test_what_was_sent_before_the_refusal_changes_nothing() -> None:
    standing = Standing()
    numbers = [standing.sent() for _ in range(3)]
    for number, outcome in zip(numbers, ("auth_error", "auth_error", "success"), strict=True):
        standing.answered(outcome, number, 0.0)
    assert (standing.state, standing.probe_at_s) == ("refused", 30.0)


def test_five_errors_in_a_row_are_an_account_out_of_reach() -> None:
    standing = out_of_reach()
    assert (standing.state, standing.probe_at_s) == ("unreachable", 1.0)
    assert [probed(standing, "network_error") for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
    probed(standing, "success")
    assert standing.state == "running"


def test_an_answer_between_two_errors_begins_the_row_anew() -> None:
    standing = Standing()
    for outcome in ("server_error", "server_error", "server_error", "server_error", "throttled") * 3:
        standing.answered(outcome, standing.sent(), 0.0)
    assert standing.state == "running"


def test_errors_of_what_was_sent_before_do_not_lengthen_the_pause_and_an_answer_ends_it() -> None:
    standing = out_of_reach()
    standing.answered("server_error", 0, 0.5)
    assert (standing.state, standing.probe_at_s) == ("unreachable", 1.0)
    standing.answered("success", 0, 0.6)
    assert standing.state == "running"


def test_an_account_out_of_reach_may_turn_out_to_refuse() -> None:
    standing = out_of_reach()
    probed(standing, "auth_error")
    assert (standing.state, standing.probe_at_s) == ("refused", 31.0)


def test_a_probe_of_an_earlier_time_is_not_taken_for_the_one_of_now() -> None:
    standing = out_of_reach()
    old = standing.sent()
    standing.answered("success", 0, 1.0)
    for _ in range(5):
        standing.answered("server_error", standing.sent(), 10.0)
    new = standing.sent()
    standing.answered("server_error", old, 12.0)
    assert (standing.probe, standing.probe_at_s) == (new, 11.0)
