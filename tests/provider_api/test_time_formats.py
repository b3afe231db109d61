"""Times of rows and filters, in one measure."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.provider_api.time_formats import filter_seconds, iso_us, microseconds, rfc2822, rfc2822_seconds

any_us = st.integers(0, 4_000_000_000_000_000)


@settings(deadline=None)
@given(any_us)
def test_what_the_simulator_writes_is_read_back(at_us: int) -> None:
    assert rfc2822_seconds(rfc2822(at_us)) == at_us // 1_000_000
    assert microseconds(iso_us(at_us)) == at_us


@settings(deadline=None)
@given(any_us, any_us)
def test_the_order_of_telnyx_texts_is_that_of_times(one: int, other: int) -> None:
    assert (iso_us(one) < iso_us(other)) == (one < other)


@pytest.mark.parametrize(
    "text", [None, "", "Mon, 02 Mar 2026 10:0", "Mon, 32 Aug 2026 10:00:00 +0000", "2026-03-02T10:00:00Z"]
)
def test_a_row_s_time_that_cannot_be_read_is_none(text: str | None) -> None:
    assert rfc2822_seconds(text) is None


def test_a_date_is_its_whole_day_and_a_time_its_second() -> None:
    assert filter_seconds("2026-03-02") == (1_772_409_600, 1_772_495_999)
    assert filter_seconds("2026-03-02T10:00:00Z") == (1_772_445_600,) * 2
    assert filter_seconds("2026-03-02T10:00:00") == (1_772_445_600,) * 2
    assert filter_seconds("2026-03-02T05:00:00-05:00") == (1_772_445_600,) * 2


@pytest.mark.parametrize("text", ["2026-02-30", "today", "10", "2026-03-02T25:00:00Z"])
def test_a_filter_s_time_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        filter_seconds(text)
