"""From a page's rows to the records that are landed: each verbatim in a raw envelope, under its call's key.

The rule of this file: a row's bytes are put in as they came, and nothing of it is worked out here. The very
bytes that land are read as the worker will read them; its decoder says which call a row is of and what it is
known by. What the worker would not read becomes a dead letter at once, alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import orjson

from stream.core.events import DecodeError, Reading
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
    """A row to land. `mark`: 64 bits of its source, account, bytes and ordinal: of the same row the same."""

    key: bytes
    value: bytes
    source: str
    mark: int


class DeadLetter(NamedTuple):
    """What cannot be landed as a row, with the headers that say why. `mark`: as of a row, or of a page."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    source: str
    reason: str
    mark: int


class PageRecords(NamedTuple):
    """What a page comes to, in its order."""

    records: list[PolledRow]
    letters: list[DeadLetter]


class TwinCounter:
    """Which of its identical twins a row is, within one read: its place among them, from 0.

    Where the provider says that rows have moved between two pages, what an earlier page had may come once
    more: there is no more of it than the page with the most of it shows.
    """

    def __init__(self) -> None:
        self._before: dict[int, int] = {}
        self._since: Counter[int] = Counter()

    def moved(self) -> None:
        """The rows have moved since the last page."""
        for known, count in self._since.items():
            self._before[known] = max(count, self._before.get(known, 0))
        self._since.clear()

    def place(self, reading: Reading) -> int | None:
        """The row's ordinal; None for one that an earlier page had already."""
        if reading.identity_rule != _BY_CONTENT:
            return 0
        event = reading.event
        known = identify(event.key, event.family, reading.identity_rule, reading.parts)[1]
        ordinal = self._since[known]
        self._since[known] += 1
        return None if ordinal < self._before.get(known, 0) else ordinal


class RecordBuilder:
    """The pages of one read. `endpoint`: the resource's path without query, the same for all of its pages."""

    def __init__(self, source: str, account: Account, endpoint: str) -> None:
        self._source = source
        self._account = account.id or None
        self._endpoint = endpoint
        self._twins = TwinCounter()
        self._total: int | None = None
        self._content = 0

    @property
    def content(self) -> str:
        """16 hex digits of all rows so far, whatever their order and that of their members; twice the same
        row counts twice.
        """
        return f"{self._content:016x}"

    def page(self, rows: Sequence[bytes], *, total: int | None, received_us: int) -> PageRecords:
        """The next page's rows. `total`: see `Page`."""
        if total is not None:
            if self._total not in (None, total):
                self._twins.moved()
            self._total = total
        landed = PageRecords([], [])
        for row in rows:
            self._add(landed, row, received_us)
        return landed

    def broken_page(self, body: bytes, reason: str, detail: str) -> PageRecords:
        """A page that is not what the resource answers, kept as it came."""
        return PageRecords([], [self._letter(body, reason, detail, self._mark(body, 0))])

    def _add(self, landed: PageRecords, row: bytes, received_us: int) -> None:
        value = self._envelope(row, received_us)
        try:
            reading = self._reading(value)
        except DecodeError as error:
            letter = self._letter(value, error.reason, error.detail, self._mark(row, 0))
            landed.letters.append(letter)
            self._take_in(row)
            return
        ordinal = self._twins.place(reading)
        if ordinal is None:
            return
        self._take_in(row)
        if ordinal:
            value = self._envelope(row, received_us, ordinal)
        landed.records.append(
            PolledRow(reading.event.key.encode(), value, self._source, self._mark(row, ordinal))
        )

    def _take_in(self, row: bytes) -> None:
        digest = hashlib.blake2b(_canonical(row), digest_size=8).digest()
        self._content = (self._content + int.from_bytes(digest, "big")) % (1 << 64)

    def _reading(self, value: bytes) -> Reading:
        """What the worker will read. Raises DecodeError, also for a fault of ours in a decoder."""
        try:
            return DECODERS[self._source](read_envelope(value))[0]
        except DecodeError:
            raise
        except Exception as error:  # noqa: BLE001  it must not lose the page's other rows
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

    def _mark(self, row: bytes, ordinal: int) -> int:
        digest = hashlib.blake2b(digest_size=8)
        digest.update(f"{self._source}\0{self._account}\0{ordinal}\0".encode())
        digest.update(row)
        return int.from_bytes(digest.digest(), "big")

    def _letter(self, value: bytes, reason: str, detail: str, mark: int) -> DeadLetter:
        own = []
        if len(value) > LETTER_LIMIT_BYTES:
            own.append(("truncated", b"%d" % len(value)))
        headers = dead_letter_headers(reason, STAGE, detail, self._endpoint, -1, -1, own)
        return DeadLetter(None, value[:LETTER_LIMIT_BYTES], headers, self._source, reason, mark)


def _canonical(row: bytes) -> bytes:
    """A hash that does not depend on the order of a row's members; the row itself where that cannot be, or
    where the row is larger than any that lands.
    """
    if len(row) > VALUE_LIMIT_BYTES:
        return row
    try:
        return content_hash(msgspec.json.decode(row)).encode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return row
