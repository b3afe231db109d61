"""The filters of Telnyx' `call_events` and `webhook_deliveries`. Only documented filters are accepted.

A filter on the time of the list's order selects a range of rows; every other filter is a test of each row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from stream.simulator.calls.time_formats import row_time
from stream.simulator.rest.http_types import Row
from stream.simulator.rest.sorted_rows import after, intersection, since
from stream.simulator.rest.telnyx_errors import bad, check_one_of, filter_time, undocumented

Test = Callable[[Row], bool]

_OPERATORS = ("eq", "gt", "gte", "lt", "lte")
_OCCURRED = "occurred_at]["
_STARTED = ("started_at][gte", "started_at][lte")


def event_tests(given: Mapping[str, str]) -> list[Test]:
    """The tests of a `call_events` query. Raises ApiError."""
    return _tests(given, EVENT_FILTERS, lambda name: name.startswith(_OCCURRED))


def delivery_tests(given: Mapping[str, str]) -> list[Test]:
    """The tests of a `webhook_deliveries` query. Raises ApiError."""
    return _tests(given, DELIVERY_FILTERS, lambda name: name in _STARTED)


def _tests(
    given: Mapping[str, str],
    filters: Mapping[str, Callable[[str], Test]],
    is_time: Callable[[str], bool],
) -> list[Test]:
    found = []
    for name, value in given.items():
        if name in filters:
            found.append(filters[name](value))
        elif not is_time(name):
            raise undocumented(name)
    return found


def occurred(rows: Sequence[Row], given: Mapping[str, str]) -> range:
    """The rows in the range of `occurred_at`, of which Telnyx accepts one operator. Raises ApiError."""
    named = [name for name in given if name.startswith(_OCCURRED)]
    if not named:
        return range(len(rows))
    operator = named[0].removeprefix(_OCCURRED)
    if len(named) > 1 or operator not in _OPERATORS:
        raise bad("filter[occurred_at]", f"takes exactly one of {', '.join(_OPERATORS)}")
    at = filter_time(named[0], given[named[0]])
    later = after(rows, "event_timestamp", at)
    not_earlier = since(rows, "event_timestamp", at)
    return {
        "eq": range(later.stop, not_earlier.stop),
        "gt": later,
        "gte": not_earlier,
        "lt": range(not_earlier.stop, len(rows)),
        "lte": range(later.stop, len(rows)),
    }[operator]


def _says(field: str) -> Callable[[str], Test]:
    return lambda value: lambda row: row.get(field) == value


def _carries(field: str, usual: str | None = None) -> Callable[[str], Test]:
    """A field of the event in the row; `usual` if it is missing."""
    return lambda value: lambda row: _payload(row).get(field, usual) == value


def _payload(row: Row) -> dict[str, Any]:
    event = (row.get("metadata") or {}).get("event") or {}
    return event.get("payload") or {}


def _type(value: str) -> Test:
    check_one_of("type", value, ("command", "webhook"))
    return _says("type")(value)


def _product(value: str) -> Test:
    """A row without a product is of Call Control, which is what is simulated."""
    check_one_of("product", value, ("call_control", "fax", "texml"))
    return _carries("product", "call_control")(value)


def _failed(value: str) -> Test:
    """Whether the delivery failed, not the call. A command is not delivered, so it did not fail."""
    check_one_of("failed", value, ("true", "false"))
    return lambda row: ((row.get("metadata") or {}).get("status") == "failed") == (value == "true")


def _application(value: str) -> Test:
    if len(value) < 3:
        raise bad("filter[application_name][contains]", "must have at least three characters")
    return lambda row: value.lower() in str(_payload(row).get("application_name") or "").lower()


EVENT_FILTERS: dict[str, Callable[[str], Test]] = {
    "leg_id": _says("call_leg_id"),
    "application_session_id": _says("call_session_id"),
    "name": _says("name"),
    "type": _type,
    "failed": _failed,
    "product": _product,
    "connection_id": _carries("connection_id"),
    "from": _carries("from"),
    "to": _carries("to"),
    "application_name][contains": _application,
    "outbound.outbound_voice_profile_id": _carries("outbound_voice_profile_id"),
}


def started(rows: Sequence[Row], given: Mapping[str, str]) -> range:
    """The rows that can be in the range of `started_at` and `finished_at`. Raises ApiError.

    A delivery starts before it finishes, so an upper bound of the end is one of the start too.
    """
    among = range(len(rows))
    for name, value in given.items():
        if name == "started_at][gte":
            among = intersection(among, since(rows, "started_at", filter_time(name, value)))
        elif name in ("started_at][lte", "finished_at][lte"):
            later = after(rows, "started_at", filter_time(name, value))
            among = intersection(among, range(later.stop, len(rows)))
    return among


def _status(value: str) -> Test:
    check_one_of("status][eq", value, ("delivered", "failed"))
    return lambda row: row.get("status") == value


def _event_type(value: str) -> Test:
    """One of several, separated by commas."""
    wanted = {one.strip() for one in value.split(",")}
    return lambda row: (row.get("webhook") or {}).get("event_type") in wanted


def _contains(field: str) -> Callable[[str], Test]:
    return lambda value: lambda row: value in orjson.dumps(row.get(field)).decode()


def _finished_since(value: str) -> Test:
    at = filter_time("finished_at][gte", value)
    return lambda row: row_time(row.get("finished_at")) >= at


def _finished_until(value: str) -> Test:
    at = filter_time("finished_at][lte", value)
    return lambda row: "" < row_time(row.get("finished_at")) <= at


DELIVERY_FILTERS: dict[str, Callable[[str], Test]] = {
    "status][eq": _status,
    "event_type": _event_type,
    "webhook][contains": _contains("webhook"),
    "attempts][contains": _contains("attempts"),
    "finished_at][gte": _finished_since,
    "finished_at][lte": _finished_until,
}
