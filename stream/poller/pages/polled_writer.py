"""Writes pages to Kafka: their rows to the polled topic, then what cannot be decoded to the dead letters.

Invariants: a write returns only when the broker has the whole page, however long that takes. A row is
remembered as written after that, not before.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from stream.kafka.acked_producer import BufferFullError, Headers, NotAcknowledgedError, OutgoingRecord
from stream.kafka.oversized_records import DeadLetteringProducer
from stream.poller.pages.records import DeadLetter, PageRecords, PolledRow
from stream.service.metrics.poller import PollerMetrics

SEND_TIMEOUT_S = 30.0
RETRY_S = 1.0

REMEMBERED_ROWS = 200_000
"""Rows of overlapping windows: one hour at 50 calls a second; about 30 MB."""

BATCH_ROWS = 500
BATCH_BYTES = 4 << 20
"""Rows are sent in batches of this size, so that several reads can write at the same time."""

log = logging.getLogger("callstream.poller")


class _Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    partition: int | None = None  # None: its key chooses one


class PolledWriter:
    """`polled`, `dead_letters`: the names of the topics."""

    def __init__(
        self,
        producer: DeadLetteringProducer,
        *,
        polled: str,
        dead_letters: str,
        metrics: PollerMetrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._producer = producer
        self._polled = polled
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._sleep = sleep
        self._recent = RecentRows(REMEMBERED_ROWS)
        self._failing = False

    async def write(self, page: PageRecords, *, skip_known: bool = False) -> None:
        """Returns when the broker has the whole page.

        - `skip_known`: leave out what was written lately: the overlap of windows brings it again.
        """
        rows, letters, known = page
        if skip_known:
            self._recent.refresh(known)
            rows, letters = self._recent.unknown(rows), self._recent.unknown(letters)
        for batch in _batches(rows):
            await self._send(batch, self._polled, ())
            if skip_known:
                self._recent.add(batch)
            self._metrics.landed(batch[0].source, len(batch))
        for letter in letters:
            await self._send([letter], self._dead_letters, letter.headers)
            if skip_known:
                self._recent.add([letter])
            self._metrics.dead_letter(letter.source, letter.reason)

    def unknown(self, rows: Sequence[PolledRow]) -> list[PolledRow]:
        """The rows that were not written lately."""
        return self._recent.unknown(rows)

    def written(self, mark: int) -> int | None:
        """Of a mark: the identity of the row that was written lately. From any thread."""
        return self._recent.identity(mark)

    async def write_result(self, key: bytes, value: bytes) -> None:
        """Write a fetch's result, after its rows."""
        await self._send([_Record(key, value)], self._polled, ())

    async def write_dead_letter(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Write a record that is not a row."""
        await self._send([_Record(key, value)], self._dead_letters, headers)

    async def forward(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        """Write a record to another partition."""
        await self._send([_Record(key, value, partition)], topic, headers)

    async def _send(self, records: Sequence[OutgoingRecord], topic: str, headers: Headers) -> None:
        while True:
            try:
                await self._producer.send_all(records, SEND_TIMEOUT_S, topic=topic, headers=headers)
            except NotAcknowledgedError as error:
                self._log(str(error))
            except BufferFullError:
                pass
            else:
                return self._log("")
            await self._sleep(RETRY_S)

    def _log(self, problem: str) -> None:
        """Log an outage when it starts and when it ends: all reads wait for the same broker."""
        if problem and not self._failing:
            log.warning("rows wait for the broker: %s", problem)
        elif self._failing and not problem:
            log.info("the broker takes rows again")
        self._failing = bool(problem)


_Marked = TypeVar("_Marked", PolledRow, DeadLetter)


class RecentRows:
    """The marks of the rows that were written last, at most `limit` of them, with their identities."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._marks: OrderedDict[int, int] = OrderedDict()

    def identity(self, mark: int) -> int | None:
        """Of the row with `mark`; None if it is not remembered."""
        return self._marks.get(mark)

    def refresh(self, marks: Iterable[int]) -> None:
        """Those of these that are remembered count as the most recent again."""
        for mark in marks:
            if mark in self._marks:
                self._marks.move_to_end(mark)

    def unknown(self, rows: Sequence[_Marked]) -> list[_Marked]:
        """The rows that are not remembered. The others count as the most recent again."""
        self.refresh(row.mark for row in rows)
        return [row for row in rows if row.mark not in self._marks]

    def add(self, rows: Sequence[_Marked]) -> None:
        for row in rows:
            self._marks[row.mark] = row.identity
            self._marks.move_to_end(row.mark)
        while len(self._marks) > self._limit:
            self._marks.popitem(last=False)


def _batches(rows: Sequence[PolledRow]) -> Iterator[list[PolledRow]]:
    batch: list[PolledRow] = []
    size = 0
    for row in rows:
        if batch and (len(batch) == BATCH_ROWS or size + len(row.value) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row.value)
    if batch:
        yield batch
