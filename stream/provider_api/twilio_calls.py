"""The filters of Twilio's Calls resource.

A filter on a time never matches a row without that time. Both inequalities include their own instant, as
`StartTime>=` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stream.provider_api.http_types import Row
from stream.provider_api.time_formats import filter_seconds, rfc2822_seconds
from stream.provider_api.twilio_paging import created_after

_FIELDS = {"To": "to", "From": "from", "ParentCallSid": "parent_call_sid", "Status": "status"}
_TIMES = {"StartTime": "start_time", "EndTime": "end_time"}
STATUSES = frozenset(
    ("queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled")
)
NEVER_S = 1 << 40
_LONGEST_S = 2 * 86_400
"""From a call's creation to its end: a day in the queue, a day of talk."""


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

    def among(self, calls: Sequence[Row]) -> range:
        """Where matching rows can be, judged by their creation: no call starts before it or lasts forever."""
        first, last = self.created()
        return range(created_after(calls, last), created_after(calls, first - 1))

    def created(self) -> tuple[int, int]:
        """The first and the last second in which a matching row can have been created."""
        first = max((one.first for one in self.times), default=-NEVER_S) - _LONGEST_S
        return first, min((one.last for one in self.times), default=NEVER_S)


def call_filters(parameters: Mapping[str, str]) -> CallFilters:
    """The filters of a query. Raises ValueError with the name of a parameter that cannot be read."""
    equal = tuple((field, parameters[name]) for name, field in _FIELDS.items() if parameters.get(name))
    if parameters.get("Status") and parameters["Status"] not in STATUSES:
        raise ValueError("Status")
    times = (_time_range(parameters, name, field) for name, field in _TIMES.items())
    return CallFilters(equal, tuple(one for one in times if one is not None))


def _time_range(parameters: Mapping[str, str], name: str, field: str) -> TimeRange | None:
    firsts, lasts = [-NEVER_S], [NEVER_S]
    for suffix in ("", "<", ">"):
        text = parameters.get(name + suffix)
        if not text:
            continue
        try:
            begin, end = filter_seconds(text)
        except ValueError:
            raise ValueError(name + suffix) from None
        if suffix != "<":
            firsts.append(begin)
        if suffix != ">":
            lasts.append(begin if suffix else end)
    if len(firsts) == len(lasts) == 1:
        return None
    return TimeRange(field, max(firsts), min(lasts))
