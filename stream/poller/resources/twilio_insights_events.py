"""Twilio's Voice Insights Events: what each edge of the media network saw of a call.

- Path: `/v1/Voice/{CallSid}/Events` on the Insights host.
- Parameters: `Edge`, one of `carrier_edge, sip_edge, sdk_edge, client_edge`; without it the provider's
  default for the call's type, which is not all: each applicable edge is a read of its own. `PageSize` up
  to 1000.
- Paging: `meta.next_page_url`, absolute, until null; the array's name is in `meta.key`.
- A row has no id: it is its content, and its place among identical twins of one read.
- Visible within about 90 s, kept 30 days. Nothing in it says that it is complete: it is read again while it
  still changes.
- No windows: it is asked call by call.
- Read on the ladder of the worker's schedule for `twilio_insights_event`.
"""

from __future__ import annotations

from urllib.parse import urlencode

from stream.poller.resources import call_ids, twilio_pages
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Page, Resource
from stream.poller.resources.twilio_pages import KEPT_S


def of_call(account: Account, call_id: str, edge: str | None) -> str:
    parameters = {} if edge is None else {"Edge": edge}
    parameters["PageSize"] = str(twilio_pages.PAGE_SIZE)
    return f"{account.insights_url}/v1/Voice/{call_ids.in_path(call_id)}/Events?{urlencode(parameters)}"


def take(body: bytes, _url: str) -> Page:
    return twilio_pages.insights_page(body)


RESOURCE = Resource(source="twilio_insights_event", of_call=of_call, take=take, farthest_s=KEPT_S)
