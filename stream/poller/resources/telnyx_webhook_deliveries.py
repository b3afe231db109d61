"""Telnyx' webhook_deliveries: whether each webhook arrived, after how many attempts.

- Path: `/v2/webhook_deliveries`; the base URL has `/v2`. The array `data`.
- Parameters: `filter[started_at][gte]`, `filter[started_at][lte]`; `page[size]` up to 250.
- Paging: `page[number]`, to `meta.total_pages`.
- A row is its `id`. It changes while attempts go on.
- Nothing in it says that it is complete; it is not asked about one call.
- Windows reach back without a documented limit.
- Read by window only: no ladder.
- It lists what was sent of every product, messages and their texts too. Filters take whole event types only,
  so rows of other products are left out here, and counted: they name no call.
"""

from __future__ import annotations

import re

from stream.core.timestamps import utc
from stream.poller.resources import rows, telnyx_pages
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Page, Resource

_OF_CALLS = re.compile(r"(?:call|conference|streaming|siprec)[._]")
"""How the events of calls and conferences begin; version 1 has `call_answered`."""


def of_window(account: Account, since_us: int, until_us: int | None) -> list[str]:
    filters = [("filter[started_at][gte]", utc(since_us))]
    if until_us is not None:
        filters.append(("filter[started_at][lte]", utc(until_us)))
    return [telnyx_pages.first(f"{account.api_url}/webhook_deliveries", filters)]


def take(body: bytes, url: str) -> Page:
    page = telnyx_pages.take(body, url)
    kept = [row for row in page.rows if _is_of_a_call(row)]
    return page._replace(rows=kept, left_out=len(page.rows) - len(kept))


def _is_of_a_call(row: bytes) -> bool:
    """Whether it is, or may be: what cannot be read is not passed over."""
    delivery = rows.read(row)
    webhook = delivery.get("webhook") if type(delivery) is dict else None
    event_type = webhook.get("event_type") if type(webhook) is dict else None
    if type(webhook) is not dict or type(event_type) is not str or _OF_CALLS.match(event_type):
        return True
    payload = webhook.get("payload")
    said = payload if type(payload) is dict and payload else webhook
    return bool(said.get("call_leg_id") or said.get("conference_id"))


RESOURCE = Resource(source="telnyx_webhook_delivery", of_window=of_window, take=take)
