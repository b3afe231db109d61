"""Searches in rows that are in the order of their time, newest first. They look at few rows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from stream.provider_api.http_types import Row


def count_newer(rows: Sequence[Row], is_newer: Callable[[Row], bool]) -> int:
    """How many of the first rows are newer."""
    return bisect_left(rows, True, key=lambda row: not is_newer(row))


def count_since(rows: Sequence[Row], field: str, at: str) -> int:
    """How many rows have this time (as `iso_us` writes it) or a later one in this field."""
    return count_newer(rows, lambda row: (row[field] or "") >= at)
