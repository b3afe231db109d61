"""Writes records to Kafka, as fast as it takes them or each at its time.

Batches are built here and handed over whole, because one `send` a record costs twice the CPU. The partition
is murmur2 of the key, as in Java's default partitioner, so that a call has the same partition in both topics.
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
from stream.kafka.client.producers import drop, idempotent
from stream.simulator.calls.call import SourceRecord

BATCH_BYTES = 128 * 1024
REQUEST_TIMEOUT_MS = 40_000
"""aiokafka drops a batch that waits longer than this to be sent, which happens soon at full speed."""

YIELD_EVERY = 2000
"""Records between two yields to the event loop, in which the producer sends them."""

PACE_S = 0.005
UNCHECKED_LIMIT = 256

Progress = Callable[[int], None]


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Traffic makes many small tuples and no cycles: collecting garbage would take a third of the time."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


key_hash = lru_cache(maxsize=65536)(partitions.key_hash)


class DeliveryPacer:
    """When a delivery is due: the first one now, each other later by the difference of their `at_us`."""

    def __init__(self) -> None:
        self._first_us: int | None = None
        self._began_s = time.monotonic()

    def wait_s(self, at_us: int) -> float:
        """Seconds until it is due; 0 or less if it is due."""
        if self._first_us is None:
            self._first_us = at_us
        return (at_us - self._first_us) / 1e6 - (time.monotonic() - self._began_s)


class RecordWriter:
    """A producer for one run. Raises KafkaError: after a lost record the expected outputs would be wrong."""

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
            await drop(self._producer)  # a flush would wait for a broker that may be down

    async def append(self, record: SourceRecord) -> None:
        """Add a record to a batch, which may stay open until `flush`."""
        topic = record.topic
        count = self._partitions.get(topic)
        if count is None:
            count = self._partitions[topic] = len(await self._producer.partitions_for(topic))
        partition = (topic, key_hash(record.key) % count)
        batch = self._open.get(partition)
        if batch is None:
            batch = self._open[partition] = self._producer.create_batch()
        if batch.append(key=record.key, value=record.value, timestamp=None) is None:
            await self._send(partition)
            batch = self._open[partition] = self._producer.create_batch()
            if batch.append(key=record.key, value=record.value, timestamp=None) is None:
                raise ValueError(f"a record of {len(record.value)} bytes does not fit a batch")
        self.written += 1

    async def flush(self) -> None:
        """Hand the open batches to the producer."""
        for partition in list(self._open):
            await self._send(partition)

    async def acknowledged(self) -> None:
        """Flush and wait for the brokers' acknowledgements."""
        await self.flush()
        await asyncio.gather(*self._sent)
        self._sent.clear()

    async def write(
        self, records: Iterable[SourceRecord], *, paced: bool = False, progress: Progress | None = None
    ) -> int:
        """Write all records, wait for the acknowledgements and return their number.

        `paced`: each record at its `at_us`.
        """
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
            if self.written % YIELD_EVERY == 0:
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

    async def _send(self, partition: tuple[str, int]) -> None:
        batch = self._open.pop(partition)
        self._sent.append(await self._producer.send_batch(batch, partition[0], partition=partition[1]))
        if len(self._sent) > UNCHECKED_LIMIT:
            await asyncio.gather(*self._sent)
            self._sent.clear()
