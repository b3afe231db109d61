"""Requests to read a provider's resource for one call, and their results.

A request is a record of the fetches topic. The poller writes the result after the rows that it read.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from stream.core.events import DecodeError, Envelope
from stream.core.identity import name_id
from stream.core.sources import RETRY_SCHEDULES

FETCH_RESULT = "fetch_result"
"""The `source` of a result's envelope. It is not a delivery of a provider."""

PRIORITIES: tuple[str, ...] = ("heal", "terminal", "freshness", "backfill")
"""Highest first: which requests are sent first when the rate limit is reached."""

REASONS: tuple[str, ...] = ("ended", "gap", "overdue", "refresh")

ANSWERED = frozenset({"success", "empty", "not_ready", "not_found"})
"""Outcomes that are an answer about the call. After any other, nothing is known."""

OUTCOMES: tuple[str, ...] = (
    *("success", "empty", "not_ready", "not_found", "throttled", "auth_error"),
    *("client_error", "server_error", "network_error", "rubbish", "deferred", "no_account"),
)
"""`rubbish`: a response that is not valid for the resource; `deferred`: too many requests are queued;
`no_account`: no credentials for the call's account.
"""

_CONTENT = re.compile(r"[0-9a-f]{1,16}\Z")


class FetchRead(msgspec.Struct, frozen=True):
    """One resource to read.

    - `edge`: of Voice Insights; None for other sources and for the provider's default.
    - `content`: as the call's last read of it had it, see `ReadOutcome`; None without one. Where nothing has
      changed since, the rows need not be written again.
    """

    source: str
    edge: str | None
    content: str | None = None


class FetchRequest(msgspec.Struct, kw_only=True):
    """A request to read resources of the call `key` now: a record of the fetches topic.

    - `account`: the provider's id as in the call's records, None if unknown.
    - `reads`: all that is due of the call. Version 1 had one, as `source` and `edge` of the request.
    - `due_at`: since when any of it is due; `attempt` counts from 1, and grows for each read.
    - `priority`: of the most urgent read.
    """

    v: int = 2
    id: str = ""
    key: str
    account: str | None
    reads: list[FetchRead]
    reason: str
    due_at: str
    attempt: int
    priority: str


def request_id(key: str, due_at: str, reason: str, attempt: int) -> str:
    """The id of a request: a function of its content, so that a repetition is recognised."""
    return name_id("fetch", key, due_at, reason, attempt)


def read_priority(request: FetchRequest, read: FetchRead) -> str:
    """A read of an ended call is as urgent as its source is, and not more than the request."""
    if request.reason != "ended":
        return request.priority
    return max(request.priority, RETRY_SCHEDULES[read.source].priority, key=PRIORITIES.index)


def account_key(provider: str, account: str | None) -> bytes:
    """What an account's requests are partitioned by in the fetches topic: one poller gets all of them, and
    with them the account's rate limit.
    """
    return f"{provider}:{account or ''}".encode()


class ReadOutcome(msgspec.Struct):
    """What a read of a request came to.

    - `outcome`: one of OUTCOMES; `rows`: how many were written, 0 where none has changed.
    - `complete`: the resource itself shows that nothing will follow (a terminal status, a finished summary).
    - `content`: a hash of all rows, 16 hex digits, to compare two reads; None without an answer.
    """

    source: str
    edge: str | None
    outcome: str
    rows: int
    complete: bool
    content: str | None


class FetchResult(msgspec.Struct, kw_only=True):
    """The result of a request: the body of its envelope. Its rows are before it in the partition.

    - `fetch_id`, `key`, `reason`, `attempt`: the request's.
    - `reads`: what its reads came to. A version without it had one, whose fields were the result's own.
    """

    fetch_id: str
    key: str
    reason: str
    attempt: int
    reads: list[ReadOutcome]


def result_of(envelope: Envelope) -> FetchResult:
    """The result in an envelope. Raises DecodeError."""
    body: dict[str, Any] = envelope.body
    if "reads" not in body:
        body = {**body, "reads": [body]}
    try:
        result = msgspec.convert(body, FetchResult)
    except msgspec.ValidationError as error:
        raise DecodeError("invalid_field", f"a fetch's result: {error}") from None
    for read in result.reads:
        if read.source not in RETRY_SCHEDULES or read.outcome not in OUTCOMES:
            raise DecodeError("invalid_field", "a fetch's result names no known source or outcome")
        if read.content is not None and _CONTENT.match(read.content) is None:
            # It is stored in the call's state, where a greater number does not fit.
            raise DecodeError("invalid_field", "a fetch's result whose content is not 16 hex digits")
    return result
