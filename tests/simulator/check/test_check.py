"""When a check stops waiting. What it reads needs a broker: see test_kafka."""

from __future__ import annotations

from stream.simulator.check.check import IdleTimeout


def waits(*moments: tuple[float, bool, bool, float]) -> list[bool]:
    """Whether it is over at each (time, something came, all is there, seconds owed)."""
    patience = IdleTimeout(0.0, quiet_s=2.0, timeout_s=60.0)
    return [patience.is_over(at, came=c, complete=d, owed_s=owed) for at, c, d, owed in moments]


def test_what_is_missing_is_missing_when_nothing_came_for_long() -> None:
    assert waits((30, True, False, 0), (89, False, False, 0), (90, False, False, 0)) == [False, False, True]


def test_silence_does_not_count_before_all_is_there_to_be_read() -> None:
    assert waits((500, False, False, 1), (559, False, False, 0), (560, False, False, 0)) == [
        False,
        False,
        True,
    ]


def test_when_all_is_there_little_silence_is_enough_whatever_is_owed() -> None:
    assert waits((5, True, True, 900), (6.9, False, True, 900), (7, False, True, 900)) == [False, False, True]
