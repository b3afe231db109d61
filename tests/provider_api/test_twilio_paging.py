"""A walk along the links, while rows come and go."""

from __future__ import annotations

from bisect import insort_left, insort_right
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.provider_api.twilio_paging import Cursor, ListPage, cursor, page_of_log, page_of_rows
from tests.simulator.rest.resource_fakes import call, logged, sid

Row = dict[str, Any]
sizes = st.integers(1, 7)


def anything(_: Row) -> bool:
    return True


def by_tokens(found: ListPage) -> ListPage:
    """A page with its cursors by way of their tokens, as a client has them."""
    return ListPage(found.rows, *(one and cursor(one.token) for one in (found.before, found.after)))


def turn(calls: list[Row], at: Cursor | None, size: int) -> ListPage:
    return by_tokens(page_of_rows(calls, range(len(calls)), anything, at, size))


def turn_log(rows: list[Row], at: Cursor | None, size: int) -> ListPage:
    return by_tokens(page_of_log(rows, at, size))


@settings(deadline=None)
@given(st.lists(st.integers(-5, 5), max_size=25), sizes, st.data())
def test_each_call_is_met_once_however_many_come_into_the_list_meanwhile(
    created: list[int], size: int, data: st.DataObject
) -> None:
    held = [(at_s, call(number, at_s)) for number, at_s in enumerate(sorted(created, reverse=True))]
    first = [row["sid"] for _, row in held]
    met: list[str] = []
    at = None
    for turned in range(100):
        found = turn([row for _, row in held], at, size)
        met += [row["sid"] for row in found.rows]
        assert len(found.rows) <= size
        if found.after is None:
            break
        at = found.after
        for at_s in data.draw(st.lists(st.integers(-6, 6), max_size=3 * (turned < 10))):
            insert = data.draw(st.sampled_from([insort_left, insort_right]))
            insert(held, (at_s, call(1000 + len(held), at_s)), key=lambda one: -one[0])
    assert [one for one in met if one in first] == first
    assert len(set(met)) == len(met)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=20), sizes, st.data())
def test_each_row_of_a_log_is_met_once_while_it_grows_also_equal_ones(
    numbers: list[int], size: int, data: st.DataObject
) -> None:
    rows = [logged(number) for number in numbers]
    met: list[Row] = []
    found = turn_log(rows, None, size)
    for turned in range(100):
        met += found.rows
        if found.after is None:
            break
        more = data.draw(st.lists(st.integers(0, 3), max_size=2 * (turned < 10)))
        rows += [logged(number) for number in more]
        found = turn_log(rows, found.after, size)
    assert met == rows


@settings(deadline=None)
@given(st.integers(0, 30), sizes)
def test_the_way_back_leads_over_the_same_pages_but_for_the_first(count: int, size: int) -> None:
    rows = [call(number, -number) for number in range(count)]
    forward = [turn(rows, None, size)]
    while forward[-1].after is not None and len(forward) < 40:
        forward.append(turn(rows, forward[-1].after, size))
    at = forward[-1]
    assert forward[0].before is None
    for expected in reversed(forward[:-1]):
        at = turn(rows, at.before, size)
        assert at.rows == expected.rows
        assert at.after is not None
    assert at.before is None


def test_a_filter_is_asked_no_further_than_the_page_needs() -> None:
    rows = [call(number, -number) for number in range(100)]
    seen: list[str] = []

    def even(row: Row) -> bool:
        seen.append(row["sid"])
        return row["sid"][-1] in "02468ace"

    found = page_of_rows(rows, range(100), even, None, 3)
    assert ([row["sid"] for row in found.rows], len(seen)) == ([sid(0), sid(2), sid(4)], 7)
    found = page_of_rows(rows, range(100), even, found.after, 3)
    assert ([row["sid"] for row in found.rows], len(seen)) == ([sid(6), sid(8), sid(10)], 15)


def test_a_call_that_is_gone_is_gone_on_behind() -> None:
    rows = [call(number, -number) for number in range(6)]
    after = turn(rows, None, 2).after
    del rows[1]
    assert [row["sid"] for row in turn(rows, after, 2).rows] == [sid(2), sid(3)]


def test_a_log_that_ends_with_a_page_has_no_page_behind_it() -> None:
    rows = [logged(number) for number in range(4)]
    first = turn_log(rows, None, 2)
    last = turn_log(rows, first.after, 2)
    assert (first.rows, last.rows, last.after) == (rows[:2], rows[2:], None)


def test_a_row_of_a_log_that_has_changed_is_where_it_was() -> None:
    rows = [logged(number) for number in range(6)]
    after = turn_log(rows, None, 2).after
    rows[1] = logged(1, code=500)
    assert turn_log(rows, after, 2).rows == rows[2:4]


def test_a_page_behind_the_last_row_is_empty_and_leads_nowhere() -> None:
    rows = [call(1, 0)]
    assert turn(rows, Cursor(sid(1), 1_772_445_600), 5) == ListPage([], None, None)
    assert turn_log([], Cursor("gone", 7), 5) == ListPage([], None, None)


@pytest.mark.parametrize(
    "token",
    ["", "P", "PA", "PC" + "Ny5h", "PAx", "PA!!!!", "PANw", "PANy4", "PAYS5i", "PA\x00", "PA" + "_" * 8],
)
def test_what_is_not_a_token_is_an_error(token: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        cursor(token)
