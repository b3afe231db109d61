"""Telnyx' resources: `call_events`, the log of calls, and `webhook_deliveries`.

Paths, paging and errors are as Telnyx documents them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from stream.provider_api.http_types import (
    ApiError,
    ApiRequest,
    ApiResponse,
    ErrorResponses,
    Route,
    with_completeness,
)
from stream.provider_api.telnyx_filters import (
    DELIVERY_FILTERS,
    EVENT_FILTERS,
    KNOWN_VALUES,
    Filters,
    LogFilters,
    NumberedPage,
)
from stream.provider_api.time_formats import iso_us, microseconds

TELNYX = "telnyx"
_MOST, _USUAL = 250, 20
_DAY_US = 86_400_000_000
_OPERATORS = ("eq", "gt", "gte", "lt", "lte")

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
    unavailable=lambda retry_after_s: _error(
        503, "10007", ("Retry-After", str(retry_after_s)), detail="The service does not answer."
    ),
    broken=lambda: _error(500, "10007"),
)


class TelnyxLog(Protocol):
    """Rows of Telnyx' log of calls, newest first by `event_timestamp`; `now_us`: see `TwilioVoice`."""

    def call_events(self, wanted: LogFilters, number: int, size: int, now_us: int) -> NumberedPage: ...
    def completeness(self) -> str | None:
        """What is still expected of the rows that were given; None from a provider itself."""


class TelnyxDeliveries(Protocol):
    """Rows of Telnyx' log of webhook deliveries, newest first by `started_at`."""

    def webhook_deliveries(self, wanted: LogFilters, number: int, size: int, now_us: int) -> NumberedPage: ...


class TelnyxApi:
    """Responds to `call_events`. Raises ApiError. `admit`: see `TwilioApi`."""

    def __init__(self, admit: Callable[[ApiRequest], TelnyxLog]) -> None:
        self._admit = admit

    def routes(self) -> list[Route]:
        return [Route(TELNYX, "call_events", "/v2/call_events", self.call_events)]

    def call_events(self, request: ApiRequest) -> ApiResponse:
        """The log, newest first; without a leg or a session, that of the last 24 hours."""
        store = self._admit(request)
        given = _given(request)
        bounds = _taken(given, [name for name in given if name.startswith("occurred_at][")])
        if len(bounds) > 1 or not {name.partition("][")[2] for name in bounds} <= set(_OPERATORS):
            raise _bad("filter[occurred_at]", f"takes exactly one of {', '.join(_OPERATORS)}")
        first_us, last_us = _range(bounds)
        if not given.get("leg_id") and not given.get("application_session_id"):
            first_us = max(request.now_us - _DAY_US, first_us or 0)
        wanted = LogFilters(EVENT_FILTERS, given, first_us, last_us)
        response = _page(request, wanted, store.call_events)
        return with_completeness(response, store.completeness())


class TelnyxDeliveriesApi:
    """Responds to `webhook_deliveries`. Raises ApiError. `admit`: see `TwilioApi`."""

    def __init__(self, admit: Callable[[ApiRequest], TelnyxDeliveries]) -> None:
        self._admit = admit

    def routes(self) -> list[Route]:
        return [Route(TELNYX, "webhook_deliveries", "/v2/webhook_deliveries", self.webhook_deliveries)]

    def webhook_deliveries(self, request: ApiRequest) -> ApiResponse:
        """Successful and failed deliveries, newest first."""
        store = self._admit(request)
        given = _given(request)
        first_us, last_us = _range(_taken(given, ["started_at][gte", "started_at][lte"]))
        for name in given.keys() & {"finished_at][gte", "finished_at][lte"}:
            given[name] = iso_us(_time_us(name, given[name]))
        wanted = LogFilters(DELIVERY_FILTERS, given, first_us, last_us)
        return _page(request, wanted, store.webhook_deliveries)


def _given(request: ApiRequest) -> dict[str, str]:
    """The filters by what is between the outer brackets: `occurred_at][gte` of
    `filter[occurred_at][gte]`.
    """
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


def _range(bounds: Mapping[str, str]) -> tuple[int | None, int | None]:
    """The first and the last moment that filters on a row's own time allow; None: open."""
    first_us = last_us = None
    for name, text in bounds.items():
        at_us, operator = _time_us(name, text), name.partition("][")[2]
        if operator in ("eq", "gt", "gte"):
            first_us = at_us + (operator == "gt")
        if operator in ("eq", "lt", "lte"):
            last_us = at_us - (operator == "lt")
    return first_us, last_us


def _check(given: Mapping[str, str], filters: Filters) -> None:
    for name, value in given.items():
        if name not in filters:  # ignoring it would look like an answer
            raise _bad(f"filter[{name}]", "is not documented")
        known = KNOWN_VALUES.get(name)
        if known is not None and value not in known:
            raise _bad(f"filter[{name}]", f"must be one of {', '.join(known)}")
        if name == "application_name][contains" and len(value) < 3:
            raise _bad(f"filter[{name}]", "must have at least three characters")


def _page(
    request: ApiRequest, wanted: LogFilters, read: Callable[[LogFilters, int, int, int], NumberedPage]
) -> ApiResponse:
    number = _whole(request.parameters, "page[number]", 1, 999_999_999)
    size = _whole(request.parameters, "page[size]", _USUAL, _MOST)
    _check(wanted.values, wanted.known)
    found = read(wanted, number, size, request.now_us)
    meta = {
        "total_pages": -(-found.total // size),
        "total_results": found.total,
        "page_number": number,
        "page_size": size,
    }
    return ApiResponse({"data": found.rows, "meta": meta})


def _whole(parameters: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = parameters.get(name, "")
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise _bad(name, f"must be a whole number from 1 to {most}")
    return int(text)
