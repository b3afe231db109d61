"""What is asked of a provider about one call, and what it came to: the records of the fetches topic, and the
result that a poller lands behind the rows.

The rule of this file: it names things. When a fetch is due is `schedule`'s business, how it is done the
poller's.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from stream.core.events import DecodeError, Envelope
from stream.core.identity import name_id
from stream.core.sources import RETRY_SCHEDULES

FETCH_RESULT = "fetch_result"
"""The `source` of an envelope that a poller lands behind the rows of a fetch: no delivery of a provider."""

PRIORITIES: tuple[str, ...] = ("heal", "terminal", "freshness", "backfill")
"""Who goes first when a budget is short."""

REASONS: tuple[str, ...] = ("ended", "gap", "overdue", "refresh")

ANSWERED = frozenset({"success", "empty", "not_ready", "not_found"})
"""Outcomes that are the provider's answer about the call. After any other nothing is known of it."""

OUTCOMES: tuple[str, ...] = (
    *("success", "empty", "not_ready", "not_found", "throttled", "auth_error"),
    *("client_error", "server_error", "network_error", "rubbish", "deferred", "no_account"),
)
"""`rubbish`: an answer that is not what the resource answers; `deferred`: too many wait already, ask again;
`no_account`: no credentials for the call's account."""

_CONTENT = re.compile(r"[0-9a-f]{1,16}\Z")


class FetchRequest(msgspec.Struct, kw_only=True):
    """Please read `source` of the call `key` now: a record of the fetches topic.

    - `account`: the provider's id as the call's records have it, None where nobody said it.
    - `edge`: of Voice Insights; None elsewhere, and for the provider's default.
    - `due_at`: since when it is due; `attempt` counts from 1 for each (source, edge, reason).
    """

    v: int = 1
    id: str = ""
    key: str
    account: str | None
    source: str
    edge: str | None
    reason: str
    due_at: str
    attempt: int
    priority: str


def request_id(key: str, source: str, edge: str | None, reason: str, attempt: int) -> str:
    """The id of a request: a function of what it asks for, so that a repetition is known as one."""
    return name_id("fetch", key, source, edge, reason, attempt)


class FetchResult(msgspec.Struct, kw_only=True, forbid_unknown_fields=False):
    """What a fetch came to: the body of its result's envelope. The rows lie before it on the partition.

    - `fetch_id`, `key`, `source`, `edge`, `reason`, `attempt`: the request's.
    - `outcome`: one of OUTCOMES; `rows`: how many were landed.
    - `complete`: the resource says by itself that nothing will follow (a terminal status, a finished
      summary).
    - `content`: 16 hex digits over all rows, so that two reads can be told apart; None without an answer.
    """

    fetch_id: str
    key: str
    source: str
    edge: str | None
    reason: str
    attempt: int
    outcome: str
    rows: int
    complete: bool
    content: str | None


def result_of(envelope: Envelope) -> FetchResult:
    """The result in an envelope. Raises DecodeError."""
    body: dict[str, Any] = envelope.body
    try:
        result = msgspec.convert(body, FetchResult)
    except msgspec.ValidationError as error:
        raise DecodeError("invalid_field", f"a fetch's result: {error}") from None
    if result.source not in RETRY_SCHEDULES or result.outcome not in OUTCOMES:
        raise DecodeError("invalid_field", "a fetch's result names no known source or outcome")
    if result.content is not None and _CONTENT.match(result.content) is None:
        # It becomes a part of the call's state, where a greater number could not be stored.
        raise DecodeError("invalid_field", "a fetch's result whose content is not 16 hex digits")
    return result
