"""Telnyx' call_events: the commands of a call and the webhooks that were sent of it.

- Path: `/v2/call_events`; the base URL has `/v2`. The array `data`.
- Parameters: the `filters` below, in deepObject style; `page[size]` up to 250.
- Paging: `page[number]`, to `meta.total_pages`.
- A row has no id: it is its content without `metadata.attempt` and `.status`, and its place among identical
  twins of one read. Filters say `leg_id` and `occurred_at`, rows `call_leg_id` and `event_timestamp`.
- Nothing in it says that it is complete.
- Windows are one-sided, exactly one operator: rows behind the window's end come too. Without a leg or a
  session only the last 24 hours are searched; what is older must be asked by leg.
- Read on the ladder of the worker's schedule for `telnyx_call_event`.
"""

from __future__ import annotations

from stream.core.timestamps import utc
from stream.poller.resources import call_ids, telnyx_pages
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.resources.telnyx_pages import Parameters

OPERATORS = ("eq", "gt", "gte", "lt", "lte")
PRODUCTS = ("call_control", "fax", "texml")
TYPES = ("command", "webhook")
SHORTEST_APPLICATION_NAME = 3


def filters(
    *,
    leg_id: str | None = None,
    application_session_id: str | None = None,
    connection_id: str | None = None,
    product: str | None = None,
    from_: str | None = None,
    to: str | None = None,
    failed: bool | None = None,
    type_: str | None = None,
    name: str | None = None,
    occurred_at: tuple[str, int] | None = None,
    application_name_contains: str | None = None,
    outbound_voice_profile_id: str | None = None,
) -> Parameters:
    """Every documented filter. Raises ValueError where the provider would refuse one.

    - `failed`: that the webhook's delivery failed, not the call.
    - `occurred_at`: (one of OPERATORS, microseconds since 1970); there is room for one.
    - `application_name_contains`: at least three characters.
    """
    if product not in (None, *PRODUCTS) or type_ not in (None, *TYPES):
        raise ValueError("no such product or type")
    if application_name_contains is not None and len(application_name_contains) < SHORTEST_APPLICATION_NAME:
        raise ValueError(
            f"an application's name is searched by {SHORTEST_APPLICATION_NAME} characters or more"
        )
    said = {
        "[leg_id]": leg_id,
        "[application_session_id]": application_session_id,
        "[connection_id]": connection_id,
        "[product]": product,
        "[from]": from_,
        "[to]": to,
        "[failed]": None if failed is None else str(failed).lower(),
        "[type]": type_,
        "[name]": name,
        "[application_name][contains]": application_name_contains,
        "[outbound.outbound_voice_profile_id]": outbound_voice_profile_id,
    }
    if occurred_at is not None:
        operator, us = occurred_at
        if operator not in OPERATORS:
            raise ValueError("no such operator")
        said[f"[occurred_at][{operator}]"] = utc(us)
    return [(f"filter{name}", text) for name, text in said.items() if text is not None]


def of_call(account: Account, call_id: str, _edge: str | None) -> str:
    return telnyx_pages.first(f"{account.api_url}/call_events", filters(leg_id=call_ids.in_query(call_id)))


def of_window(account: Account, since_us: int, _until_us: int | None) -> list[str]:
    since = filters(occurred_at=("gte", since_us))
    return [telnyx_pages.first(f"{account.api_url}/call_events", since)]


RESOURCE = Resource(
    source="telnyx_call_event",
    of_call=of_call,
    of_window=of_window,
    take=telnyx_pages.take,
    farthest_s=24 * 3600.0,
)
