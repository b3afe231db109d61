"""The filters of Telnyx' `call_events`.

The rule of this file: only what is documented is taken; of `occurred_at` one operator, as Telnyx takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stream.simulator.rest.http_types import Row
from stream.simulator.rest.sorted_search import after, since
from stream.simulator.rest.telnyx.errors import bad, instant, one_of, undocumented

Test = Callable[[Row], bool]

_OPERATORS = ("eq", "gt", "gte", "lt", "lte")
_TIME = "occurred_at]["


def tests(given: Mapping[str, str]) -> list[Test]:
    """What a row must say. Raises Refused."""
    found = []
    for name, value in given.items():
        if name in _FILTERS:
            found.append(_FILTERS[name](value))
        elif not name.startswith(_TIME):
            raise undocumented(name)
    return found


def occurred(rows: Sequence[Row], given: Mapping[str, str]) -> range:
    """The rows of the time that is asked for. Raises Refused."""
    named = [name for name in given if name.startswith(_TIME)]
    if not named:
        return range(len(rows))
    operator = named[0].removeprefix(_TIME)
    if len(named) > 1 or operator not in _OPERATORS:
        raise bad("filter[occurred_at]", f"takes exactly one of {', '.join(_OPERATORS)}")
    at = instant(named[0], given[named[0]])
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
    """The event in the row says so; where it says nothing, `usual` is meant."""
    return lambda value: lambda row: _payload(row).get(field, usual) == value


def _payload(row: Row) -> dict[str, Any]:
    event = (row.get("metadata") or {}).get("event") or {}
    return event.get("payload") or {}


def _type(value: str) -> Test:
    one_of("type", value, ("command", "webhook"))
    return _says("type")(value)


def _product(value: str) -> Test:
    """Whatever does not say of which product it is, is of Call Control: that is what is simulated."""
    one_of("product", value, ("call_control", "fax", "texml"))
    return _carries("product", "call_control")(value)


def _failed(value: str) -> Test:
    """Whether the delivery failed, not the call. A command was never to be delivered: it did not."""
    one_of("failed", value, ("true", "false"))
    return lambda row: ((row.get("metadata") or {}).get("status") == "failed") == (value == "true")


def _application(value: str) -> Test:
    if len(value) < 3:
        raise bad("filter[application_name][contains]", "must have at least three characters")
    return lambda row: value.lower() in str(_payload(row).get("application_name") or "").lower()


_FILTERS: dict[str, Callable[[str], Test]] = {
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
