"""Rows stand in their order whatever they came in, and are made once."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.simulator.rest.sorted_rows import RowKey, SortedRows

places = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=30)


def filled(there: list[RowKey]) -> SortedRows:
    newest = SortedRows()
    for n, place in enumerate(there):
        newest.put(place, partial(dict, n=n, place=place))
    return newest


@given(places, places)
def test_it_is_a_sorted_list_whatever_came_and_went(there: list[RowKey], gone: list[RowKey]) -> None:
    newest = filled(there)
    for place in gone:
        newest.drop(place)
    last = {place: {"n": n, "place": place} for n, place in enumerate(there) if place not in gone}
    rows: list[dict[str, Any]] = [last[place] for place in sorted(last, reverse=True)]
    assert list(newest) == rows
    assert len(newest) == len(rows)
    assert [newest[at] for at in range(-len(rows), len(rows))] == [
        rows[at] for at in range(-len(rows), len(rows))
    ]
    for one in (slice(None), slice(2, 5), slice(-3, None), slice(None, None, -2), slice(8, 99)):
        assert newest[one] == rows[one]
    assert all(newest.at(place) == row for place, row in last.items())


def test_there_is_nothing_beyond_its_ends() -> None:
    for index in (2, -3):
        with pytest.raises(IndexError):
            filled([(1, 0), (2, 0)])[index]


def test_a_row_is_made_when_it_is_looked_at_and_once() -> None:
    made: list[int] = []

    def row() -> dict[str, Any]:
        made.append(1)
        return {}

    newest = SortedRows()
    newest.put((1, 1), row)
    assert made == []
    assert newest[0] is newest[0] is newest.at((1, 1)) is next(iter(newest))
    assert made == [1]


def test_a_view_shows_what_came_meanwhile() -> None:
    newest = filled([(5, 0)])
    view = iter(newest)
    newest.put((9, 0), dict)
    assert newest[0] == {}
    assert next(view)["place"] == (5, 0)
