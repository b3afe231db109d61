"""Twilio's resources: Calls, their request log and notifications, Voice Insights, and Monitor Alerts.

Paths, envelopes and errors are as Twilio documents them; an error's code is a number of Twilio's error
dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from stream.simulator.calls.time_formats import filter_seconds
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
from stream.simulator.rest.twilio_calls import call_filters
from stream.simulator.rest.twilio_paging import (
    Cursor,
    ListPage,
    created_after,
    cursor,
    page_of_log,
    page_of_rows,
)

TWILIO = "twilio"
_Found = TypeVar("_Found")
EDGES = ("unknown_edge", "carrier_edge", "sip_edge", "sdk_edge", "client_edge")
_CARRIER = "carrier_edge"
_ACCOUNT = "/2010-04-01/Accounts/{account}"
_PAGING = ("PageSize", "Page", "PageToken")
_MOST, _USUAL = 1000, 50
MOST_ALERTS = 10_000
"""One time range has no more, whatever the pages. (Twilio: "Alerts subresource".)"""


def error(status: int, code: int, message: str, *headers: tuple[str, str]) -> ApiResponse:
    body = {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return ApiResponse(body, status, headers)


def not_found(path: str) -> ApiResponse:
    return error(404, 20404, f"The requested resource {path} was not found")


def invalid(name: str) -> ApiError:
    return ApiError(error(400, 20001, f"Invalid parameter {name}"))


TWILIO_ERRORS = ErrorResponses(
    not_found=not_found,
    not_allowed=lambda: error(405, 20004, "Method not allowed", ("Allow", "GET")),
    unauthenticated=lambda: error(
        401, 20003, "Authenticate", ("WWW-Authenticate", 'Basic realm="Twilio API"')
    ),
    too_many=lambda after_s: error(429, 20429, "Too Many Requests", ("Retry-After", str(after_s))),
    broken=lambda: error(500, 20500, "An internal server error has occurred"),
)


class TwilioApi:
    """Responds to each path. Raises ApiError."""

    def __init__(self, resources: ProviderResources, credentials: ApiCredentials) -> None:
        self._resources = resources
        self._credentials = credentials

    def routes(self) -> list[Route]:
        return [
            Route(TWILIO, "calls", _ACCOUNT + "/Calls.json", self.calls),
            Route(TWILIO, "call", _ACCOUNT + "/Calls/{call}.json", self.call),
            Route(TWILIO, "request_log", _ACCOUNT + "/Calls/{call}/Events.json", self.call_events),
            Route(TWILIO, "insights", "/v1/Voice/{call}/Events", self.insights),
            Route(TWILIO, "summary", "/v1/Voice/{call}/Summary", self.summary),
            Route(TWILIO, "alerts", "/v1/Alerts", self.alerts),
            Route(TWILIO, "alert", "/v1/Alerts/{alert}", self.alert),
            Route(TWILIO, "notifications", _ACCOUNT + "/Calls/{call}/Notifications.json", self.notifications),
        ]

    def calls(self, request: ApiRequest) -> ApiResponse:
        """The account's calls, newest first."""
        self._authenticate(request)
        paging = _paging(request.parameters)
        try:
            wanted = call_filters(request.parameters)
        except ValueError as name:
            raise invalid(str(name)) from None
        calls = self._resources.calls(request.now_us)
        found = page_of_rows(calls, wanted.among(calls), wanted.show, paging.at, paging.size)
        return ApiResponse(_list(request, "calls", found, paging))

    def call(self, request: ApiRequest) -> ApiResponse:
        """One call."""
        self._authenticate(request)
        return ApiResponse(_existing(request, self._resources.call(request.names["call"], request.now_us)))

    def call_events(self, request: ApiRequest) -> ApiResponse:
        """A call's request log, as far as it is available."""
        self._authenticate(request)
        paging = _paging(request.parameters)
        rows = _existing(request, self._resources.call_events(request.names["call"], request.now_us))
        return ApiResponse(_list(request, "events", page_of_log(rows, paging.at, paging.size), paging))

    def insights(self, request: ApiRequest) -> ApiResponse:
        """Voice Insights' events of one edge of a call. Rows without an edge come with the carrier's."""
        self._authenticate(request)
        paging = _paging(request.parameters)
        edge = _one_of(request.parameters, "Edge", EDGES)
        rows = _existing(request, self._resources.insights(request.names["call"], request.now_us))
        edge = edge or _default_edge(self._resources.call(request.names["call"], request.now_us))
        of_edge = [row for row in rows if (row.get("edge") or _CARRIER) == edge]
        found = page_of_log(of_edge, paging.at, paging.size)
        return ApiResponse(_meta_list(request, "events", found, paging))

    def summary(self, request: ApiRequest) -> ApiResponse:
        """A call's summary. The complete one does not exist before it is complete."""
        self._authenticate(request)
        state = _one_of(request.parameters, "ProcessingState", ("complete", "partial", "all"))
        row = _existing(request, self._resources.summary(request.names["call"], request.now_us))
        if state == "complete" and row.get("processing_state") != "complete":
            raise ApiError(not_found(request.path))
        return ApiResponse(row)

    def alerts(self, request: ApiRequest) -> ApiResponse:
        """The account's errors and warnings, newest first, the newest MOST_ALERTS of a time range."""
        self._authenticate(request)
        paging = _paging(request.parameters)
        level = _one_of(request.parameters, "LogLevel", ("error", "warning", "notice", "debug"))
        since_s = _second(request.parameters, "StartDate", 0)
        until_s = _second(request.parameters, "EndDate", 1)
        alerts = self._resources.alerts(request.now_us)
        first = 0 if until_s is None else created_after(alerts, until_s)
        end = len(alerts) if since_s is None else created_after(alerts, since_s - 1)
        among = range(first, min(end, first + MOST_ALERTS))

        def shows(row: Row) -> bool:
            return level in (None, row["log_level"])

        found = page_of_rows(alerts, among, shows, paging.at, paging.size)
        return ApiResponse(_meta_list(request, "alerts", found, paging))

    def alert(self, request: ApiRequest) -> ApiResponse:
        """One alert, with the request that it is about and its answer."""
        self._authenticate(request)
        return ApiResponse(_existing(request, self._resources.alert(request.names["alert"], request.now_us)))

    def notifications(self, request: ApiRequest) -> ApiResponse:
        """A call's errors and warnings."""
        self._authenticate(request)
        paging = _paging(request.parameters)
        level = _one_of(request.parameters, "Log", ("0", "1"))
        rows = _existing(request, self._resources.notifications(request.names["call"], request.now_us))
        of_level = [row for row in rows if level in (None, row["log"])]
        found = page_of_log(of_level, paging.at, paging.size)
        return ApiResponse(_list(request, "notifications", found, paging))

    def _authenticate(self, request: ApiRequest) -> None:
        """First of all, so that nobody learns without credentials what exists."""
        account = self._resources.twilio_account
        if not self._credentials.twilio_admits(request.authorization, account):
            raise ApiError(TWILIO_ERRORS.unauthenticated())
        if request.names.get("account", account) != account:
            raise ApiError(not_found(request.path))


