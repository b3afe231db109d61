"""Landed pages into Kafka: rows to the polled topic, then what cannot be read to the dead letters.

The rule of this file: nothing is lost and nothing is said too early. It returns when the broker has all of a
page, however long that takes; a row is remembered as landed after that and not before.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from stream.kafka.acked_producer import Headers, Landable, NoRoomError, NotLandedError
from stream.poller.limiter.metrics_protocol import PollMetrics
from stream.poller.pages.records import DeadLetter, PageRecords, PolledRow

LIMIT_S = 30.0
PAUSE_S = 1.0

REMEMBERED_ROWS = 200_000
"""So many rows of overlapping windows: an hour of 50 calls a second; some 30 MB."""

BATCH_ROWS = 500
BATCH_BYTES = 4 << 20
"""What is given to the broker at once, so that several reads have room beside each other."""

log = logging.getLogger("callstream.poller")


class Lands(Protocol):
    """A `Lander`."""

    async def land(
        self, records: Sequence[Landable], limit_s: float, *, topic: str | None = None, headers: Headers = ()
    ) -> None: ...


class _Whole(NamedTuple):
    """A record as it is."""

    key: bytes | None
    value: bytes | None


class PolledWriter:
    """`polled`, `dead_letters`: the topics' names."""

    def __init__(
        self,
        lander: Lands,
        *,
        polled: str,
        dead_letters: str,
        metrics: PollMetrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._lander = lander
        self._polled = polled
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._sleep = sleep
        self._remembered = Remembered(REMEMBERED_ROWS)
        self._troubled = False

    async def land(self, page: PageRecords, *, remember: bool = False) -> None:
        """Returns when the broker has all of it.

        - `remember`: leave out rows that were landed lately, byte for byte the same, as the windows'
          overlap brings them again; likewise what cannot be read.
        """
        records = self._remembered.new(page.records) if remember else page.records
        for batch in _batches(records):
            await self._until_landed(batch, self._polled, ())
            if remember:
                self._remembered.add(batch)
            self._metrics.landed(batch[0].source, len(batch))
        for letter in self._remembered.new(page.letters) if remember else page.letters:
            await self._until_landed([letter], self._dead_letters, letter.headers)
            if remember:
                self._remembered.add([letter])
            self._metrics.dead_letter(letter.source, letter.reason)

    async def result(self, key: bytes, value: bytes) -> None:
        """A fetch's result, behind its rows: returns when the broker has it."""
        await self._until_landed([_Whole(key, value)], self._polled, ())

    async def dead_letter(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Something that is no row and cannot be read: returns when the broker has it."""
        await self._until_landed([_Whole(key, value)], self._dead_letters, headers)

    async def _until_landed(self, records: Sequence[Landable], topic: str, headers: Headers) -> None:
        while True:
            try:
                await self._lander.land(records, LIMIT_S, topic=topic, headers=headers)
            except NotLandedError as error:
                self._say(str(error))
            except NoRoomError:
                pass
            else:
                return self._say("")
            await self._sleep(PAUSE_S)

    def _say(self, trouble: str) -> None:
        """In the log, when it begins and when it is over: all reads wait for the same broker."""
        if trouble and not self._troubled:
            log.warning("what was read waits for the broker: %s", trouble)
        elif self._troubled and not trouble:
            log.info("the broker takes what was read again")
        self._troubled = bool(trouble)


_Marked = TypeVar("_Marked", PolledRow, DeadLetter)


class Remembered:
    """The marks of the last rows that were landed, at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._marks: OrderedDict[int, None] = OrderedDict()

    def new(self, rows: Sequence[_Marked]) -> list[_Marked]:
        """Those that are not among them. The others are the youngest again."""
        return [row for row in rows if not self._is_known(row.mark)]

    def add(self, rows: Sequence[_Marked]) -> None:
        for row in rows:
            self._marks[row.mark] = None
            self._marks.move_to_end(row.mark)
        while len(self._marks) > self._limit:
            self._marks.popitem(last=False)

    def _is_known(self, mark: int) -> bool:
        if mark not in self._marks:
            return False
        self._marks.move_to_end(mark)
        return True


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
