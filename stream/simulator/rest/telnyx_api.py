"""Telnyx' resources: `call_events`, the log of calls, and `webhook_deliveries`.

Paths, paging and errors are as Telnyx documents them. Pages have numbers, so a new row shifts the rows after
it; `total_results` shows that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from stream.simulator.calls.time_formats import iso_us, microseconds
from stream.simulator.rest.http_types import (
    ApiCredentials,
    ApiError,
    ApiRequest,
    ApiResponse,
    ErrorResponses,
    ProviderResources,
    Route,
    Row,
)
from stream.simulator.rest.sorted_rows import count_since, intersection

TELNYX = "telnyx"
_MOST, _USUAL = 250, 20
_DAY_US = 86_400_000_000

_TITLES = {
    "10005": ("Resource not found", "The requested resource or URL could not be found."),
    "10007": ("Unexpected error", "An unexpected error occured."),
    "10009": (
        "Authentication failed",
        "The required authentication headers were either invalid or not included in the request.",
    ),
    "10011": ("Too many requests", "You have exceeded the maximum number of allowed requests."),
    "10015": ("Bad Request", "The request failed because it was not well-formed."),
}


def _error(
    status: int, code: str, *headers: tuple[str, str], parameter: str = "", detail: str = ""
) -> ApiResponse:
    title, usual = _TITLES[code]
    one: dict[str, Any] = {"code": code, "title": title, "detail": detail or usual}
    if parameter:
        one["source"] = {"parameter": parameter}
    one["meta"] = {"url": f"https://developers.telnyx.com/docs/overview/errors/{code}"}
    return ApiResponse({"errors": [one]}, status, headers)


def _bad(parameter: str, detail: str) -> ApiError:
    return ApiError(_error(400, "10015", parameter=parameter, detail=f"The parameter {detail}."))


TELNYX_ERRORS = ErrorResponses(
    not_found=lambda _: _error(404, "10005"),
    not_allowed=lambda: _error(405, "10015", ("Allow", "GET"), detail="The method is not allowed."),
    unauthenticated=lambda: _error(401, "10009"),
    too_many=lambda retry_after_s: _error(429, "10011", ("Retry-After", str(retry_after_s))),
    broken=lambda: _error(500, "10007"),
)

Filters = Mapping[str, Callable[[Row, str], bool]]
"""By the name of a filter, whether a row has its value."""


def _payload(row: Row) -> dict[str, Any]:
    event = (row.get("metadata") or {}).get("event") or {}
    return event.get("payload") or {}


def _failed(row: Row) -> str:
    """Whether the delivery failed, not the call. A command is not delivered, so it did not fail."""
    return "true" if (row.get("metadata") or {}).get("status") == "failed" else "false"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


_EVENT_FILTERS: Filters = {
    "leg_id": lambda row, value: row["call_leg_id"] == value,
    "application_session_id": lambda row, value: row["call_session_id"] == value,
    "name": lambda row, value: row["name"] == value,
    "type": lambda row, value: row["type"] == value,
    "failed": lambda row, value: _failed(row) == value,
    "product": lambda row, value: _payload(row).get("product", "call_control") == value,
    "connection_id": lambda row, value: _payload(row).get("connection_id") == value,
    "from": lambda row, value: _payload(row).get("from") == value,
    "to": lambda row, value: _payload(row).get("to") == value,
    "application_name][contains": lambda row, value: (
        value.lower() in str(_payload(row).get("application_name") or "").lower()
    ),
    "outbound.outbound_voice_profile_id": lambda row, value: (
        _payload(row).get("outbound_voice_profile_id") == value
    ),
}
_DELIVERY_FILTERS: Filters = {
    "status][eq": lambda row, value: row["status"] == value,
    "event_type": lambda row, value: row["webhook"]["event_type"] in map(str.strip, value.split(",")),
    "webhook][contains": lambda row, value: value in _json(row["webhook"]),
    "attempts][contains": lambda row, value: value in _json(row["attempts"]),
    "finished_at][gte": lambda row, value: (row["finished_at"] or "") >= value,
    "finished_at][lte": lambda row, value: "" < (row["finished_at"] or "") <= value,
}
_KNOWN_VALUES = {
    "type": ("command", "webhook"),
    "failed": ("true", "false"),
    "product": ("call_control", "fax", "texml"),
    "status][eq": ("delivered", "failed"),
}
_OPERATORS = ("eq", "gt", "gte", "lt", "lte")


class TelnyxApi:
    """Responds to each path. Raises ApiError."""

    def __init__(self, resources: ProviderResources, credentials: ApiCredentials) -> None:
        self._resources = resources
        self._credentials = credentials

    def routes(self) -> list[Route]:
        return [
            Route(TELNYX, "call_events", "/v2/call_events", self.call_events),
            Route(TELNYX, "webhook_deliveries", "/v2/webhook_deliveries", self.webhook_deliveries),
        ]

    def call_events(self, request: ApiRequest) -> ApiResponse:
        """The log, newest first; without a leg or a session, that of the last 24 hours."""
        given = self._given(request)
        leg, now_us = given.get("leg_id"), request.now_us
        rows = self._resources.telnyx_leg(leg, now_us) if leg else self._resources.telnyx_events(now_us)
        bounds = _taken(given, [name for name in given if name.startswith("occurred_at][")])
        if len(bounds) > 1 or not {name.partition("][")[2] for name in bounds} <= set(_OPERATORS):
            raise _bad("filter[occurred_at]", f"takes exactly one of {', '.join(_OPERATORS)}")
        among = _in_time(rows, "event_timestamp", bounds)
        if not leg and not given.get("application_session_id"):
            day = range(count_since(rows, "event_timestamp", iso_us(now_us - _DAY_US)))
            among = intersection(among, day)
        return _page(request, rows, among, given, _EVENT_FILTERS)

    def webhook_deliveries(self, request: ApiRequest) -> ApiResponse:
        """Successful and failed deliveries, newest first."""
        given = self._given(request)
        rows = self._resources.webhook_deliveries(request.now_us)
        among = _in_time(rows, "started_at", _taken(given, ["started_at][gte", "started_at][lte"]))
        for name in given.keys() & {"finished_at][gte", "finished_at][lte"}:
            given[name] = iso_us(_time_us(name, given[name]))
        return _page(request, rows, among, given, _DELIVERY_FILTERS)

    def _given(self, request: ApiRequest) -> dict[str, str]:
        """The filters by what is between the outer brackets: `occurred_at][gte` of
        `filter[occurred_at][gte]`.
        """
        if not self._credentials.telnyx_admits(request.authorization):
            raise ApiError(TELNYX_ERRORS.unauthenticated())
        return {
            name[len("filter[") : -1]: value
            for name, value in request.parameters.items()
            if name.startswith("filter[") and name.endswith("]")
        }


def _taken(given: dict[str, str], names: Sequence[str]) -> dict[str, str]:
    """Takes the filters of these names out of `given`."""
    return {name: given.pop(name) for name in names if name in given}


def _time_us(name: str, text: str) -> int:
    try:
        return microseconds(text)
    except ValueError:
        raise _bad(f"filter[{name}]", "must be an ISO 8601 time") from None


def _in_time(rows: Sequence[Row], field: str, bounds: Mapping[str, str]) -> range:
    """The rows within these filters on `field`, the time by which the list is in order."""
    among = range(len(rows))
    for name, text in bounds.items():
        at_us = _time_us(name, text)
        later = count_since(rows, field, iso_us(at_us + 1))
        not_earlier = count_since(rows, field, iso_us(at_us))
        wanted = {
            "eq": range(later, not_earlier),
            "gt": range(later),
            "gte": range(not_earlier),
            "lt": range(not_earlier, len(rows)),
            "lte": range(later, len(rows)),
        }[name.partition("][")[2]]
        among = intersection(among, wanted)
    return among


def _page(
    request: ApiRequest, rows: Sequence[Row], among: range, given: Mapping[str, str], filters: Filters
) -> ApiResponse:
    """A page by its number. Without filters, only the rows of the page are looked at."""
    number = _whole(request.parameters, "page[number]", 1, 999_999_999)
    size = _whole(request.parameters, "page[size]", _USUAL, _MOST)
    for name, value in given.items():
        if name not in filters:  # ignoring it would look like an answer
            raise _bad(f"filter[{name}]", "is not documented")
        known = _KNOWN_VALUES.get(name)
        if known is not None and value not in known:
            raise _bad(f"filter[{name}]", f"must be one of {', '.join(known)}")
        if name == "application_name][contains" and len(value) < 3:
            raise _bad(f"filter[{name}]", "must have at least three characters")
    skip = slice((number - 1) * size, number * size)
    if given:
        each = map(rows.__getitem__, among)
        found = [row for row in each if all(filters[name](row, value) for name, value in given.items())]
        total, data = len(found), found[skip]
    else:
        total, data = len(among), [rows[index] for index in among[skip]]
    meta = {
        "total_pages": -(-total // size),
        "total_results": total,
        "page_number": number,
        "page_size": size,
    }
    return ApiResponse({"data": data, "meta": meta})


def _whole(parameters: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = parameters.get(name, "")
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise _bad(name, f"must be a whole number from 1 to {most}")
    return int(text)
