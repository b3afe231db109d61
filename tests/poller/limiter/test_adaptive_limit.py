"""What is learned from 429s: a fall at once, a quick rise to where a provider said no, a slow one past it."""

from __future__ import annotations

import pytest

from stream.poller.limiter.adaptive_limit import CROSSING_S, AdaptiveLimit


def fallen(*, suspected: bool, used: float = 1.0, least: float = 0.01) -> AdaptiveLimit:
    allowance = AdaptiveLimit()
    allowance.throttled(suspected=suspected, used=used, least=least, until_s=0.0)
    return allowance


def after(allowance: AdaptiveLimit, seconds: int, *, since_s: int = 0, used: bool = True) -> float:
    """The share after so many seconds with an answer in each."""
    for second in range(since_s + 1, since_s + seconds + 1):
        allowance.answered(float(second), used=used)
    return round(allowance.share, 6)


def test_it_begins_with_all_of_the_ceiling_and_never_has_more() -> None:
    allowance = AdaptiveLimit()
    assert allowance.share == 1.0
    assert after(allowance, 100) == 1.0


def test_a_429_leaves_four_fifths_of_it_and_never_less_than_the_least() -> None:
    allowance = AdaptiveLimit()
    shares = []
    for _ in range(4):
        allowance.throttled(suspected=True, used=1.0, least=0.5, until_s=0.0)
        shares.append(round(allowance.share, 6))
    assert shares == [0.8, 0.64, 0.512, 0.5]


def test_each_second_of_work_gives_a_twentieth_of_the_ceiling_up_to_just_below_the_last_429() -> None:
    allowance = fallen(suspected=True)
    assert [after(allowance, 1, since_s=second) for second in range(4)] == [0.85, 0.9, 0.95, 0.96]


def test_past_the_last_429_it_takes_its_time_and_then_is_quick_again() -> None:
    allowance = fallen(suspected=True, used=0.5)
    allowance.throttled(suspected=True, used=0.5, least=0.01, until_s=0.0)
    allowance.answered(0.0, used=True)
    allowance.throttled(suspected=True, used=0.5, least=0.01, until_s=0.0)
    # 0.512 is beyond 0.48 already; 0.04 in 80 s from there.
    assert after(allowance, int(CROSSING_S)) == 0.552
    assert after(allowance, 2, since_s=int(CROSSING_S)) == 0.652


def test_a_limit_that_the_429_was_not_about_comes_back_quickly_to_where_it_was() -> None:
    assert after(fallen(suspected=False), 4) == 1.0


def test_what_is_known_of_a_limit_outlives_the_429s_that_are_about_another() -> None:
    allowance = fallen(suspected=True)
    assert after(allowance, 4) == 0.96
    allowance.throttled(suspected=False, used=1.0, least=0.01, until_s=4.0)
    assert after(allowance, 4, since_s=4) == 0.96
    assert after(allowance, 10, since_s=8) == 0.97


def test_while_everything_is_refused_no_level_is_learned() -> None:
    allowance = fallen(suspected=True)
    for _ in range(30):
        allowance.throttled(suspected=True, used=0.02, least=0.01, until_s=0.0)
    assert allowance.share == 0.01
    assert after(allowance, 19) == 0.96


def test_one_answer_after_a_long_silence_is_a_second_of_work_and_no_more() -> None:
    allowance = fallen(suspected=True)
    allowance.answered(1000.0, used=True)
    assert allowance.share == pytest.approx(0.85)


def test_nothing_within_the_pause_is_work() -> None:
    allowance = AdaptiveLimit()
    allowance.throttled(suspected=True, used=1.0, least=0.01, until_s=10.0)
    allowance.answered(9.0, used=True)
    allowance.answered(10.5, used=True)
    assert allowance.share == pytest.approx(0.825)


def test_requests_that_used_little_say_nothing_about_a_limit_beyond() -> None:
    allowance = fallen(suspected=True)
    assert after(allowance, 1000, used=False) == 0.96
