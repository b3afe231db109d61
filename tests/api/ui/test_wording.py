"""Times and durations as a person reads them."""

from __future__ import annotations

import pytest

from stream.api.ui.wording import clock, duration, moment, offset, share, words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"), (0.012, "12 ms"), (0.4, "0.4 s"), (9.96, "10.0 s"), (49, "49 s"), (59.6, "1 min"),
        (125, "2 min 5 s"), (3600, "1 h"), (3785, "1 h 3 min"), (187_200, "2 d 4 h"), (-3, "−3 s"),
    ],
)  # fmt: skip
def test_a_duration_has_at_most_two_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "?"), (0, "+0 s"), (1.44, "+1.4 s"), (55, "+55 s"), (66, "+1:06"), (723, "+12:03"),
     (3723, "+1:02:03"), (-0.4, "−0.4 s"), (-90, "−1:30")],
)  # fmt: skip
def test_an_offset_counts_from_the_start(seconds: float | None, said: str) -> None:
    assert offset(seconds) == said


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    assert (clock(None), moment(None), words(None), share(0, 0)) == ("unknown",) * 4


def test_a_time_is_shown_to_the_millisecond_without_zeros() -> None:
    assert clock("2026-03-02T10:00:02.500000Z") == "10:00:02.5"
    assert clock("2026-03-02T10:00:00.000000Z") == "10:00:00"
    assert clock("2026-03-02T10:00:10Z") == "10:00:10"
    assert moment("2026-03-02T10:00:02.500000Z") == "2026-03-02 10:00:02"
    assert (words("no_answer"), share(1, 3)) == ("no answer", "33.3 %")
