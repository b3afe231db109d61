"""Twilio's resources: Calls and their request log, Voice Insights' events and summaries.

The rule of this file: paths, envelopes and errors are as Twilio documents them. What a row says is the
shelf's business, where a page begins that of `paging`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from stream.simulator.rest.credentials import ApiCredentials
from stream.simulator.rest.http_types import ApiError, ApiRequest, ApiResponse, Route, Row
from stream.simulator.rest.resources import ProviderResources
from stream.simulator.rest.twilio.call_filters import filters
from stream.simulator.rest.twilio.errors import error, invalid, not_found
from stream.simulator.rest.twilio.paging import CallListing, Cursor, ListPage, LogListing, cursor, page

TWILIO = "twilio"
_Found = TypeVar("_Found")
EDGES = ("unknown_edge", "carrier_edge", "sip_edge", "sdk_edge", "client_edge")
_CARRIER = "carrier_edge"
_ACCOUNT = "/2010-04-01/Accounts/{account}"
_PAGING = ("PageSize", "Page", "PageToken")
_MOST, _USUAL = 1000, 50


class TwilioApi:
    """What each path answers. Raises Refused."""

    def __init__(self, shelf: ProviderResources, keys: ApiCredentials) -> None:
        self._shelf = shelf
        self._keys = keys

    def routes(self) -> list[Route]:
        """All paths; the longer ones are told apart by aiohttp."""
        return [
            Route(TWILIO, "calls", _ACCOUNT + "/Calls.json", self.calls),
            Route(TWILIO, "call", _ACCOUNT + "/Calls/{call}.json", self.call),
            Route(TWILIO, "request_log", _ACCOUNT + "/Calls/{call}/Events.json", self.call_events),
            Route(TWILIO, "insights", "/v1/Voice/{call}/Events", self.insights),
            Route(TWILIO, "summary", "/v1/Voice/{call}/Summary", self.summary),
        ]

    def calls(self, asked: ApiRequest) -> ApiResponse:
        """The account's calls, newest first."""
        self._admit(asked)
        paging = _paging(asked.parameters)
        try:
            wanted = filters(asked.parameters)
        except ValueError as name:
            raise invalid(str(name)) from None
        calls = CallListing(self._shelf.calls(asked.now_us))
        found = page(calls, wanted.among(calls), wanted.show, paging.at, paging.size)
        return ApiResponse(_list(asked, "calls", found, paging))

    def call(self, asked: ApiRequest) -> ApiResponse:
        """One call."""
        self._admit(asked)
        return ApiResponse(_there(asked, self._shelf.call(asked.names["call"], asked.now_us)))

    def call_events(self, asked: ApiRequest) -> ApiResponse:
        """A call's request log, as far as it is there."""
        self._admit(asked)
        paging = _paging(asked.parameters)
        rows = _there(asked, self._shelf.call_events(asked.names["call"], asked.now_us))
        return ApiResponse(_list(asked, "events", _page_of_log(rows, paging), paging))

    def insights(self, asked: ApiRequest) -> ApiResponse:
        """Voice Insights' events of one edge of a call. Rows without an edge come with the carrier's."""
        self._admit(asked)
        paging = _paging(asked.parameters)
        edge = _one_of(asked.parameters, "Edge", EDGES)
        rows = _there(asked, self._shelf.insights(asked.names["call"], asked.now_us))
        edge = edge or _usual_edge(self._shelf.call(asked.names["call"], asked.now_us))
        of_edge = [row for row in rows if (row.get("edge") or _CARRIER) == edge]
        return ApiResponse(_insights(asked, _page_of_log(of_edge, paging), paging))

    def summary(self, asked: ApiRequest) -> ApiResponse:
        """A call's summary: the complete one is not there before it is complete."""
        self._admit(asked)
        state = _one_of(asked.parameters, "ProcessingState", ("complete", "partial", "all"))
        row = _there(asked, self._shelf.summary(asked.names["call"], asked.now_us))
        if state == "complete" and row.get("processing_state") != "complete":
            raise ApiError(not_found(asked.path))
        return ApiResponse(row)

    def _admit(self, asked: ApiRequest) -> None:
        """Credentials first: who has none does not learn what there is."""
        account = self._shelf.twilio_account
        if not self._keys.twilio_admits(asked.authorization, account):
            challenge = ("WWW-Authenticate", 'Basic realm="Twilio API"')
            raise ApiError(error(401, 20003, "Authenticate", challenge))
        if asked.names.get("account", account) != account:
            raise ApiError(not_found(asked.path))


