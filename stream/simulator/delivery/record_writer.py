"""Records to Kafka, as fast as it takes them or each at its time.

Batches are built here and handed over whole: one `send` a record costs twice the processor. The partition is
murmur2 of the key, as Java's default partitioner has it, so that one call is one partition in both topics.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import Any

from stream.kafka import partitions
from stream.kafka.producers import drop, idempotent
from stream.simulator.traffic import SourceRecord

BATCH_BYTES = 128 * 1024
REQUEST_TIMEOUT_MS = 40_000
"""aiokafka gives up a batch that waits longer for its turn, which at full speed is soon."""
BREATH = 2000
"""Records between two looks at the loop: what sends them runs in it."""

PACE_S = 0.005
UNCHECKED_LIMIT = 256

Progress = Callable[[int], None]


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Traffic makes many small tuples and no cycles: looking for cycles in them takes a third of the time."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


key_hash = lru_cache(maxsize=65536)(partitions.key_hash)


class DeliveryPacer:
    """When a delivery is due: the first one now, each other as much later as its `at_us` is."""

    def __init__(self) -> None:
        self._first_us: int | None = None
        self._began_s = time.monotonic()

    def wait_s(self, at_us: int) -> float:
        """How long it still is; not above 0 where it is due."""
        if self._first_us is None:
            self._first_us = at_us
        return (at_us - self._first_us) / 1e6 - (time.monotonic() - self._began_s)


class RecordWriter:
    """A producer for one run. Raises what Kafka's raises: a run with a hole would have no known truth."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: Any = None
        self._partitions: dict[str, int] = {}
        self._open: dict[tuple[str, int], Any] = {}
        self._sent: list[asyncio.Future[Any]] = []
        self.written = 0

    async def __aenter__(self) -> RecordWriter:
        self._producer = await idempotent(
            {"bootstrap_servers": self._bootstrap},
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self._producer.stop()
        else:
            await drop(self._producer)  # a flush would wait for a broker that may be away

    async def append(self, record: SourceRecord) -> None:
        """Take a record. It may lie in an open batch until `flush`."""
        topic = record.topic
        count = self._partitions.get(topic)
        if count is None:
            count = self._partitions[topic] = len(await self._producer.partitions_for(topic))
        place = (topic, key_hash(record.key) % count)
        batch = self._open.get(place)
        if batch is None:
            batch = self._open[place] = self._producer.create_batch()
        if batch.append(key=record.key, value=record.value, timestamp=None) is None:
            await self._send(place)
            batch = self._open[place] = self._producer.create_batch()
            if batch.append(key=record.key, value=record.value, timestamp=None) is None:
                raise ValueError(f"a record of {len(record.value)} bytes does not fit a batch")
        self.written += 1

    async def flush(self) -> None:
        """Hand over the open batches."""
        for place in list(self._open):
            await self._send(place)

    async def acknowledged(self) -> None:
        """Hand over the open batches and wait until the brokers have all of them."""
        await self.flush()
        await asyncio.gather(*self._sent)
        self._sent.clear()

    async def write(
        self, records: Iterable[SourceRecord], *, paced: bool = False, progress: Progress | None = None
    ) -> int:
        """Write all records and wait until they are acknowledged: how many. Paced: each at its `at_us`."""
        before = self.written
        if paced:
            await self._at_their_time(records, progress)
        else:
            with _rare_collections():
                await self._at_full_speed(records, progress)
        await self.acknowledged()
        return self.written - before

    async def _at_full_speed(self, records: Iterable[SourceRecord], progress: Progress | None) -> None:
        for record in records:
            await self.append(record)
            if self.written % BREATH == 0:
                await asyncio.sleep(0)
                if progress is not None:
                    progress(self.written)

    async def _at_their_time(self, records: Iterable[SourceRecord], progress: Progress | None) -> None:
        pace = DeliveryPacer()
        for record in records:
            while (wait_s := pace.wait_s(record.at_us)) > 0:
                await self.flush()
                await asyncio.sleep(max(wait_s, PACE_S))
                if progress is not None:
                    progress(self.written)
            await self.append(record)

    async def _send(self, place: tuple[str, int]) -> None:
        batch = self._open.pop(place)
        self._sent.append(await self._producer.send_batch(batch, place[0], partition=place[1]))
        if len(self._sent) > UNCHECKED_LIMIT:
            await asyncio.gather(*self._sent)
            self._sent.clear()
