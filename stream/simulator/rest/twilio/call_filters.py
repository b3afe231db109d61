"""The filters of Twilio's Calls resource.

The rule of this file: a filter on a time never matches a row that has none, and both inequalities include
their own instant, as `StartTime>=` reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from stream.simulator.rest.http_types import Row
from stream.simulator.rest.timestamps import seconds, span
from stream.simulator.rest.twilio.paging import CallListing

_FIELDS = {"To": "to", "From": "from", "ParentCallSid": "parent_call_sid", "Status": "status"}
_TIMES = {"StartTime": "start_time", "EndTime": "end_time"}
STATUSES = frozenset(
    ("queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled")
)
NEVER_S = 1 << 40
_LONGEST_S = 2 * 86_400
"""From a call's creation to its end: a day in the queue, a day of talk."""


class Between(NamedTuple):
    """A row's time is at or after `first` and at or before `last`, seconds since 1970."""

    field: str
    first: int
    last: int


class Filters(NamedTuple):
    """What a row must say, and when it must have been."""

    equal: tuple[tuple[str, str], ...]
    between: tuple[Between, ...]

    def show(self, row: Row) -> bool:
        """Whether a row is asked for."""
        for field, value in self.equal:
            if row.get(field) != value:
                return False
        for field, first, last in self.between:
            at = seconds(row.get(field))
            if at is None or not first <= at <= last:
                return False
        return True

    def among(self, calls: CallListing) -> range:
        """Where the rows can be, by when they were created: no call begins before it, and none lasts on."""
        first = max((one.first for one in self.between), default=-NEVER_S) - _LONGEST_S
        last = min((one.last for one in self.between), default=NEVER_S)
        return range(calls.created_after(last), calls.created_after(first - 1))


def filters(parameters: Mapping[str, str]) -> Filters:
    """The filters of a query. Raises ValueError with the name of a parameter that cannot be read."""
    equal = tuple((field, parameters[name]) for name, field in _FIELDS.items() if parameters.get(name))
    if parameters.get("Status") and parameters["Status"] not in STATUSES:
        raise ValueError("Status")
    times = (_between(parameters, name, field) for name, field in _TIMES.items())
    return Filters(equal, tuple(one for one in times if one is not None))


def _between(parameters: Mapping[str, str], name: str, field: str) -> Between | None:
    first, last = -NEVER_S, NEVER_S
    for suffix in ("", "<", ">"):
        text = parameters.get(name + suffix)
        if text:
            begin, end = _span(name + suffix, text)
            first = first if suffix == "<" else max(first, begin)
            last = {"": min(last, end), "<": min(last, begin), ">": last}[suffix]
    return None if (first, last) == (-NEVER_S, NEVER_S) else Between(field, first, last)


def _span(name: str, text: str) -> tuple[int, int]:
    try:
        return span(text)
    except ValueError:
        raise ValueError(name) from None