class _Paging(NamedTuple):
    size: int
    number: int
    at: Cursor | None


def _paging(parameters: Mapping[str, str]) -> _Paging:
    """The page that is asked for. Its number is the client's own bookkeeping and moves nothing."""
    size = _whole(parameters, "PageSize", _USUAL)
    if size > _MOST:
        raise ApiError(error(400, 20007, "Page size too large"))
    if size < 1:
        raise invalid("PageSize")
    token = parameters.get("PageToken")
    try:
        at = cursor(token) if token else None
    except ValueError:
        raise ApiError(error(400, 21481, "Invalid PageToken")) from None
    return _Paging(size, _whole(parameters, "Page", 0), at)


def _whole(parameters: Mapping[str, str], name: str, usual: int) -> int:
    text = parameters.get(name, "")
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise invalid(name)
    return int(text)


def _one_of(parameters: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    text = parameters.get(name)
    if text and text not in known:
        raise invalid(name)
    return text or None


def _there(asked: ApiRequest, found: _Found | None) -> _Found:
    if found is None:
        raise ApiError(not_found(asked.path))
    return found


def _page_of_log(rows: list[Row], paging: _Paging) -> ListPage:
    return page(LogListing(rows), range(len(rows)), lambda _: True, paging.at, paging.size)


def _usual_edge(call: Row | None) -> str:
    """The edge that is read where none is asked for: it depends on the kind of call."""
    if call is None:
        return _CARRIER
    if str(call.get("direction")).startswith("trunking"):
        return "sip_edge" if call["direction"] == "trunking-terminating" else _CARRIER
    for scheme, edge in (("client:", "sdk_edge"), ("sip:", "sip_edge")):
        if any(str(call.get(end)).startswith(scheme) for end in ("from", "to")):
            return edge
    return _CARRIER


def _list(asked: ApiRequest, key: str, found: ListPage, paging: _Paging) -> dict[str, Any]:
    """The envelope of version 2010-04-01: links are relative to the host."""
    start = paging.number * paging.size if found.rows else 0
    return {
        "first_page_uri": _link(asked, paging.size, 0, None),
        "end": start + max(len(found.rows) - 1, 0),
        "previous_page_uri": _neighbour(asked, paging, found.before, -1),
        key: found.rows,
        "uri": _link(asked, paging.size, paging.number, paging.at),
        "page_size": paging.size,
        "start": start,
        "next_page_uri": _neighbour(asked, paging, found.after, 1),
        "page": paging.number,
    }


def _insights(asked: ApiRequest, found: ListPage, paging: _Paging) -> dict[str, Any]:
    """The envelope of the newer APIs: links are absolute."""
    before = _neighbour(asked, paging, found.before, -1)
    after = _neighbour(asked, paging, found.after, 1)
    return {
        "meta": {
            "page": paging.number,
            "page_size": paging.size,
            "first_page_url": asked.origin + _link(asked, paging.size, 0, None),
            "previous_page_url": before and asked.origin + before,
            "url": asked.origin + _link(asked, paging.size, paging.number, paging.at),
            "next_page_url": after and asked.origin + after,
            "key": "events",
        },
        "events": found.rows,
    }


def _neighbour(asked: ApiRequest, paging: _Paging, at: Cursor | None, step: int) -> str | None:
    return None if at is None else _link(asked, paging.size, max(paging.number + step, 0), at)


def _link(asked: ApiRequest, size: int, number: int, at: Cursor | None) -> str:
    """The path with the request's own filters."""
    kept = [(name, value) for name, value in asked.parameters.items() if name not in _PAGING]
    kept += [("PageSize", str(size)), ("Page", str(number))]
    if at is not None:
        kept.append(("PageToken", at.token))
    return f"{asked.path}?{urlencode(kept, quote_via=quote)}"
