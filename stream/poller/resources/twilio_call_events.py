"""Twilio's Call Events: the requests of a call, and how each was answered.

- Path: `/2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}/Events.json`, the array `events`.
- Parameters: `PageSize` up to 1000.
- Paging: `next_page_uri`, relative, until null.
- A row has no id: it is its content, and its place among identical twins of one read. It does not name its
  call, the path does.
- Available about 15 minutes after the call's end, kept 30 days. Nothing in it says that it is complete.
- No windows: it is asked call by call.
- Read on the ladder of the worker's schedule for `twilio_call_event`.
"""

from __future__ import annotations

from stream.poller.resources import call_ids, twilio_pages
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Page, Resource
from stream.poller.resources.twilio_pages import KEPT_S


def of_call(account: Account, call_id: str, _edge: str | None) -> str:
    calls = f"{twilio_pages.account_url(account)}/Calls"
    return f"{calls}/{call_ids.in_path(call_id)}/Events.json?PageSize={twilio_pages.PAGE_SIZE}"


def take(body: bytes, url: str) -> Page:
    return twilio_pages.list_page(body, "events", url)


RESOURCE = Resource(source="twilio_call_event", of_call=of_call, take=take, farthest_s=KEPT_S)
