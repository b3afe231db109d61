"""Twilio's REST resources of errors and warnings: Monitor Alerts, and the Notifications of a call.

Both show entries of one log, each under its `NO` sid. Alerts are listed by time and cannot be filtered by
call; Notifications can be listed by call, and are deprecated in favour of Alerts.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from stream.poller.resources import page_json
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Page, PageError, Resource, call_id_in_path
from stream.poller.resources.twilio import (
    MAX_PAGE_SIZE,
    RETENTION_S,
    calls_url,
    list_page,
    meta_page,
    window_seconds,
)

MAX_ALERTS = 10_000
"""Twilio returns at most so many alerts of one time range. (Twilio: "Alerts subresource".)"""

OVERLAP_S = 900.0
"""An alert is listed late, by how much is not documented."""

_READING_S = 600.0
"""A range that begins at Twilio's limit would be older than it when it is asked for."""

_SID = re.compile(r"NO[0-9a-fA-F]{32}\Z")


# -- Monitor Alerts


def _alerts_url(account: Account) -> str:
    """No account is in the path: the credentials choose it."""
    return f"{account.monitor_url}/v1/Alerts"


def _window_urls(account: Account, since_us: int, until_us: int | None) -> list[str]:
    since, until = window_seconds(since_us, until_us)
    parameters = {"StartDate": since, **({} if until is None else {"EndDate": until})}
    return [f"{_alerts_url(account)}?{urlencode({**parameters, 'PageSize': str(MAX_PAGE_SIZE)})}"]


def _alert_url(account: Account, key: str, row: dict[str, Any]) -> str | None:
    """The single form has the request and its answer, too. It is read for entries about a call."""
    sid = row.get("sid")
    if not key.startswith("twilio:CA") or type(sid) is not str or _SID.match(sid) is None:
        return None
    return f"{_alerts_url(account)}/{sid}"


def _parse_alerts(body: bytes, _url: str) -> Page:
    members = page_json.members(body)
    if "meta" in members:
        return meta_page(members, "alerts")
    if "sid" in members:
        return Page([body.strip()])
    raise PageError("invalid_field", "the page is neither an alert nor a list of alerts")


ALERTS = Resource(
    source="twilio_alert",
    window_urls=_window_urls,
    parse=_parse_alerts,
    detail_url=_alert_url,
    max_rows=MAX_ALERTS,
    max_lookback_s=RETENTION_S - _READING_S,
    overlap_s=OVERLAP_S,
    refused_by=frozenset({401, 403, 404, 410}),
    on_own_host=True,
)
"""The errors and warnings of an account. Both ends of a time range are included, in whole seconds.

The order of the rows is not documented. Nothing older than 30 days can be listed.
"""


# -- Notifications of a call


def _notifications_url(account: Account, call_id: str, _edge: str | None) -> str:
    return f"{calls_url(account)}/{call_id_in_path(call_id)}/Notifications.json?PageSize={MAX_PAGE_SIZE}"


def _parse_notifications(body: bytes, url: str) -> Page:
    return list_page(page_json.members(body), "notifications", url)


NOTIFICATIONS = Resource(
    source="twilio_notification",
    call_url=_notifications_url,
    parse=_parse_notifications,
    max_lookback_s=RETENTION_S,
    refused_by=frozenset({403, 410}),
)
"""The errors and warnings of one call. The list may vanish, and a 410 says so. A 404 concerns the call, which
the provider does not know: the notifications of other calls are read.
"""
