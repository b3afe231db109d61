"""Telnyx' resources: `call_events`, the log of calls, and `webhook_deliveries`.

Paths, paging and errors are as Telnyx documents them. Pages have numbers, so a new row shifts the rows after
it; `total_results` shows that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from stream.simulator.calls.time_formats import iso_us
from stream.simulator.rest.http_types import (
    ApiCredentials,
    ApiError,
    ApiRequest,
    ApiResponse,
    ProviderResources,
    Route,
    Row,
)
from stream.simulator.rest.sorted_rows import intersection, since
from stream.simulator.rest.telnyx_errors import bad, error
from stream.simulator.rest.telnyx_filters import delivery_tests, event_tests, occurred, started

TELNYX = "telnyx"
_MOST, _USUAL = 250, 20
_DAY_US = 86_400_000_000


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
        self._authenticate(request)
        paging, given = _paging(request.parameters), _filters(request.parameters)
        tests = event_tests(given)
        leg, now_us = given.get("leg_id"), request.now_us
        rows = self._resources.telnyx_leg(leg, now_us) if leg else self._resources.telnyx_events(now_us)
        among = occurred(rows, given)
        if not leg and not given.get("application_session_id"):
            among = intersection(among, since(rows, "event_timestamp", iso_us(now_us - _DAY_US)))
        return ApiResponse(_page(rows, among, tests, paging))

    def webhook_deliveries(self, request: ApiRequest) -> ApiResponse:
        """Successful and failed deliveries, newest first."""
        self._authenticate(request)
        paging, given = _paging(request.parameters), _filters(request.parameters)
        tests = delivery_tests(given)
        rows = self._resources.webhook_deliveries(request.now_us)
        return ApiResponse(_page(rows, started(rows, given), tests, paging))

    def _authenticate(self, request: ApiRequest) -> None:
        if not self._credentials.telnyx_admits(request.authorization):
            raise ApiError(error(401, "10009"))


class _Paging(NamedTuple):
    number: int
    size: int


def _paging(parameters: Mapping[str, str]) -> _Paging:
    number = _whole(parameters, "page[number]", 1, 999_999_999)
    return _Paging(number, _whole(parameters, "page[size]", _USUAL, _MOST))


def _whole(parameters: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = parameters.get(name, "")
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise bad(name, f"must be a whole number from 1 to {most}")
    return int(text)


def _filters(parameters: Mapping[str, str]) -> dict[str, str]:
    """The filters by what is between the outer brackets: `occurred_at][gte` of `filter[occurred_at][gte]`."""
    begin, end = "filter[", "]"
    return {
        name.removeprefix(begin).removesuffix(end): value
        for name, value in parameters.items()
        if name.startswith(begin) and name.endswith(end)
    }


def _page(
    rows: Sequence[Row], among: range, tests: Sequence[Callable[[Row], bool]], paging: _Paging
) -> dict[str, Any]:
    """A page by its number. Without tests, only the rows of the page are looked at."""
    skip = slice((paging.number - 1) * paging.size, paging.number * paging.size)
    if tests:
        found = [row for row in map(rows.__getitem__, among) if all(test(row) for test in tests)]
        total, data = len(found), found[skip]
    else:
        total, data = len(among), [rows[index] for index in among[skip]]
    meta = {
        "total_pages": -(-total // paging.size),
        "total_results": total,
        "page_number": paging.number,
        "page_size": paging.size,
    }
    return {"data": data, "meta": meta}
