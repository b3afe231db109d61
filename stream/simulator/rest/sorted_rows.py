"""Rows in the order of their own time, as a list resource has them: newest first.

The rule of this file: what is looked at is not copied, and a row is made when it is looked at first. A view
stays open: rows that come meanwhile are in it, as they are on a provider's next page.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

Row = dict[str, Any]
RowKey = tuple[int, int]
"""A row's own time in microseconds, and a number that tells rows of one time apart."""


class SortedRows(Sequence[Row]):
    """Rows, newest first. Rows come nearly in order, and one at the end costs least."""

    def __init__(self) -> None:
        self._places: list[RowKey] = []
        self._rows: list[Row | Callable[[], Row]] = []

    def put(self, place: RowKey, row: Callable[[], Row]) -> None:
        """Add a row, or change the one that is there. `row` makes it, once."""
        at = bisect_left(self._places, place)
        if self._is_there(at, place):
            self._rows[at] = row
        else:
            self._places.insert(at, place)
            self._rows.insert(at, row)

    def drop(self, place: RowKey) -> None:
        """Take a row away, if there is one."""
        at = bisect_left(self._places, place)
        if self._is_there(at, place):
            del self._places[at]
            del self._rows[at]

    def at(self, place: RowKey) -> Row:
        """The row at a place where there is one."""
        return self._made(bisect_left(self._places, place))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return map(self._made, reversed(range(len(self._rows))))

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        positions = range(len(self._rows))[::-1]
        if isinstance(index, int):
            return self._made(positions[index])
        return [self._made(at) for at in positions[index]]

    def _is_there(self, at: int, place: RowKey) -> bool:
        return at < len(self._places) and self._places[at] == place

    def _made(self, at: int) -> Row:
        row = self._rows[at]
        if not isinstance(row, dict):
            row = self._rows[at] = row()
        return row
