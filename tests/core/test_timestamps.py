"""Parsing of time stamps (case numbers: the provider reference's list of tricky cases)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core import timestamps

TEN_O_CLOCK = "2026-03-02T10:00:19.000000Z"


def rfc2822(text: str) -> str | None:
    us = timestamps.rfc2822(text)
    return None if us is None else timestamps.utc(us)


def iso8601(text: str) -> str | None:
    us = timestamps.iso8601(text)
    return None if us is None else timestamps.utc(us)


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 02 Mar 2026 10:00:19 +0000",
        "Mon, 2 Mar 2026 10:00:19 +0000",
        "2 Mar 2026 10:00:19 +0000",
        "Mon, 02 Mar 2026 10:00:19 GMT",
        "Mon, 02 Mar 2026 10:00:19 UT",
        "Mon, 02 Mar 2026 10:00:19 UTC",
        "Mon, 02 Mar 2026 10:00:19 Z",
        "Mon, 02 Mar 2026 03:00:19 -0700",
        "Mon, 02 Mar 2026 02:00:19 PST",
        "Mon, 02 Mar 2026 15:30:19 +0530",
        "mon, 02 mar 2026 10:00:19 -0000",
        "Mon,  02  Mar  2026  10:00:19  +0000 (UTC)",
        "Fri, 02 Mar 2026 10:00:19 +0000",
    ],
)
def test_case_31_every_spelling_of_an_rfc_2822_stamp_counts_with_its_offset(text: str) -> None:
    assert rfc2822(text) == TEN_O_CLOCK


def test_an_rfc_2822_stamp_may_leave_out_its_seconds() -> None:
    assert rfc2822("Mon, 02 Mar 2026 10:00 +0000") == "2026-03-02T10:00:00.000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mon, 02 Mar 2026 10:0",
        "Mon, 02 Mar 2026 10:00",
        "Mon, 02 Mar 2026 10:00:1",
        "Mon, 02 Mar 2026 10:00:19",
        "Mon, 02 Mar 2026 10:00:19 +00",
        "Mon, 02 Mar 2026",
        "Sat, 32 Aug 2026 10:00:00 +0000",
        "Mon, 30 Feb 2026 10:00:00 +0000",
        "Mon, 0 Mar 2026 10:00:00 +0000",
        "Mon, 02 Mar 2026 25:00:00 +0000",
        "Mon, 02 Mar 2026 24:00:00 +0000",
        "Mon, 02 Mar 2026 10:60:00 +0000",
        "Mon, 02 Mar 2026 10:00:61 +0000",
        "Mon, 02 Mar 2026 10:00:19 +2400",
        "Mon, 02 Mar 2026 10:00:19 +0060",
        "Mon, 02 Mar 2026 10:00:19 XYZ",
        "Mon, 02 Mar 26 10:00:19 +0000",
        "Mon, 02 Mrz 2026 10:00:19 +0000",
        "Mon, 02 Mar 0000 10:00:19 +0000",
        "Mon, 01 Jan 0001 00:00:00 +0100",
        "Fri, 31 Dec 9999 23:59:59 -0100",
        "Mon, ٠٢ Mar 2026 10:00:19 +0000",
        "2026-03-02T10:00:19Z",
        "1772445619",
        "Mon, 02 Mar 2026 10:00:19 +0000" + " " * 100,
    ],
)
def test_case_32_a_cut_off_or_impossible_rfc_2822_stamp_is_not_an_instant(text: str) -> None:
    assert timestamps.rfc2822(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T10:00:19Z", TEN_O_CLOCK),
        ("2026-03-02T10:00:19.000Z", TEN_O_CLOCK),
        ("2026-03-02T10:00:19.000000Z", TEN_O_CLOCK),
        ("2026-03-02T10:00:19.000000000Z", TEN_O_CLOCK),
        ("2026-03-02T10:00:19+00:00", TEN_O_CLOCK),
        ("2026-03-02T10:00:19+0000", TEN_O_CLOCK),
        ("2026-03-02T10:00:19+00", TEN_O_CLOCK),
        ("2026-03-02 10:00:19Z", TEN_O_CLOCK),
        ("2026-03-02 10:00:19 +00:00", TEN_O_CLOCK),
        ("2026-03-02t10:00:19z", TEN_O_CLOCK),
        ("2026-03-02T03:00:19-07:00", TEN_O_CLOCK),
        ("2026-03-02T15:30:19+05:30", TEN_O_CLOCK),
        ("2026-03-02T10:00:19.4Z", "2026-03-02T10:00:19.400000Z"),
        ("2026-03-02T10:00:19.450Z", "2026-03-02T10:00:19.450000Z"),
        ("2026-03-02 10:00:19.450211Z", "2026-03-02T10:00:19.450211Z"),
        ("2026-03-02T10:00:19.450211999Z", "2026-03-02T10:00:19.450211Z"),
        ("2026-03-02T10:00:19,450211Z", "2026-03-02T10:00:19.450211Z"),
    ],
)
def test_case_33_equal_instants_are_equal_whatever_their_fraction_digits_and_separators(
    text: str, expected: str
) -> None:
    assert iso8601(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-02",
        "2026-03-02T10:00",
        "2026-03-02T10:00Z",
        "2026-03-02T10:00:19",
        "2026-03-02T10:00:19.45",
        "2026-03-02T10:00:19.Z",
        "2026-02-30T10:00:19Z",
        "2026-13-02T10:00:19Z",
        "2026-03-02T25:00:19Z",
        "2026-03-02T10:00:61Z",
        "2026-03-02T10:00:19+24:00",
        "0000-03-02T10:00:19Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "Mon, 02 Mar 2026 10:00:19 +0000",
        "2026-03-02T10:00:19." + "1" * 100 + "Z",
    ],
)
def test_case_32_a_cut_off_or_impossible_iso_stamp_is_not_an_instant(text: str) -> None:
    assert timestamps.iso8601(text) is None


def test_case_34_a_leap_second_is_the_last_moment_before_it() -> None:
    assert rfc2822("Sat, 31 Dec 2016 23:59:60 +0000") == "2016-12-31T23:59:59.000000Z"
    assert iso8601("2016-12-31T23:59:60Z") == "2016-12-31T23:59:59.000000Z"
    assert iso8601("2016-12-31T23:59:60.25Z") == "2016-12-31T23:59:59.999999Z"


def test_case_34_an_offset_carries_over_the_end_of_a_year() -> None:
    assert rfc2822("Wed, 31 Dec 2025 23:30:00 -0100") == "2026-01-01T00:30:00.000000Z"
    assert iso8601("2026-01-01T00:30:00+01:00") == "2025-12-31T23:30:00.000000Z"


def test_case_34_a_stamp_in_the_far_future_or_before_1970_is_an_instant() -> None:
    assert iso8601("9999-12-31T23:59:59.999999Z") == "9999-12-31T23:59:59.999999Z"
    assert iso8601("1969-12-31T23:59:59.999999Z") == "1969-12-31T23:59:59.999999Z"
    assert iso8601("0001-01-01T00:00:00Z") == "0001-01-01T00:00:00.000000Z"


def test_either_form_is_read_where_a_provider_uses_both() -> None:
    assert timestamps.instant("2026-03-02 10:00:19Z") == timestamps.instant("Mon, 02 Mar 2026 10:00:19 +0000")


@given(st.text() | st.from_regex(r"Mon, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]\d{4}", fullmatch=True))
def test_no_text_makes_a_parser_raise(text: str) -> None:
    for us in (timestamps.rfc2822(text), timestamps.iso8601(text), timestamps.instant(text)):
        assert us is None or len(timestamps.utc(us)) == 27


@given(st.datetimes(timezones=st.just(UTC)), st.integers(min_value=-1439, max_value=1439))
def test_what_is_written_in_any_zone_is_read_back_as_the_same_instant(
    moment: datetime, offset_min: int
) -> None:
    us = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert timestamps.iso8601(timestamps.utc(us)) == us
    try:
        local = moment + timedelta(minutes=offset_min)
    except OverflowError:
        return
    sign = "-" if offset_min < 0 else "+"
    zone = f"{sign}{abs(offset_min) // 60:02d}:{abs(offset_min) % 60:02d}"
    assert timestamps.iso8601(local.replace(tzinfo=None).isoformat() + zone) == us
