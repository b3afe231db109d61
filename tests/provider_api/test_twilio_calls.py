"""Which calls are asked for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.provider_api.twilio_calls import CallFilters, call_filters
from stream.provider_api.twilio_paging import page_of_rows
from tests.simulator.rest.resource_fakes import call, sid

DAY_S = 86_400
NUMBERS = {sid(number): number for number in range(10)}
INEQUALITIES = {
    "StartTime_after": "StartTime>",
    "StartTime_before": "StartTime<",
    "EndTime_after": "EndTime>",
    "EndTime_before": "EndTime<",
}
ROWS = [
    call(5, 20),
    call(4, 10, end_s=12, status="busy"),
    call(3, 0, start_s=5, end_s=60, to="client:zoë", parent_call_sid=sid(2)),
    call(2, -30, start_s=-20, end_s=61),
    call(1, -DAY_S, start_s=-DAY_S + 5, end_s=-DAY_S + 10, status="completed"),
]


def asked(**parameters: str) -> list[int]:
    """The numbers of the calls that come."""
    wanted = call_filters({INEQUALITIES.get(name, name): one for name, one in parameters.items()})
    return numbers(ROWS, wanted)


def numbers(rows: list[dict[str, Any]], wanted: CallFilters) -> list[int]:
    found = page_of_rows(rows, wanted.among(rows), wanted.show, None, 100)
    return [NUMBERS[row["sid"]] for row in found.rows]


def test_without_a_filter_it_is_all_of_them() -> None:
    assert asked() == asked(Status="", StartTime_after="", Unknown="x") == [5, 4, 3, 2, 1]


def test_a_field_is_compared_as_a_whole() -> None:
    assert asked(Status="busy") == [4]
    assert asked(To="client:zoë") == asked(ParentCallSid=sid(2)) == [3]
    assert asked(To="client:zo") == asked(From="+15005550009") == []
    assert asked(From="+15005550006", Status="completed") == [3, 2, 1]


def test_a_date_is_that_day_in_utc() -> None:
    assert asked(StartTime="2026-03-02") == [3, 2]
    assert asked(EndTime="2026-03-02") == [4, 3, 2]
    assert asked(StartTime="2026-03-01") == [1]


def test_both_inequalities_include_their_instant() -> None:
    assert asked(EndTime_after="2026-03-02T10:01:00Z") == [3, 2]
    assert asked(EndTime_after="2026-03-02T10:01:01Z") == [2]
    assert asked(EndTime_before="2026-03-02T10:01:00Z") == [4, 3, 1]
    assert asked(EndTime_before="2026-03-02T10:00:59Z") == [4, 1]
    assert asked(EndTime_after="2026-03-02T10:00:12Z", EndTime_before="2026-03-02T10:01:00Z") == [4, 3]


def test_an_inequality_with_a_date_is_about_its_midnight() -> None:
    assert asked(StartTime_after="2026-03-02") == [3, 2]
    assert asked(StartTime_before="2026-03-02") == [1]


def test_a_call_without_that_time_matches_no_filter_on_it() -> None:
    assert asked(StartTime_after="2000-01-01") == [3, 2, 1]
    assert asked(EndTime_before="2100-01-01", StartTime_before="2100-01-01") == [3, 2, 1]


def test_a_call_that_waited_and_talked_for_a_day_is_found_by_its_end() -> None:
    late = call(9, -DAY_S * 2, start_s=-DAY_S, end_s=0)
    wanted = call_filters({"EndTime>": "2026-03-02T10:00:00Z"})
    assert numbers([*ROWS, late], wanted) == [4, 3, 2, 9]


@settings(deadline=None)
@given(st.data())
def test_where_calls_are_looked_for_leaves_none_out(data: st.DataObject) -> None:
    created = sorted(data.draw(st.lists(st.integers(-200_000, 200_000), max_size=20)), reverse=True)
    rows = []
    for number, at_s in enumerate(created):
        start_s = at_s + data.draw(st.integers(0, DAY_S))
        rows.append(call(number, at_s, start_s=start_s, end_s=start_s + data.draw(st.integers(0, DAY_S))))
    hours = st.integers(0, 23).map(lambda hour: f"2026-03-02T{hour:02d}:00:00Z")
    names = st.sampled_from(["StartTime", "StartTime<", "StartTime>", "EndTime", "EndTime<", "EndTime>"])
    wanted = call_filters(data.draw(st.dictionaries(names, st.one_of(hours, st.just("2026-03-02")))))
    found = page_of_rows(rows, wanted.among(rows), wanted.show, None, 100).rows
    assert found == [row for row in rows if wanted.show(row)]


def test_only_rows_of_the_time_are_looked_at() -> None:
    class Counting(list[dict[str, Any]]):
        looked = 0

        def __getitem__(self, index: Any) -> Any:
            Counting.looked += 1
            return super().__getitem__(index)

    rows = Counting(call(number, -60 * number, end_s=-60 * number) for number in range(20_000))
    wanted = call_filters({"EndTime<": "2026-02-25T10:01:00Z", "EndTime>": "2026-02-25T10:00:00Z"})
    found = page_of_rows(rows, wanted.among(rows), wanted.show, None, 10).rows
    assert len(found) == 2
    assert Counting.looked < 3000


@pytest.mark.parametrize(
    ("name", "value"),
    [("Status", "initiated"), ("Status", "cancelled"), ("StartTime", "today"), ("EndTime<", "2026-13-01")],
)
def test_what_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}$"):
        call_filters({name: value})
