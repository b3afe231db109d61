"""From the records of the topics to the rows of the archive. Pure.

Of an event, only what a call's row shows is decoded: its bytes are kept as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from stream.core.statuses import DIRECTIONS, RANK, TERMINAL
from stream.core.timestamps import SECOND_US, iso8601
from stream.sources.fields import TEXT_LIMIT

DAY_US = 86_400 * SECOND_US
OLDEST_US = 35 * DAY_US
"""A time in an event that is older than that when it is received says nothing about its call."""

LAST = 1 << 30
"""In place of a sequence number, for events without one: of the same time, they come last."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOT_CALLS = ("conference:", "account:")
_STILL_MISSING = (None, "expired")


class _Parties(msgspec.Struct, frozen=True, gc=False):
    """What of an event's attributes a call's row shows, by the names of both providers."""

    From: Any = None
    To: Any = None
    Direction: Any = None
    from_: Any = msgspec.field(name="from", default=None)
    to: Any = None
    direction: Any = None


class EventFields(msgspec.Struct, gc=False):
    id: str
    key: str
    provider: str
    source: str
    family: str
    name: str
    received_at: str
    account: str | None = None
    account_alias: str | None = None
    parent_call_id: str | None = None
    session_id: str | None = None
    status: str | None = None
    occurred_at: str | None = None
    sequence_number: int | None = None
    sip_response_code: int | None = None
    error_code: str | None = None
    from_hash: str | None = None
    to_hash: str | None = None
    attributes: _Parties = _Parties()


class _Completeness(msgspec.Struct, frozen=True, gc=False):
    expected: list[str] = []
    seen: list[str] = []


class _Gap(msgspec.Struct, frozen=True, gc=False):
    closed_by: str | None = None


class _Verdict(msgspec.Struct, frozen=True, gc=False):
    fault: str | None = None
    confidence: str | None = None


class _Arrival(msgspec.Struct, frozen=True, gc=False):
    first_received_at: str | None = None


class RecordFields(msgspec.Struct, gc=False):
    key: str
    provider: str
    revision: int
    updated_at: str
    account: str | None = None
    account_alias: str | None = None
    parent_call_id: str | None = None
    session_id: str | None = None
    direction: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    from_hash: str | None = None
    to_hash: str | None = None
    status: str | None = None
    outcome: str | None = None
    verdict: _Verdict | None = None
    sip_response_code: int | None = None
    error_codes: list[str] = []
    initiated_at: str | None = None
    ringing_at: str | None = None
    answered_at: str | None = None
    ended_at: str | None = None
    duration_s: float | None = None
    settled: bool = False
    gaps: list[_Gap] = []
    completeness: _Completeness = _Completeness()
    arrival: _Arrival | None = None


class RecordTimes(NamedTuple):
    """The times of a record. `at_us`: the earliest that is known of the call."""

    at_us: int
    ended_us: int | None
    first_received_us: int
    updated_us: int


class _Rule(msgspec.Struct, frozen=True, gc=False):
    id: str


class _Scope(msgspec.Struct, frozen=True, gc=False):
    type: str
    id: str


class _AlertCall(msgspec.Struct, frozen=True, gc=False):
    id: str


class AlertFields(msgspec.Struct, gc=False):
    episode_id: str
    revision: int
    fingerprint: str
    state: str
    severity: str
    rule: _Rule
    provider: str
    scope: _Scope
    starts_at: str
    updated_at: str
    account: str | None = None
    call: _AlertCall | None = None

    @property
    def call_key(self) -> str | None:
        """The key of the call that it is about."""
        if self.scope.type == "call":
            return self.scope.id
        return f"{self.provider}:{self.call.id}" if self.call is not None else None


decode_event = msgspec.json.Decoder(EventFields).decode
decode_record = msgspec.json.Decoder(RecordFields).decode
decode_alert = msgspec.json.Decoder(AlertFields).decode


