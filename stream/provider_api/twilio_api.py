"""Twilio's resources of a call: Calls, their request log, and Voice Insights.

Paths and envelopes are as Twilio documents them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from stream.provider_api.http_types import ApiError, ApiRequest, ApiResponse, Route, Row, with_completeness
from stream.provider_api.twilio_answers import (
    ACCOUNT,
    TWILIO,
    existing,
    invalid,
    meta_list,
    not_found,
    one_of,
    paging_of,
    uri_list,
)
from stream.provider_api.twilio_calls import CallFilters, call_filters
from stream.provider_api.twilio_paging import Cursor, ListPage, page_of_log

EDGES = ("unknown_edge", "carrier_edge", "sip_edge", "sdk_edge", "client_edge")
_CARRIER = "carrier_edge"


class TwilioVoice(Protocol):
    """The calls of one account, with rows as Twilio writes them; lists are newest first.

    `now_us`: the moment of the read, in microseconds since 1970. A call has no rows of a kind yet: an empty
    list, or None for a summary; no such call: None.
    """

    def calls(self, wanted: CallFilters, at: Cursor | None, size: int, now_us: int) -> ListPage: ...
    def call(self, sid: str, now_us: int) -> Row | None: ...
    def call_events(self, sid: str, now_us: int) -> list[Row] | None: ...
    def insights(self, sid: str, now_us: int) -> list[Row] | None: ...
    def summary(self, sid: str, now_us: int) -> Row | None: ...
    def completeness(self) -> str | None:
        """What is still expected of the rows that were given; None from a provider itself."""


class TwilioApi:
    """Responds to each path. Raises ApiError.

    `admit` checks the credentials first of all, so that nobody learns without them what exists. It returns
    what the request may read.
    """

    def __init__(self, admit: Callable[[ApiRequest], TwilioVoice]) -> None:
        self._admit = admit

    def routes(self) -> list[Route]:
        return [
            Route(TWILIO, "calls", ACCOUNT + "/Calls.json", self.calls),
            Route(TWILIO, "call", ACCOUNT + "/Calls/{call}.json", self.call),
            Route(TWILIO, "request_log", ACCOUNT + "/Calls/{call}/Events.json", self.call_events),
            Route(TWILIO, "insights", "/v1/Voice/{call}/Events", self.insights),
            Route(TWILIO, "summary", "/v1/Voice/{call}/Summary", self.summary),
        ]

    def calls(self, request: ApiRequest) -> ApiResponse:
        """The account's calls, newest first."""
        store = self._admit(request)
        paging = paging_of(request.parameters)
        try:
            wanted = call_filters(request.parameters)
        except ValueError as name:
            raise invalid(str(name)) from None
        found = store.calls(wanted, paging.at, paging.size, request.now_us)
        return _answer(store, uri_list(request, "calls", found, paging))

    def call(self, request: ApiRequest) -> ApiResponse:
        """One call."""
        store = self._admit(request)
        return _answer(store, existing(request, store.call(request.names["call"], request.now_us)))

    def call_events(self, request: ApiRequest) -> ApiResponse:
        """A call's request log, as far as it is available."""
        store = self._admit(request)
        paging = paging_of(request.parameters)
        rows = existing(request, store.call_events(request.names["call"], request.now_us))
        return _answer(store, uri_list(request, "events", page_of_log(rows, paging.at, paging.size), paging))

    def insights(self, request: ApiRequest) -> ApiResponse:
        """Voice Insights' events of one edge of a call. Rows without an edge come with the carrier's."""
        store = self._admit(request)
        paging = paging_of(request.parameters)
        edge = one_of(request.parameters, "Edge", EDGES)
        rows = existing(request, store.insights(request.names["call"], request.now_us))
        edge = edge or _default_edge(store.call(request.names["call"], request.now_us))
        of_edge = [row for row in rows if (row.get("edge") or _CARRIER) == edge]
        found = page_of_log(of_edge, paging.at, paging.size)
        return _answer(store, meta_list(request, "events", found, paging))

    def summary(self, request: ApiRequest) -> ApiResponse:
        """A call's summary. The complete one does not exist before it is complete."""
        store = self._admit(request)
        state = one_of(request.parameters, "ProcessingState", ("complete", "partial", "all"))
        row = existing(request, store.summary(request.names["call"], request.now_us))
        if state == "complete" and row.get("processing_state") != "complete":
            raise ApiError(not_found(request.path))
        return _answer(store, row)


def _answer(store: TwilioVoice, body: dict[str, Any]) -> ApiResponse:
    return with_completeness(ApiResponse(body), store.completeness())


def _default_edge(call: Row | None) -> str:
    """The edge of a request that names none: it depends on the kind of call."""
    if call is None:
        return _CARRIER
    for scheme, edge in (("client:", "sdk_edge"), ("sip:", "sip_edge")):
        if any(str(call.get(end)).startswith(scheme) for end in ("from", "to")):
            return edge
    return _CARRIER
