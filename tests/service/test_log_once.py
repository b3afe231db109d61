"""An outage is logged when it starts, for each new failure kind and when it ends, and not more often."""

from __future__ import annotations

from stream.service.log_once import CALM_S, LogOnce


def test_an_outage_is_logged_once_for_each_thing_and_each_failure_kind() -> None:
    log_once = LogOnce()
    assert [
        log_once.failed(what, kind, now_s)
        for now_s, (what, kind) in enumerate(
            [("a", "slow"), ("a", "slow"), ("b", "slow"), ("a", "gone"), ("a", "slow"), ("a", "gone")]
        )
    ] == [True, False, True, True, False, False]


def test_its_end_is_logged_once_when_nothing_has_failed_for_a_while_and_the_next_outage_is_logged_again() -> (
    None
):
    log_once = LogOnce()
    assert not log_once.succeeded("a", 0)
    assert log_once.failed("a", "slow", 0)
    assert log_once.failed("a", "gone", 5)
    assert not log_once.failed("a", "slow", 10)
    assert not log_once.succeeded("a", 10 + CALM_S - 1)
    assert not log_once.succeeded("b", 10 + CALM_S)
    assert log_once.succeeded("a", 10 + CALM_S)
    assert not log_once.succeeded("a", 10 + CALM_S + 1)
    assert log_once.failed("a", "slow", 200)


def test_if_one_in_ten_fails_it_is_logged_once_and_not_a_hundred_times() -> None:
    log_once = LogOnce()
    logged = [
        log_once.succeeded("a", now_s) if now_s % 10 else log_once.failed("a", "slow", now_s)
        for now_s in range(1000)
    ]
    assert logged == [True] + [False] * 999