class CallRow(msgspec.Struct):
    """The row of a call while it is changed; fields as the columns of `schema.calls`, in their order.

    - `no`: 0 until it has a number.
    """

    no: int
    key: str
    day: int
    provider: str
    account: str | None = None
    account_alias: str | None = None
    call_id: str = ""
    parent_call_id: str | None = None
    session_id: str | None = None
    direction: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    from_hash: str | None = None
    to_hash: str | None = None
    status: str | None = None
    outcome: str | None = None
    fault: str | None = None
    confidence: str | None = None
    sip_response_code: int | None = None
    error_codes: str = "[]"
    at_us: int = 0
    ended_us: int | None = None
    duration_s: float | None = None
    complete: bool | None = None
    settled: bool = False
    revision: int = 0
    updated_us: int = 0

    def add_event(self, event: EventFields, at_us: int, received_us: int) -> None:
        """What an event says of its call. Once the call has a record, the record says it."""
        self.at_us = min(self.at_us, at_us)
        self.updated_us = max(self.updated_us, received_us)
        if self.revision:
            return
        self.account = self.account or event.account
        self.account_alias = self.account_alias or event.account_alias
        self.parent_call_id = self.parent_call_id or event.parent_call_id
        self.session_id = self.session_id or event.session_id
        if event.status is not None and _rank(event.status) > _rank(self.status):
            self.status = event.status
        if event.sip_response_code is not None:
            self.sip_response_code = event.sip_response_code
        if event.error_code is not None:
            self.add_codes([event.error_code])
        said = event.attributes
        caller, callee = _text(said.From) or _text(said.from_), _text(said.To) or _text(said.to)
        if self.from_hash is None and self.from_number in (None, caller):
            self.from_number, self.from_hash = caller, event.from_hash
        if self.to_hash is None and self.to_number in (None, callee):
            self.to_number, self.to_hash = callee, event.to_hash
        self.direction = self.direction or DIRECTIONS.get(_text(said.Direction) or _text(said.direction))

    def add_record(self, record: RecordFields, times: RecordTimes) -> bool:
        """What a record says of its call. False if this revision or a later one is known."""
        if record.revision <= self.revision:
            return False
        self.account, self.account_alias = record.account, record.account_alias
        self.parent_call_id, self.session_id = record.parent_call_id, record.session_id
        self.direction, self.from_number, self.to_number = record.direction, record.from_, record.to
        self.from_hash, self.to_hash = record.from_hash, record.to_hash
        self.status, self.outcome = record.status, record.outcome
        verdict = record.verdict or _Verdict()
        self.fault, self.confidence = verdict.fault, verdict.confidence
        self.sip_response_code = record.sip_response_code
        self.add_codes(record.error_codes)
        self.at_us = min(self.at_us, times.at_us)
        self.ended_us = times.ended_us
        self.duration_s = record.duration_s
        self.complete = is_complete(record)
        self.settled, self.revision = record.settled, record.revision
        self.updated_us = max(self.updated_us, times.updated_us)
        return True

    def add_codes(self, codes: Sequence[str]) -> None:
        known = codes_of(self.error_codes)
        new = sorted({*known, *codes})
        if new != known:
            self.error_codes = msgspec.json.encode(new).decode()


def new_call(key: str, provider: str, received_us: int, at_us: int) -> CallRow:
    """The row of a call of which nothing is known yet."""
    row = CallRow(0, key, day_of(received_us), provider)
    row.call_id = key.partition(":")[2]
    row.at_us, row.updated_us = at_us, received_us
    return row


def storable(value: bytes) -> bytes:
    """A record of which every text can stand in a column: PostgreSQL has no place for the character 0."""
    return value.replace(b"\\u0000", b"\\ufffd") if b"\\u0000" in value else value


def is_call(key: str) -> bool:
    """Whether a record's key is that of a call."""
    return not key.partition(":")[2].startswith(_NOT_CALLS)


def codes_of(error_codes: str) -> list[str]:
    return msgspec.json.decode(error_codes, type=list[str]) if error_codes != "[]" else []


def day_of(us: int) -> int:
    """The day, counted from 1970."""
    return us // DAY_US


def micros(text: str) -> int:
    """Microseconds since 1970 of a time as the topics carry it. Raises ValueError."""
    if len(text) == 27:
        # The canonical form: Python's own parser is the fastest.
        return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND
    found = iso8601(text)
    if found is None:
        raise ValueError("a time cannot be read")
    return found


def time_of(event: EventFields, received_us: int) -> int:
    """When an event was: as the provider says, else when it was received."""
    if event.occurred_at is None:
        return received_us
    at_us = micros(event.occurred_at)
    return at_us if received_us - OLDEST_US <= at_us <= received_us + DAY_US else received_us


def times_of(record: RecordFields) -> RecordTimes:
    """Raises ValueError."""
    first = record.arrival.first_received_at if record.arrival is not None else None
    phases = (record.initiated_at, record.ringing_at, record.answered_at, record.ended_at)
    first_us = micros(first or record.updated_at)
    return RecordTimes(
        min((micros(one) for one in phases if one is not None), default=first_us),
        micros(record.ended_at) if record.ended_at is not None else None,
        first_us,
        micros(record.updated_at),
    )


def is_complete(record: RecordFields) -> bool:
    """Whether all sources that are expected have told of the call, and no callback is missing."""
    wanted = set(record.completeness.expected) - set(record.completeness.seen)
    return not wanted and all(gap.closed_by not in _STILL_MISSING for gap in record.gaps)


def _rank(status: str | None) -> int:
    if status is None:
        return -1
    return RANK.get(status, 0) + (len(RANK) if status in TERMINAL else 0)


def _text(value: Any) -> str | None:
    """Cut as a record cuts it: PostgreSQL refuses a row whose number does not fit into an index."""
    return value[:TEXT_LIMIT] if isinstance(value, str) and value else None
