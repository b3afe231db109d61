"""The chart of calls a minute: each call is in its column once, and the axis fits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.api.ui.drawings.chart import NARROW_CHART, WIDE_CHART, call_chart
from stream.archive.questions import MinuteCount

NOW = datetime(2026, 3, 2, 10, 30, 42, tzinfo=UTC)


def count(minutes_ago: int, outcome: str | None, calls: int) -> MinuteCount:
    minute = (NOW - timedelta(minutes=minutes_ago)).replace(second=0)
    return MinuteCount(minute.strftime("%Y-%m-%dT%H:%M:00.000000Z"), outcome, calls)


def test_outcomes_of_a_minute_are_stacked_and_said_in_words() -> None:
    chart = call_chart([count(0, "answered", 3), count(0, "failed", 1), count(30, None, 2)], NOW, WIDE_CHART)
    assert [one.title for one in chart.columns] == [
        "10:00 UTC: 2 not ended",
        "10:30 UTC: 3 answered, 1 failed",
    ]
    answered, failed = chart.columns[1].parts
    assert answered.height == pytest.approx(3 * failed.height, abs=0.02)
    assert failed.y + failed.height == pytest.approx(answered.y)
    assert chart.totals == {"answered": 3, "failed": 1, "not_ended": 2}


def test_what_is_older_than_the_chart_is_not_in_it() -> None:
    chart = call_chart([count(59, "busy", 1), count(60, "busy", 1)], NOW, WIDE_CHART)
    assert chart.totals == {"busy": 1}
    assert [one.title for one in chart.columns] == ["09:31 UTC: 1 busy"]


def test_a_quiet_hour_is_an_empty_chart_with_an_axis() -> None:
    chart = call_chart([], NOW, NARROW_CHART)
    assert chart.columns == []
    assert [one.text for one in chart.up] == ["0", "1"]
    assert [one.text for one in chart.across] == ["09:45", "10:00", "10:15"]


@given(st.integers(1, 10_000_000))
def test_every_column_fits_and_the_axis_has_few_round_marks(calls: int) -> None:
    chart = call_chart([count(5, "answered", calls)], NOW, WIDE_CHART)
    marks = [int(one.text) for one in chart.up]
    assert marks[0] == 0
    assert calls <= marks[-1] <= 2 * calls
    assert 2 <= len(marks) <= 6
    ((part,),) = (column.parts for column in chart.columns)
    assert chart.up[-1].at - 0.1 <= part.y <= chart.up[0].at
