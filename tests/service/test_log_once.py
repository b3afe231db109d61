"""A trouble is said when it begins, when it shows another face and when it is over, and no more often."""

from __future__ import annotations

from stream.service.log_once import CALM_S, LogOnce


def test_a_trouble_is_said_once_for_each_thing_and_each_way_in_which_it_fails() -> None:
    troubles = LogOnce()
    assert [
        troubles.failed(what, kind, now_s)
        for now_s, (what, kind) in enumerate(
            [("a", "slow"), ("a", "slow"), ("b", "slow"), ("a", "gone"), ("a", "slow"), ("a", "gone")]
        )
    ] == [True, False, True, True, False, False]


def test_it_is_over_once_when_nothing_has_failed_for_a_while_and_then_it_is_news_again() -> None:
    troubles = LogOnce()
    assert not troubles.succeeded("a", 0)
    assert troubles.failed("a", "slow", 0)
    assert not troubles.failed("a", "slow", 10)
    assert not troubles.succeeded("a", 10 + CALM_S - 1)
    assert not troubles.succeeded("b", 10 + CALM_S)
    assert troubles.succeeded("a", 10 + CALM_S)
    assert not troubles.succeeded("a", 10 + CALM_S + 1)
    assert troubles.failed("a", "slow", 200)


def test_one_in_ten_that_fails_is_said_once_and_not_a_hundred_times() -> None:
    troubles = LogOnce()
    said = [
        troubles.succeeded("a", now_s) if now_s % 10 else troubles.failed("a", "slow", now_s)
        for now_s in range(1000)
    ]
    assert said == [True] + [False] * 999
