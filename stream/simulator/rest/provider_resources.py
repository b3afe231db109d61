"""What the simulated providers' resources are read from, and how they are mounted.

A state keeps its rows as sequences, newest first; here they become the stores that
`stream.provider_api` asks, behind the simulated credentials.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stream.provider_api.http_types import ApiError, ApiRequest, Route, Row
from stream.provider_api.telnyx_api import TELNYX_ERRORS, TelnyxApi, TelnyxDeliveriesApi
from stream.provider_api.telnyx_filters import LogFilters, NumberedPage, numbered_page
from stream.provider_api.twilio_answers import TWILIO_ERRORS, not_found
from stream.provider_api.twilio_api import TwilioApi
from stream.provider_api.twilio_calls import CallFilters
from stream.provider_api.twilio_log_api import AlertFilters, TwilioLogApi
from stream.provider_api.twilio_paging import Cursor, ListPage, created_after, page_of_rows
from stream.simulator.rest.credentials import ApiCredentials

MOST_ALERTS = 10_000
"""One time range has at most that many, whatever the pages. (Twilio: "Alerts subresource".)"""


class ProviderResources(Protocol):
    """The rows that can be read at a moment (`now_us`: microseconds since 1970, wall clock).

    Rows are as the providers write them, newest first by `date_created`, `event_timestamp` or `started_at`;
    a late row is at the position of its time. A sequence may make its rows lazily, since few are looked at.
    A call has no rows of a kind yet: an empty list or None for a summary; no such call: None.
    """

    twilio_account: str
    telnyx_account: str

    def calls(self, now_us: int) -> Sequence[Row]: ...
    def call(self, sid: str, now_us: int) -> Row | None: ...
    def call_events(self, sid: str, now_us: int) -> list[Row] | None: ...
    def insights(self, sid: str, now_us: int) -> list[Row] | None: ...
    def summary(self, sid: str, now_us: int) -> Row | None: ...
    def alerts(self, now_us: int) -> Sequence[Row]: ...
    def alert(self, sid: str, now_us: int) -> Row | None: ...
    def notifications(self, sid: str, now_us: int) -> list[Row] | None: ...
    def telnyx_events(self, now_us: int) -> Sequence[Row]: ...
    def telnyx_leg(self, leg_id: str, now_us: int) -> list[Row]: ...
    def webhook_deliveries(self, now_us: int) -> Sequence[Row]: ...


def provider_routes(resources: ProviderResources, credentials: ApiCredentials) -> list[Route]:
    twilio, telnyx = _TwilioRows(resources), _TelnyxRows(resources)
    account = resources.twilio_account

    def admit_twilio(request: ApiRequest) -> _TwilioRows:
        if not credentials.twilio_admits(request.authorization, account):
            raise ApiError(TWILIO_ERRORS.unauthenticated())
        if request.names.get("account", account) != account:
            raise ApiError(not_found(request.path))
        return twilio

    def admit_telnyx(request: ApiRequest) -> _TelnyxRows:
        if not credentials.telnyx_admits(request.authorization):
            raise ApiError(TELNYX_ERRORS.unauthenticated())
        return telnyx

    return [
        *TwilioApi(admit_twilio).routes(),
        *TwilioLogApi(admit_twilio).routes(),
        *TelnyxApi(admit_telnyx).routes(),
        *TelnyxDeliveriesApi(admit_telnyx).routes(),
    ]


class _TwilioRows:
    """A TwilioVoice and TwilioErrorLog of sequences."""

    def __init__(self, resources: ProviderResources) -> None:
        self._resources = resources
        self.call = resources.call
        self.call_events = resources.call_events
        self.insights = resources.insights
        self.summary = resources.summary
        self.alert = resources.alert
        self.notifications = resources.notifications

    def calls(self, wanted: CallFilters, at: Cursor | None, size: int, now_us: int) -> ListPage:
        rows = self._resources.calls(now_us)
        return page_of_rows(rows, wanted.among(rows), wanted.show, at, size)

    def alerts(self, wanted: AlertFilters, at: Cursor | None, size: int, now_us: int) -> ListPage:
        """The newest MOST_ALERTS of a time range."""
        rows, (level, since_s, until_s) = self._resources.alerts(now_us), wanted
        first = 0 if until_s is None else created_after(rows, until_s)
        end = len(rows) if since_s is None else created_after(rows, since_s - 1)

        def shows(row: Row) -> bool:
            return level in (None, row["log_level"])

        return page_of_rows(rows, range(first, min(end, first + MOST_ALERTS)), shows, at, size)

    def completeness(self) -> None:
        return None


class _TelnyxRows:
    """A TelnyxLog and TelnyxDeliveries of sequences."""

    def __init__(self, resources: ProviderResources) -> None:
        self._resources = resources

    def call_events(self, wanted: LogFilters, number: int, size: int, now_us: int) -> NumberedPage:
        leg = wanted.values.get("leg_id")
        rows = self._resources.telnyx_leg(leg, now_us) if leg else self._resources.telnyx_events(now_us)
        return numbered_page(rows, "event_timestamp", wanted, number, size)

    def webhook_deliveries(self, wanted: LogFilters, number: int, size: int, now_us: int) -> NumberedPage:
        rows = self._resources.webhook_deliveries(now_us)
        return numbered_page(rows, "started_at", wanted, number, size)

    def completeness(self) -> None:
        return None
