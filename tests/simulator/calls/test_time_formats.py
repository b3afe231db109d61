"""Times of rows and filters, in one measure."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.simulator.calls.time_formats import (
    filter_seconds,
    iso,
    iso_ms,
    iso_us,
    microseconds,
    rfc2822,
    rfc2822_seconds,
    row_time,
    sortable,
)

any_us = st.integers(0, 4_000_000_000_000_000)


@settings(deadline=None)
@given(any_us)
def test_what_the_simulator_writes_is_read_back(at_us: int) -> None:
    assert rfc2822_seconds(rfc2822(at_us)) == at_us // 1_000_000
    assert microseconds(iso_us(at_us)) == at_us
    assert sortable(iso_us(at_us)) == iso_us(at_us)
    assert sortable(iso(at_us)) == iso_us(at_us // 1_000_000 * 1_000_000)


@settings(deadline=None)
@given(any_us, any_us)
def test_the_order_of_texts_is_that_of_times_however_many_digits_they_have(one: int, other: int) -> None:
    one_ms, other_ms = one // 1000, other // 1000
    texts = (sortable(iso_ms(one)), sortable(iso_us(other_ms * 1000)))
    assert (texts[0] < texts[1]) == (one_ms < other_ms)


@pytest.mark.parametrize(
    "text", [None, "", "Mon, 02 Mar 2026 10:0", "Mon, 32 Aug 2026 10:00:00 +0000", "2026-03-02T10:00:00Z"]
)
def test_a_row_s_time_that_cannot_be_read_is_none(text: str | None) -> None:
    assert rfc2822_seconds(text) is None


def test_a_row_without_a_time_is_older_than_all_others() -> None:
    assert row_time(None) == row_time("") == row_time("yesterday") == ""
    assert row_time("2026-03-02T10:00:00Z") == "2026-03-02T10:00:00.000000Z"


def test_a_date_is_its_whole_day_and_a_time_its_second() -> None:
    assert filter_seconds("2026-03-02") == (1_772_409_600, 1_772_495_999)
    assert filter_seconds("2026-03-02T10:00:00Z") == (1_772_445_600,) * 2
    assert filter_seconds("2026-03-02T10:00:00") == (1_772_445_600,) * 2
    assert filter_seconds("2026-03-02T05:00:00-05:00") == (1_772_445_600,) * 2


@pytest.mark.parametrize("text", ["2026-02-30", "today", "10", "2026-03-02T25:00:00Z"])
def test_a_filter_s_time_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        filter_seconds(text)
