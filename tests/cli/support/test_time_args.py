"""Times as a person types them."""

from __future__ import annotations

import pytest

from stream.cli.support.time_args import parse_time, second_after, second_before

NOW_US = 1_772_452_800_123_456
S_US = 1_000_000


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("now", NOW_US),
        ("90s", NOW_US - 90 * S_US),
        ("15m", NOW_US - 900 * S_US),
        (" 2h ", NOW_US - 7200 * S_US),
        ("3d", NOW_US - 3 * 86_400 * S_US),
        ("1w", NOW_US - 7 * 86_400 * S_US),
        ("2026-03-02T12:00:00Z", 1_772_452_800_000_000),
        ("2026-03-02T14:00:00.5+02:00", 1_772_452_800_500_000),
    ],
)
def test_a_time_is_an_instant_or_as_long_ago(text: str, us: int) -> None:
    assert parse_time(text, NOW_US) == us


@pytest.mark.parametrize("text", ["", "yesterday", "2h30m", "-2h", "2y", "2026-03-02", "2026-03-02T12:00:00"])
def test_what_would_be_another_time_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text, NOW_US)


@pytest.mark.parametrize("text", ["999999w", "999999d", "3000w", "0206-03-02T12:00:00Z"])
def test_no_call_is_older_than_1970(text: str) -> None:
    with pytest.raises(ValueError, match="1970"):
        parse_time(text, NOW_US)


def test_times_become_whole_seconds_that_lie_within_what_was_asked() -> None:
    whole_us = 1_772_452_800_000_000
    assert [second_before(whole_us + us) - whole_us for us in (0, 1, S_US - 1, S_US)] == [0, 0, 0, S_US]
    assert [second_after(whole_us + us) - whole_us for us in (0, 1, S_US, S_US + 1)] == [
        *(0, S_US, S_US, 2 * S_US)
    ]
