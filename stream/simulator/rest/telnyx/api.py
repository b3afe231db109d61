"""Telnyx' resources: `call_events`, the log of calls, and `webhook_deliveries`.

The rule of this file: paths, paging and errors are as Telnyx documents them. Pages have numbers: what comes
anew moves the rows behind it, and `total_results` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from stream.simulator.calls.time_formats import iso_us
from stream.simulator.rest.credentials import ApiCredentials
from stream.simulator.rest.http_types import ApiError, ApiRequest, ApiResponse, Route, Row
from stream.simulator.rest.resources import ProviderResources
from stream.simulator.rest.sorted_search import both, since
from stream.simulator.rest.telnyx import delivery_filters, event_filters
from stream.simulator.rest.telnyx.errors import bad, error

TELNYX = "telnyx"
_MOST, _USUAL = 250, 20
_DAY_US = 86_400_000_000


class TelnyxApi:
    """What each path answers. Raises Refused."""

    def __init__(self, shelf: ProviderResources, keys: ApiCredentials) -> None:
        self._shelf = shelf
        self._keys = keys

    def routes(self) -> list[Route]:
        """Both paths."""
        return [
            Route(TELNYX, "call_events", "/v2/call_events", self.call_events),
            Route(TELNYX, "webhook_deliveries", "/v2/webhook_deliveries", self.webhook_deliveries),
        ]

    def call_events(self, asked: ApiRequest) -> ApiResponse:
        """The log, newest first; without a leg or a session that of the last 24 hours."""
        self._admit(asked)
        paging, given = _paging(asked.parameters), _filters(asked.parameters)
        tests = event_filters.tests(given)
        leg = given.get("leg_id")
        rows = self._shelf.telnyx_leg(leg, asked.now_us) if leg else self._shelf.telnyx_events(asked.now_us)
        among = event_filters.occurred(rows, given)
        if not leg and not given.get("application_session_id"):
            among = both(among, since(rows, "event_timestamp", iso_us(asked.now_us - _DAY_US)))
        return ApiResponse(_list(rows, among, tests, paging))

    def webhook_deliveries(self, asked: ApiRequest) -> ApiResponse:
        """What was delivered or not, newest first."""
        self._admit(asked)
        paging, given = _paging(asked.parameters), _filters(asked.parameters)
        tests = delivery_filters.tests(given)
        rows = self._shelf.webhook_deliveries(asked.now_us)
        return ApiResponse(_list(rows, delivery_filters.started(rows, given), tests, paging))

    def _admit(self, asked: ApiRequest) -> None:
        if not self._keys.telnyx_admits(asked.authorization):
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
    """What is between the outer brackets: `filter[occurred_at][gte]` is `occurred_at][gte`."""
    begin, end = "filter[", "]"
    return {
        name.removeprefix(begin).removesuffix(end): value
        for name, value in parameters.items()
        if name.startswith(begin) and name.endswith(end)
    }


def _list(
    rows: Sequence[Row], among: range, tests: Sequence[Callable[[Row], bool]], paging: _Paging
) -> dict[str, Any]:
    """A page by its number. Without tests no row is looked at but those of the page."""
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
