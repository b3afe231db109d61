"""How far the providers are read: the records of the polling topic, and which of two says more.

The rule of this file: pure, and `further` is the same in whatever order two records are compared. So nobody
takes back what another has said: a watermark never goes back, and a poller that wakes up late undoes nothing.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from stream.core.identity import name_id
from stream.core.timestamps import iso8601, utc
from stream.kafka import partitions as kafka_partitions

VERSION = 1

STATES: tuple[str, ...] = ("waiting", "running", "failed", "cancelled", "done")
"""Of a job, in order of rank: of what is said of one asking the later one stays."""

FINISHED = frozenset({"failed", "cancelled", "done"})


class UnreadableError(Exception):
    """A record of the polling topic that says nothing. Its text holds nothing of the record."""


class Watermark(msgspec.Struct, kw_only=True, frozen=True):
    """All events of `source` up to `watermark` are known; times are RFC 3339 texts.

    - `read_at`: when the pass that says so was done; `by`: the poller that read it.
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
    """A backfill: all of `source` from `since` to `until`, of which all before `done_until` has been read.

    - `asked`: how many times it was asked for. What is said of a later asking beats all of the earlier ones.
    - `rows`: of the source, landed up to now; `unread`: calls about which the provider said nothing usable.
    - `error`: why it failed, for a person.
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


Said = TypeVar("Said", bound=Watermark | BackfillJob)


def window_key(source: str, account: str) -> str:
    return f"window:{source}:{account}"


def job_key(id_: str) -> str:
    return f"backfill:{id_}"


def job_id(source: str, account: str, since_us: int, until_us: int) -> str:
    """The id of a backfill: a function of what it asks for, so that the same one asked again is known."""
    return name_id("backfill", source, account, since_us, until_us)


def new_job(source: str, account: str, since_us: int, until_us: int, now_us: int) -> BackfillJob:
    return BackfillJob(
        id=job_id(source, account, since_us, until_us),
        source=source,
        account=account,
        since=utc(since_us),
        until=utc(until_us),
        done_until=utc(since_us),
        updated_at=utc(now_us),
    )


def further(one: Said, other: Said) -> Said:
    """Of two records of one key the one that says more."""
    return max(one, other, key=_rank)


def _rank(said: Watermark | BackfillJob) -> tuple[object, ...]:
    if isinstance(said, Watermark):
        return (said.watermark_us, said.read_at_us)
    return (said.asked, STATES.index(said.state), said.done_until_us, _us(said.updated_at))


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, as the producers choose it."""
    return kafka_partitions.partition_of(key.encode(), partitions)


def encoded(said: Watermark | BackfillJob) -> bytes:
    return msgspec.json.encode(said)


_watermark = msgspec.json.Decoder(Watermark).decode
_job = msgspec.json.Decoder(BackfillJob).decode


def decoded(key: bytes | None, value: bytes) -> Watermark | BackfillJob:
    """What a record says. Raises UnreadableError."""
    kind = (key or b"").partition(b":")[0]
    try:
        said: Watermark | BackfillJob
        if kind == b"window":
            said = _watermark(value)
        elif kind == b"backfill":
            said = _job(value)
        else:
            raise UnreadableError("its key is neither a window's nor a backfill's")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"its value is no {kind.decode()} ({type(error).__name__})") from None
    if said.key.encode() != key:
        raise UnreadableError("its value belongs to another key")
    return said


def _check(version: int, *times: str) -> None:
    if version != VERSION:
        raise ValueError("an unknown version")
    if any(iso8601(time) is None for time in times):
        raise ValueError("a time that is none")


def _us(text: str) -> int:
    us = iso8601(text)
    assert us is not None  # looked at when it was made
    return us
