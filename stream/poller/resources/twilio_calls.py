"""Twilio's Calls: what each call is now.

- Path: `/2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}.json`, one object; by window
  `/2010-04-01/Accounts/{AccountSid}/Calls.json`, the array `calls`.
- Parameters: `EndTime>`, `EndTime<`, `StartTime>`, `StartTime<` with whole seconds; the inequality belongs to
  the name and means "or equal". `PageSize` up to 1000. A window is asked by both: a call that goes on has no
  end, one that failed early no start.
- Paging: `next_page_uri`, relative, until null. Rows move while one pages: windows overlap.
- A row is (`sid`, `status`): the same with a price is an update.
- Complete: the status is terminal, and where there was a talk the price is there. Eventually consistent: at
  first it may be older than the callback.
- Windows reach back without limit.
- Read at the call's end and on the ladder of the worker's schedule for `twilio_call`.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from stream.core.statuses import TERMINAL, status_of
from stream.poller.resources import call_ids, rows, twilio_pages
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Page, PageError, Resource
from stream.sources import fields


def of_call(account: Account, call_id: str, _edge: str | None) -> str:
    return f"{twilio_pages.account_url(account)}/Calls/{call_ids.in_path(call_id)}.json"


def of_window(account: Account, since_us: int, until_us: int | None) -> list[str]:
    return [_window(account, name, since_us, until_us) for name in ("EndTime", "StartTime")]


def _window(account: Account, name: str, since_us: int, until_us: int | None) -> str:
    parameters = {f"{name}>": twilio_pages.whole_second(since_us)}
    if until_us is not None:
        parameters[f"{name}<"] = twilio_pages.whole_second(until_us, up=True)
    parameters["PageSize"] = str(twilio_pages.PAGE_SIZE)
    return f"{twilio_pages.account_url(account)}/Calls.json?{urlencode(parameters)}"


def take(body: bytes, url: str) -> Page:
    members = rows.members(body)
    if "calls" in members:
        return twilio_pages.list_of(members, "calls", url)
    if "sid" in members:
        return Page([body.strip()])
    raise PageError("invalid_field", "the page is neither a call nor a list of calls")


def is_complete(found: Sequence[bytes]) -> bool:
    return bool(found) and all(map(_is_final, found))


def _is_final(row: bytes) -> bool:
    call = rows.read(row)
    if type(call) is not dict:
        return False
    status, duration_s = call.get("status"), fields.whole_number(call.get("duration"))
    if type(status) is not str or status_of(status) not in TERMINAL:
        return False
    return not duration_s or call.get("price") is not None


RESOURCE = Resource(
    source="twilio_call", of_call=of_call, of_window=of_window, take=take, is_complete=is_complete
)
