"""Twilio's Calls resource as a list: its order, and its filters.

A filter on a time never matches a row without that time. Both inequalities include their own instant, as
`StartTime>=` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stream.simulator.calls.time_formats import filter_seconds, rfc2822_seconds
from stream.simulator.rest.http_types import Row
from stream.simulator.rest.sorted_rows import count_newer
from stream.simulator.rest.twilio_paging import Cursor

_FIELDS = {"To": "to", "From": "from", "ParentCallSid": "parent_call_sid", "Status": "status"}
_TIMES = {"StartTime": "start_time", "EndTime": "end_time"}
STATUSES = frozenset(
    ("queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled")
)
NEVER_S = 1 << 40
_LONGEST_S = 2 * 86_400
"""From a call's creation to its end: a day in the queue, a day of talk."""


class CallListing:
    """The Calls resource, newest first by `date_created`; a row is named by its sid."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def named(self, index: int) -> tuple[str, int]:
        """See Listing: the number is when the call was created."""
        row = self.rows[index]
        return row["sid"], created_s(row)

    def found(self, at: Cursor) -> tuple[int, bool]:
        """See Listing."""
        begin = self.created_after(at.near)
        for index in range(begin, len(self.rows)):
            row = self.rows[index]
            if row["sid"] == at.row:
                return index, True
            if created_s(row) < at.near:
                break
        return begin, False

    def created_after(self, second: int) -> int:
        """How many calls were created after this second (since 1970)."""
        return count_newer(self.rows, lambda row: created_s(row) > second)


def created_s(row: Row) -> int:
    """When a call was created, in seconds since 1970."""
    return rfc2822_seconds(row["date_created"]) or 0


class TimeRange(NamedTuple):
    """The time in `field` is from `first` to `last`, both included, in seconds since 1970."""

    field: str
    first: int
    last: int


class CallFilters(NamedTuple):
    """What a row must contain, and the ranges of its times."""

    equal: tuple[tuple[str, str], ...]
    times: tuple[TimeRange, ...]

    def show(self, row: Row) -> bool:
        """Whether a row matches."""
        for field, value in self.equal:
            if row.get(field) != value:
                return False
        for field, first, last in self.times:
            at = rfc2822_seconds(row.get(field))
            if at is None or not first <= at <= last:
                return False
        return True

    def among(self, calls: CallListing) -> range:
        """Where matching rows can be, judged by their creation: no call starts before it or lasts forever."""
        first = max((one.first for one in self.times), default=-NEVER_S) - _LONGEST_S
        last = min((one.last for one in self.times), default=NEVER_S)
        return range(calls.created_after(last), calls.created_after(first - 1))


def call_filters(parameters: Mapping[str, str]) -> CallFilters:
    """The filters of a query. Raises ValueError with the name of a parameter that cannot be read."""
    equal = tuple((field, parameters[name]) for name, field in _FIELDS.items() if parameters.get(name))
    if parameters.get("Status") and parameters["Status"] not in STATUSES:
        raise ValueError("Status")
    times = (_time_range(parameters, name, field) for name, field in _TIMES.items())
    return CallFilters(equal, tuple(one for one in times if one is not None))


def _time_range(parameters: Mapping[str, str], name: str, field: str) -> TimeRange | None:
    first, last = -NEVER_S, NEVER_S
    for suffix in ("", "<", ">"):
        text = parameters.get(name + suffix)
        if text:
            begin, end = _seconds(name + suffix, text)
            first = first if suffix == "<" else max(first, begin)
            last = {"": min(last, end), "<": min(last, begin), ">": last}[suffix]
    return None if (first, last) == (-NEVER_S, NEVER_S) else TimeRange(field, first, last)


def _seconds(name: str, text: str) -> tuple[int, int]:
    try:
        return filter_seconds(text)
    except ValueError:
        raise ValueError(name) from None
