"""Twilio's Voice Insights call summary: what a call came to.

- Path: `/v1/Voice/{CallSid}/Summary` on the Insights host, one object.
- Parameters: `ProcessingState=complete`: partial ones are filled with guesses.
- Paging: none.
- A row is its content: a summary may still change, and each version is an event.
- Complete: `processing_state` is `complete`, about 30 minutes after the end.
- No windows: it is asked call by call.
- Read on the ladder of the worker's schedule for `twilio_call_summary`.
"""

from __future__ import annotations

from collections.abc import Sequence

from stream.poller.resources import call_ids, rows
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Page, PageError, Resource
from stream.poller.resources.twilio_pages import KEPT_S


def of_call(account: Account, call_id: str, _edge: str | None) -> str:
    return f"{account.insights_url}/v1/Voice/{call_ids.in_path(call_id)}/Summary?ProcessingState=complete"


def take(body: bytes, _url: str) -> Page:
    members = rows.members(body)
    if "call_sid" not in members and "processing_state" not in members:
        raise PageError("invalid_field", "the page is no call summary")
    return Page([body.strip()])


def is_complete(found: Sequence[bytes]) -> bool:
    return bool(found) and all(map(_is_final, found))


def _is_final(row: bytes) -> bool:
    summary = rows.read(row)
    return type(summary) is dict and summary.get("processing_state") == "complete"


RESOURCE = Resource(
    source="twilio_call_summary", of_call=of_call, take=take, is_complete=is_complete, farthest_s=KEPT_S
)
