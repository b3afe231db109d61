"""What the archive is asked and what it answers: filters, pages and rows. Pure.

A filter's field that is None, or an empty tuple, lets everything through. Times are aware; `since` belongs to
a span, `until` does not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

MOST_ITEMS = 1000
"""Items of a page, whatever is asked for."""


class ArchiveError(Exception):
    """The archive cannot answer. The message says why, and holds no secret."""


class BadCursorError(ValueError):
    """The `after` of a page is not one that the archive has given."""


class CallFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls are asked for.

    - `accounts`: bare ids of the provider's accounts; None means all. A call without an account is seen only
      by those who see all.
    - `since`, `until`: of the call's start.
    - `number`: of one of its ends, as the provider sends it or as a record shows it. Of calls that have only
      a mask, all with that mask are found; `masked_too`: or none of them, where the number is a whole one.
    - `fault`: of the verdict; `error_code`: any of the call's.
    - `ended_since`, `ended_until`: of the call's end; one that is not known passes.
    - `began_until`: of the call's start, or of its end less its duration, whichever is earlier.
    - `complete`: whether all expected sources have told of it and no callback is missing; a call that has not
      ended is neither.
    """

    accounts: frozenset[str] | None = None
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    status: tuple[str, ...] = ()
    outcome: tuple[str, ...] = ()
    fault: tuple[str, ...] = ()
    direction: str | None = None
    number: str | None = None
    masked_too: bool = True
    sip_response_code: int | None = None
    error_code: str | None = None
    min_duration_s: float | None = None
    max_duration_s: float | None = None
    complete: bool | None = None
    parent_call_id: str | None = None
    session_id: str | None = None
    ended_since: datetime | None = None
    ended_until: datetime | None = None
    began_until: datetime | None = None


class AlertFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which episodes are asked for.

    - `since`, `until`: of the episode's begin; `rule`: its id; `key`: of the call that it is about.
    """

    accounts: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    rule: str | None = None
    severity: str | None = None
    state: str | None = None
    key: str | None = None
    fingerprint: str | None = None


class StoredCall(msgspec.Struct, kw_only=True):
    """One call in a list: what its record says, or its events if it has not ended. Names as in the record.

    - `started_at`: the earliest time that is known of the call; lists are ordered by it.
    - `fault`, `confidence`: of the verdict; `complete`: as in `CallFilter`.
    - `revision`: of the record, 0 while there is none.
    - `record`: the record itself, where it was asked for.
    """

    key: str
    provider: str
    account: str | None
    account_alias: str | None
    call_id: str
    parent_call_id: str | None
    session_id: str | None
    direction: str | None
    from_: str | None = msgspec.field(name="from")
    to: str | None
    status: str | None
    outcome: str | None
    fault: str | None
    confidence: str | None
    sip_response_code: int | None
    error_codes: list[str]
    started_at: str
    ended_at: str | None
    duration_s: float | None
    complete: bool | None
    settled: bool
    revision: int
    updated_at: str
    record: dict[str, Any] | None = None


class CallPage(msgspec.Struct):
    """Calls, newest first. `next`: the `after` of the next page, None at the end."""

    items: list[StoredCall]
    next: str | None


class PlacedCall(msgspec.Struct):
    """A call with its record and its events, and its place in the order of lists."""

    place: tuple[int, int]
    call: StoredCall
    events: list[dict[str, Any]]


class PlacedCalls(msgspec.Struct):
    """`cut`: the calls have more events than are given at once."""

    items: list[PlacedCall]
    cut: bool


class RecordPage(msgspec.Struct):
    """Events of a call in the order of its timeline, or alerts, newest first. `next`: as in `CallPage`."""

    items: list[dict[str, Any]]
    next: str | None


class CallHistory(msgspec.Struct):
    """All that is kept of one call.

    - `record`: its latest revision, None if the call has not ended.
    - `events`: as on the topic, in the order of the timeline, at most `MOST_EVENTS`; `more_events`: there are
      more, which `Archive.events` gives.
    - `alerts`: the latest revision of each episode, oldest first.
    """

    call: StoredCall
    record: dict[str, Any] | None
    events: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    more_events: bool = False


MOST_EVENTS = 5000
"""Events of a `CallHistory`."""


class MinuteCount(msgspec.Struct, frozen=True):
    """How many calls began in a minute, by outcome. `minute`: RFC 3339; `outcome`: None if not ended."""

    minute: str
    outcome: str | None
    count: int
