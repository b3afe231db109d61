"""Where a time stands among rows that are sorted by it, newest first.

The rule of this file: a few rows are looked at, however many there are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from stream.simulator.rest.http_types import Row
from stream.simulator.rest.timestamps import row_time


def newer(rows: Sequence[Row], is_newer: Callable[[Row], bool]) -> int:
    """How many of the first rows are newer."""
    return bisect_left(rows, True, key=lambda row: not is_newer(row))


def after(rows: Sequence[Row], field: str, at: str) -> range:
    """The rows with a later time (as `instants.sortable` writes it) in this field."""
    return range(newer(rows, lambda row: row_time(row.get(field)) > at))


def since(rows: Sequence[Row], field: str, at: str) -> range:
    """The rows with this time in the field, or a later one."""
    return range(newer(rows, lambda row: row_time(row.get(field)) >= at))


def both(one: range, other: range) -> range:
    """What is in both."""
    return range(max(one.start, other.start), min(one.stop, other.stop))
