"""The filters of Telnyx' `webhook_deliveries`.

The rule of this file: only what is documented is taken. A delivery has begun before it is finished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson

from stream.simulator.rest.http_types import Row
from stream.simulator.rest.sorted_search import after, both, since
from stream.simulator.rest.telnyx.errors import instant, one_of, undocumented
from stream.simulator.rest.timestamps import row_time

Test = Callable[[Row], bool]

_STARTED = ("started_at][gte", "started_at][lte")


def tests(given: Mapping[str, str]) -> list[Test]:
    """What a row must say. Raises Refused."""
    found = []
    for name, value in given.items():
        if name in _FILTERS:
            found.append(_FILTERS[name](value))
        elif name not in _STARTED:
            raise undocumented(name)
    return found


def started(rows: Sequence[Row], given: Mapping[str, str]) -> range:
    """The rows that can be of the time that is asked for. Raises Refused."""
    among = range(len(rows))
    for name, value in given.items():
        if name == "started_at][gte":
            among = both(among, since(rows, "started_at", instant(name, value)))
        elif name in ("started_at][lte", "finished_at][lte"):
            later = after(rows, "started_at", instant(name, value))
            among = both(among, range(later.stop, len(rows)))
    return among


def _status(value: str) -> Test:
    one_of("status][eq", value, ("delivered", "failed"))
    return lambda row: row.get("status") == value


def _event_type(value: str) -> Test:
    """One of several, with commas between them."""
    wanted = {one.strip() for one in value.split(",")}
    return lambda row: (row.get("webhook") or {}).get("event_type") in wanted


def _contains(field: str) -> Callable[[str], Test]:
    return lambda value: lambda row: value in orjson.dumps(row.get(field)).decode()


def _finished_since(value: str) -> Test:
    at = instant("finished_at][gte", value)
    return lambda row: row_time(row.get("finished_at")) >= at


def _finished_until(value: str) -> Test:
    at = instant("finished_at][lte", value)
    return lambda row: "" < row_time(row.get("finished_at")) <= at


_FILTERS: dict[str, Callable[[str], Test]] = {
    "status][eq": _status,
    "event_type": _event_type,
    "webhook][contains": _contains("webhook"),
    "attempts][contains": _contains("attempts"),
    "finished_at][gte": _finished_since,
    "finished_at][lte": _finished_until,
}
