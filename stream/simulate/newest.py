"""Rows in the order of their own time, as a list resource has them: newest first.

The rule of this file: what is looked at is not copied. A view stays open: rows that come meanwhile are in it,
as they are on a provider's next page.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, overload

Place = tuple[int, int]
"""A row's own time in microseconds, and a number that tells rows of one time apart."""


class Newest(Sequence[dict[str, Any]]):
    """Rows, newest first. Rows come nearly in order, and one at the end costs least."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._rows: list[dict[str, Any]] = []

    def put(self, place: Place, row: dict[str, Any]) -> None:
        """Add a row, or change the one that is there."""
        at = bisect_left(self._places, place)
        if at < len(self._places) and self._places[at] == place:
            self._rows[at] = row
        else:
            self._places.insert(at, place)
            self._rows.insert(at, row)

    def drop(self, place: Place) -> None:
        """Take a row away, if there is one."""
        at = bisect_left(self._places, place)
        if at < len(self._places) and self._places[at] == place:
            del self._places[at]
            del self._rows[at]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from reversed(self._rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, int):
            return self._rows[-1 - index] if index >= 0 else self._rows[-index - 1]
        count = len(self._rows)
        return [self._rows[count - 1 - at] for at in range(*index.indices(count))]
