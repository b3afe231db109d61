"""Telnyx' REST resources: call events and webhook deliveries.

Pages are numbered, and no link is followed: the next page is the same URL with the next `page[number]`, up to
`meta.total_pages` or an empty page. Without `meta`, a page that is not full is the last. Rows that move
between two pages change `meta.total_results`.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from stream.core.timestamps import utc
from stream.poller.resources import page_json
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Page, Resource, checked_call_id

MAX_PAGE_SIZE = 250

_CALL_EVENT_TYPE = re.compile(r"(?:call|conference|streaming|siprec)[._]")
"""How the event types of calls and conferences start; version 1 has `call_answered`."""

_Parameters = list[tuple[str, str]]


# -- call events


def _call_events_url(account: Account, call_id: str, _edge: str | None) -> str:
    filters = [("filter[leg_id]", checked_call_id(call_id))]
    return _first_page_url(f"{account.api_url}/call_events", filters)


def _call_events_window(account: Account, since_us: int, _until_us: int | None) -> list[str]:
    filters = [("filter[occurred_at][gte]", utc(since_us))]
    return [_first_page_url(f"{account.api_url}/call_events", filters)]


def parse_page(body: bytes, url: str) -> Page:
    members = page_json.members(body)
    rows = page_json.elements(members, "data")
    meta = page_json.value(members, "meta")
    meta = meta if type(meta) is dict else {}
    parameters = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    number = _number(dict(parameters).get("page[number]")) or 1
    has_next = _has_next_page(rows, meta, number, dict(parameters))
    next_url = _with_page_number(url, parameters, number + 1) if has_next else None
    return Page(rows, next_url, _number(meta.get("total_results")))


CALL_EVENTS = Resource(
    source="telnyx_call_event",
    call_url=_call_events_url,
    window_urls=_call_events_window,
    parse=parse_page,
    max_lookback_s=24 * 3600.0,
)
"""The commands of a call and the webhooks that were sent for it. A row has no id.

Filters have `leg_id` and `occurred_at`, rows `call_leg_id` and `event_timestamp`. A filter takes exactly one
operator, so rows after a window's end come too. Without a leg or a session Telnyx searches only the last 24
hours; older rows must be read by leg.
"""


# -- webhook deliveries


def _deliveries_window(account: Account, since_us: int, until_us: int | None) -> list[str]:
    filters = [("filter[started_at][gte]", utc(since_us))]
    if until_us is not None:
        filters.append(("filter[started_at][lte]", utc(until_us)))
    return [_first_page_url(f"{account.api_url}/webhook_deliveries", filters)]


def _parse_deliveries(body: bytes, url: str) -> Page:
    page = parse_page(body, url)
    kept = [row for row in page.rows if _may_be_of_call(row)]
    return page._replace(rows=kept, left_out=len(page.rows) - len(kept))


def _may_be_of_call(row: bytes) -> bool:
    """An unreadable row is kept: it becomes a dead letter instead of being skipped."""
    delivery = page_json.decode(row)
    webhook = delivery.get("webhook") if type(delivery) is dict else None
    event_type = webhook.get("event_type") if type(webhook) is dict else None
    if type(webhook) is not dict or type(event_type) is not str or _CALL_EVENT_TYPE.match(event_type):
        return True
    payload = webhook.get("payload")
    event = payload if type(payload) is dict and payload else webhook
    return bool(event.get("call_leg_id") or event.get("conference_id"))


WEBHOOK_DELIVERIES = Resource(
    source="telnyx_webhook_delivery", window_urls=_deliveries_window, parse=_parse_deliveries
)
"""Whether each webhook was delivered, and after how many attempts. A row has an `id`, and changes meanwhile.

It lists the webhooks of every product, with the texts of messages. Its filters take whole event types only,
so rows of other products are dropped here and counted: they do not name a call.
"""


# -- numbered pages


def _first_page_url(url: str, filters: _Parameters) -> str:
    return f"{url}?{urlencode([*filters, ('page[number]', '1'), ('page[size]', str(MAX_PAGE_SIZE))])}"


def _has_next_page(rows: list[bytes], meta: dict[str, Any], number: int, parameters: dict[str, str]) -> bool:
    pages = _number(meta.get("total_pages"))
    if pages is not None:
        return bool(rows) and max(number, _number(meta.get("page_number")) or 0) < pages
    size = _number(parameters.get("page[size]")) or MAX_PAGE_SIZE
    return len(rows) >= size


def _with_page_number(url: str, parameters: _Parameters, number: int) -> str:
    changed = [(name, str(number) if name == "page[number]" else text) for name, text in parameters]
    return urlunsplit(urlsplit(url)._replace(query=urlencode(changed)))


def _number(value: Any) -> int | None:
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 9:
        value = int(value)
    return value if type(value) is int and value >= 0 else None
