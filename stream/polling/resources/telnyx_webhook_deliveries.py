"""Telnyx' webhook_deliveries: whether each webhook arrived, after how many attempts.

- Path: `/v2/webhook_deliveries`; the base URL has `/v2`. The array `data`.
- Parameters: `filter[started_at][gte]`, `filter[started_at][lte]`; `page[size]` up to 250.
- Paging: `page[number]`, to `meta.total_pages`.
- A row is its `id`. It changes while attempts go on.
- Nothing in it says that it is complete; it is not asked about one call.
- Windows reach back without a documented limit.
- Read by window only: no ladder.
"""

from __future__ import annotations

from stream.core.instants import utc
from stream.polling.account import Account
from stream.polling.resource import Resource
from stream.polling.resources import telnyx_pages


def of_window(account: Account, since_us: int, until_us: int | None) -> list[str]:
    filters = [("filter[started_at][gte]", utc(since_us))]
    if until_us is not None:
        filters.append(("filter[started_at][lte]", utc(until_us)))
    return [telnyx_pages.first(f"{account.api_url}/webhook_deliveries", filters)]


RESOURCE = Resource(source="telnyx_webhook_delivery", of_window=of_window, take=telnyx_pages.take)
