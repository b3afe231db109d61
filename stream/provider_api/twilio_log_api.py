"""Twilio's error log: Monitor Alerts, and the notifications of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from stream.provider_api.http_types import ApiRequest, ApiResponse, Route, Row
from stream.provider_api.twilio_answers import (
    ACCOUNT,
    TWILIO,
    existing,
    filter_second,
    meta_list,
    one_of,
    paging_of,
    uri_list,
)
from stream.provider_api.twilio_paging import Cursor, ListPage, page_of_log


class AlertFilters(NamedTuple):
    """Alerts of a level (None: any), created in a range of seconds since 1970, both included (None: open)."""

    level: str | None
    since_s: int | None
    until_s: int | None


class TwilioErrorLog(Protocol):
    """The errors and warnings of one account, newest first; see `TwilioVoice`."""

    def alerts(self, wanted: AlertFilters, at: Cursor | None, size: int, now_us: int) -> ListPage: ...
    def alert(self, sid: str, now_us: int) -> Row | None: ...
    def notifications(self, sid: str, now_us: int) -> list[Row] | None: ...


class TwilioLogApi:
    """Responds to each path. Raises ApiError. `admit`: see `TwilioApi`."""

    def __init__(self, admit: Callable[[ApiRequest], TwilioErrorLog]) -> None:
        self._admit = admit

    def routes(self) -> list[Route]:
        return [
            Route(TWILIO, "alerts", "/v1/Alerts", self.alerts),
            Route(TWILIO, "alert", "/v1/Alerts/{alert}", self.alert),
            Route(TWILIO, "notifications", ACCOUNT + "/Calls/{call}/Notifications.json", self.notifications),
        ]

    def alerts(self, request: ApiRequest) -> ApiResponse:
        """The account's errors and warnings, newest first."""
        store = self._admit(request)
        paging = paging_of(request.parameters)
        wanted = AlertFilters(
            level=one_of(request.parameters, "LogLevel", ("error", "warning", "notice", "debug")),
            since_s=filter_second(request.parameters, "StartDate", 0),
            until_s=filter_second(request.parameters, "EndDate", 1),
        )
        found = store.alerts(wanted, paging.at, paging.size, request.now_us)
        return ApiResponse(meta_list(request, "alerts", found, paging))

    def alert(self, request: ApiRequest) -> ApiResponse:
        """One alert, with the request that it is about and its answer."""
        store = self._admit(request)
        return ApiResponse(existing(request, store.alert(request.names["alert"], request.now_us)))

    def notifications(self, request: ApiRequest) -> ApiResponse:
        """A call's errors and warnings."""
        store = self._admit(request)
        paging = paging_of(request.parameters)
        level = one_of(request.parameters, "Log", ("0", "1"))
        rows = existing(request, store.notifications(request.names["call"], request.now_us))
        of_level = [row for row in rows if level in (None, row["log"])]
        found = page_of_log(of_level, paging.at, paging.size)
        return ApiResponse(uri_list(request, "notifications", found, paging))