class _Paging(NamedTuple):
    size: int
    number: int
    at: Cursor | None


def _paging(parameters: Mapping[str, str]) -> _Paging:
    """The requested page. Its number is only repeated in links: the token alone says where it begins."""
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


def _second(parameters: Mapping[str, str], name: str, end: int) -> int | None:
    """A filter's time in seconds since 1970: of a day its first second, or (`end` 1) its last."""
    text = parameters.get(name)
    try:
        return filter_seconds(text)[end] if text else None
    except ValueError:
        raise invalid(name) from None


def _existing(request: ApiRequest, found: _Found | None) -> _Found:
    if found is None:
        raise ApiError(not_found(request.path))
    return found


def _default_edge(call: Row | None) -> str:
    """The edge of a request that names none: it depends on the kind of call."""
    if call is None:
        return _CARRIER
    for scheme, edge in (("client:", "sdk_edge"), ("sip:", "sip_edge")):
        if any(str(call.get(end)).startswith(scheme) for end in ("from", "to")):
            return edge
    return _CARRIER


def _list(request: ApiRequest, key: str, found: ListPage, paging: _Paging) -> dict[str, Any]:
    """The envelope of version 2010-04-01: links are relative to the host."""
    start = paging.number * paging.size if found.rows else 0
    first, previous, this, following = _links(request, found, paging)
    return {
        "first_page_uri": first,
        "end": start + max(len(found.rows) - 1, 0),
        "previous_page_uri": previous,
        key: found.rows,
        "uri": this,
        "page_size": paging.size,
        "start": start,
        "next_page_uri": following,
        "page": paging.number,
    }


def _meta_list(request: ApiRequest, key: str, found: ListPage, paging: _Paging) -> dict[str, Any]:
    """The envelope of the newer APIs: links are absolute."""
    links = [link and request.origin + link for link in _links(request, found, paging)]
    first, previous, this, following = links
    return {
        "meta": {
            "page": paging.number,
            "page_size": paging.size,
            "first_page_url": first,
            "previous_page_url": previous,
            "url": this,
            "next_page_url": following,
            "key": key,
        },
        key: found.rows,
    }


def _links(request: ApiRequest, found: ListPage, paging: _Paging) -> list[str | None]:
    """The paths of the first, the previous, this and the next page, with the request's own filters."""
    kept = [(name, value) for name, value in request.parameters.items() if name not in _PAGING]

    def link(number: int, at: Cursor | None) -> str:
        said = [*kept, ("PageSize", str(paging.size)), ("Page", str(number))]
        if at is not None:
            said.append(("PageToken", at.token))
        return f"{request.path}?{urlencode(said, quote_via=quote)}"

    return [
        link(0, None),
        found.before and link(max(paging.number - 1, 0), found.before),
        link(paging.number, paging.at),
        found.after and link(paging.number + 1, found.after),
    ]
