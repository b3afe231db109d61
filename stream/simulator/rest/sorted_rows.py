"""Rows in the order of their own time, as list resources have them: newest first.

A row is made when it is first looked at. A sequence stays open: rows that are added later are in it, as they
are on a provider's next page.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import overload

from stream.provider_api.http_types import Row

RowKey = tuple[int, int]
"""A row's own time in microseconds, and a number that distinguishes rows of the same time."""


class SortedRows(Sequence[Row]):
    """Rows, newest first. Adding the newest row is cheapest, and rows come nearly in order."""

    def __init__(self) -> None:
        self._keys: list[RowKey] = []
        self._rows: list[Row | Callable[[], Row]] = []

    def put(self, key: RowKey, row: Callable[[], Row]) -> None:
        """Add or replace a row. `row` makes it and is called at most once."""
        at = bisect_left(self._keys, key)
        if self._has(at, key):
            self._rows[at] = row
        else:
            self._keys.insert(at, key)
            self._rows.insert(at, row)

    def drop(self, key: RowKey) -> None:
        """Remove a row if it exists."""
        at = bisect_left(self._keys, key)
        if self._has(at, key):
            del self._keys[at]
            del self._rows[at]

    def at(self, key: RowKey) -> Row:
        """The row of a key that exists."""
        return self._made(bisect_left(self._keys, key))

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

    def _has(self, at: int, key: RowKey) -> bool:
        return at < len(self._keys) and self._keys[at] == key

    def _made(self, at: int) -> Row:
        row = self._rows[at]
        if not isinstance(row, dict):
            row = self._rows[at] = row()
        return row
