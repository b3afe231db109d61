"""The records of the polling topic (watermarks and backfill jobs), and which of two records is further.

Invariants: pure. `furthest` does not depend on the order of its arguments, so no poller undoes another's
progress: a watermark never moves back, and a late record of a poller that was suspended changes nothing.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from stream.core.events import UNDECODABLE
from stream.core.identity import name_id
from stream.core.timestamps import iso8601, utc

VERSION = 1

STATES: tuple[str, ...] = ("waiting", "running", "failed", "cancelled", "done")
"""Of a job, by rank: of two records with the same `asked` the later state wins."""

FINISHED = frozenset({"failed", "cancelled", "done"})


class UnreadableError(Exception):
    """A record of the polling topic cannot be decoded. The text holds nothing of the record."""


class Watermark(msgspec.Struct, kw_only=True, frozen=True):
    """All events of `source` up to `watermark` have been read. Times are RFC 3339 texts.

    - `read_at`: the end of the pass that read them; `by`: the poller that did.
    """

    v: int = VERSION
    source: str
    account: str
    watermark: str
    read_at: str
    by: str

    def __post_init__(self) -> None:
        _check(self.v, self.watermark, self.read_at)

    @property
    def key(self) -> str:
        return window_key(self.source, self.account)

    @property
    def watermark_us(self) -> int:
        return _us(self.watermark)

    @property
    def read_at_us(self) -> int:
        return _us(self.read_at)


class BackfillJob(msgspec.Struct, kw_only=True, frozen=True):
    """A backfill: all of `source` from `since` to `until`. Everything before `done_until` has been read.

    - `asked`: how many times the job was requested. A record of a later request wins over all earlier ones.
    - `rows`: rows of the source written so far; `unread`: calls for which the provider returned nothing
      usable.
    - `error`: why the job failed, or why it does not go on; for a person. `failing_since`: of the latter.
    """

    v: int = VERSION
    id: str
    source: str
    account: str
    since: str
    until: str
    done_until: str
    rows: int = 0
    unread: int = 0
    state: str = "waiting"
    error: str | None = None
    failing_since: str | None = None
    asked: int = 1
    updated_at: str

    def __post_init__(self) -> None:
        _check(self.v, self.since, self.until, self.done_until, self.updated_at)
        if self.state not in STATES:
            raise ValueError("an unknown state")

    @property
    def key(self) -> str:
        return job_key(self.id)

    @property
    def since_us(self) -> int:
        return _us(self.since)

    @property
    def until_us(self) -> int:
        return _us(self.until)

    @property
    def done_until_us(self) -> int:
        return _us(self.done_until)

    @property
    def finished(self) -> bool:
        return self.state in FINISHED


Progress = TypeVar("Progress", bound=Watermark | BackfillJob)


def window_key(source: str, account: str) -> str:
    return f"window:{source}:{account}"


def job_key(id_: str) -> str:
    return f"backfill:{id_}"


def new_job(source: str, account: str, since_us: int, until_us: int, now_us: int) -> BackfillJob:
    """Its id is a function of its range, so that the same command finds the same job."""
    return BackfillJob(
        id=name_id("backfill", source, account, since_us, until_us),
        source=source,
        account=account,
        since=utc(since_us),
        until=utc(until_us),
        done_until=utc(since_us),
        updated_at=utc(now_us),
    )


def furthest(one: Progress, other: Progress) -> Progress:
    """Of two records of one key the one with more progress."""
    return max(one, other, key=_rank)


def _rank(record: Watermark | BackfillJob) -> tuple[object, ...]:
    if isinstance(record, Watermark):
        return (record.watermark_us, record.read_at_us)
    return (record.asked, STATES.index(record.state), record.done_until_us, _us(record.updated_at))


def encode(record: Watermark | BackfillJob) -> bytes:
    return msgspec.json.encode(record)


_DECODERS: dict[bytes, msgspec.json.Decoder[Watermark] | msgspec.json.Decoder[BackfillJob]] = {
    b"window": msgspec.json.Decoder(Watermark),
    b"backfill": msgspec.json.Decoder(BackfillJob),
}


def decode(key: bytes | None, value: bytes) -> Watermark | BackfillJob:
    """Decode a record of the polling topic. Raises UnreadableError."""
    kind = (key or b"").partition(b":")[0]
    if kind not in _DECODERS:
        raise UnreadableError("its key is neither a window's nor a backfill's")
    try:
        record = _DECODERS[kind].decode(value)
    except UNDECODABLE as error:
        raise UnreadableError(f"its value is not a {kind.decode()} ({type(error).__name__})") from None
    if record.key.encode() != key:
        raise UnreadableError("its value belongs to another key")
    return record


def _check(version: int, *times: str) -> None:
    if version != VERSION:
        raise ValueError("an unknown version")
    if any(iso8601(time) is None for time in times):
        raise ValueError("not an RFC 3339 time")


def _us(text: str) -> int:
    us = iso8601(text)
    assert us is not None  # checked when the record was made
    return us
