"""From a page's rows to Kafka records: each row verbatim in a raw envelope, under the key of its call.

Invariants: the bytes of a row are kept as they came. The record that is written is decoded here exactly as
the worker will decode it; the decoder says which call the row belongs to and what identifies it. A row that
the worker could not decode becomes a dead letter at once, alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import orjson

from stream.core.events import UNDECODABLE, DecodeError, Reading
from stream.core.identity import content_hash, identify
from stream.kafka.envelope_codec import (
    LETTER_LIMIT_BYTES,
    VALUE_LIMIT_BYTES,
    dead_letter_headers,
    read_envelope,
    write_envelope,
)
from stream.poller.resources.account import Account
from stream.sources import DECODERS

STAGE = "poll"
"""Of the dead letters from here."""

_DELIVERY = {"token": None, "attempt": None, "query": None, "verified": True}
_BY_CONTENT = "4"


class PolledRow(NamedTuple):
    """A row to write.

    - `mark`: 64 bits of its source, account, bytes and ordinal: equal for an equal row.
    - `identity`: 64 bits of what identical rows have in common; 0 where an id tells rows apart.
    """

    key: bytes
    value: bytes
    source: str
    mark: int
    identity: int


class DeadLetter(NamedTuple):
    """A row or page that cannot be decoded, with the headers that say why. `mark`: as of a row."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    source: str
    reason: str
    mark: int
    identity: int = 0
    """There is no other like it."""


class PageRecords(NamedTuple):
    """The records of a page, in its order. `known`: the marks of its rows that were written before."""

    rows: list[PolledRow]
    dead_letters: list[DeadLetter]
    known: Sequence[int] = ()


Written = Callable[[int], int | None]
"""Of a mark: the identity of the row that was written lately; None where none was."""


class OrdinalCounter:
    """Numbers identical rows within one read, from 0.

    If the provider reports that rows have moved between two pages, a row of an earlier page may come again.
    Then there are only as many copies of it as on the page with the most copies.
    """

    def __init__(self) -> None:
        self._before_move: dict[int, int] = {}
        self._since_move: Counter[int] = Counter()

    def rows_moved(self) -> None:
        """The rows have moved since the last page."""
        for identity, count in self._since_move.items():
            self._before_move[identity] = max(count, self._before_move.get(identity, 0))
        self._since_move.clear()

    def next(self, identity: int) -> int | None:
        """The row's ordinal. None for a row that an earlier page already had."""
        ordinal = self.peek(identity)
        if identity:
            self._since_move[identity] += 1
        return ordinal

    def peek(self, identity: int) -> int | None:
        """What `next` will return."""
        ordinal = self._since_move[identity]
        return None if ordinal < self._before_move.get(identity, 0) else ordinal


class RecordBuilder:
    """Builds the records of one read.

    - `endpoint`: the resource's path without query, equal for all pages.
    - `written`: rows of which it knows are not decoded again, and left out. Windows overlap: most of their
      rows are such.
    """

    def __init__(self, source: str, account: Account, endpoint: str, written: Written | None = None) -> None:
        self._source = source
        self._account = account.id or None
        self._endpoint = endpoint
        self._written = written
        self._ordinals = OrdinalCounter()
        self._total: int | None = None
        self._content = 0

    @property
    def content(self) -> str:
        """16 hex digits of all rows so far, whatever the order of rows and of their members.

        A row that came twice counts twice, one that is left out does not.
        """
        return f"{self._content:016x}"

    def page(self, rows: Sequence[bytes], *, total: int | None, received_us: int) -> PageRecords:
        """The records of the next page. `total`: see `Page`."""
        if total is not None:
            if self._total not in (None, total):
                self._ordinals.rows_moved()
            self._total = total
        records = PageRecords([], [], known := [])
        for row in rows:
            if (mark := self._known(row)) is not None:
                known.append(mark)
                continue
            value = self._envelope(row, received_us)
            try:
                reading = self._decode(value)
            except DecodeError as error:
                records.dead_letters.append(self._dead_letter(value, row, error.reason, error.detail))
            else:
                identity = _identity(reading)
                ordinal = self._ordinals.next(identity)
                if ordinal is None:
                    continue
                if ordinal:
                    value = self._envelope(row, received_us, ordinal)
                key = reading.event.key.encode()
                records.rows.append(PolledRow(key, value, self._source, self._mark(row, ordinal), identity))
            self._content = (self._content + _hash64(_canonical(row))) % (1 << 64)
        return records

    def broken_page(self, body: bytes, reason: str, detail: str) -> PageRecords:
        """A response that is not a page of the resource, as one dead letter."""
        return PageRecords([], [self._dead_letter(body, body, reason, detail)])

    def _known(self, row: bytes) -> int | None:
        """The mark of a row that need not be written, and is counted here; else None."""
        if self._written is None or (identity := self._written(mark := self._mark(row))) is None:
            return None
        ordinal = self._ordinals.peek(identity)
        if ordinal is None or (ordinal and self._written(mark := self._mark(row, ordinal)) is None):
            return None  # it has moved, or there is one more than before
        self._ordinals.next(identity)
        return mark

    def _decode(self, value: bytes) -> Reading:
        """As the worker will. Raises DecodeError, also for a bug in a decoder."""
        try:
            return DECODERS[self._source](read_envelope(value))[0]
        except DecodeError:
            raise
        except Exception as error:  # noqa: BLE001  a bug must not lose the other rows of the page
            raise DecodeError("internal_error", type(error).__name__) from None

    def _envelope(self, row: bytes, received_us: int, ordinal: int = 0) -> bytes:
        return write_envelope(
            self._source,
            orjson.Fragment(row),
            received_us=received_us,
            account=self._account,
            endpoint=self._endpoint,
            delivery=_DELIVERY,
            ordinal=ordinal,
        )

    def _mark(self, row: bytes, ordinal: int = 0) -> int:
        return _hash64(f"{self._source}\0{self._account}\0{ordinal}\0".encode() + row)

    def _dead_letter(self, value: bytes, row: bytes, reason: str, detail: str) -> DeadLetter:
        is_long = len(value) > LETTER_LIMIT_BYTES
        own = [("truncated", b"%d" % len(value))] if is_long else []
        headers = dead_letter_headers(reason, STAGE, detail, self._endpoint, -1, -1, own)
        return DeadLetter(None, value[:LETTER_LIMIT_BYTES], headers, self._source, reason, self._mark(row))


def _identity(reading: Reading) -> int:
    """See `PolledRow`."""
    if reading.identity_rule != _BY_CONTENT:
        return 0
    identify(reading)
    return reading.fingerprint


def _hash64(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def _canonical(row: bytes) -> bytes:
    """A hash that does not depend on the order of the row's members.

    The row itself if it cannot be decoded, or if it is too large to be written.
    """
    if len(row) > VALUE_LIMIT_BYTES:
        return row
    try:
        return content_hash(msgspec.json.decode(row)).encode()
    except UNDECODABLE:
        return row
