"""Writes records to Kafka.

Batches are built here and handed over whole, because one `send` a record costs twice the CPU. The partition
is murmur2 of the key, as in Java's default partitioner, so that a call has the same partition in both topics.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any

from stream.kafka import partitions
from stream.kafka.client.connection import Connection
from stream.kafka.client.producers import drop, idempotent
from stream.simulator.calls.call import SourceRecord

BATCH_BYTES = 128 * 1024
REQUEST_TIMEOUT_MS = 40_000
"""aiokafka drops a batch that waits longer than this to be sent, which happens soon at full speed."""

UNCHECKED_LIMIT = 256

key_hash = lru_cache(maxsize=65536)(partitions.key_hash)


class RecordWriter:
    """A producer for one run. Raises KafkaError: after a lost record the expected outputs would be wrong."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._producer: Any = None
        self._partitions: dict[str, int] = {}
        self._open: dict[tuple[str, int], Any] = {}
        self._sent: list[asyncio.Future[Any]] = []

    async def __aenter__(self) -> RecordWriter:
        self._producer = await idempotent(
            self._connection,
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
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

    async def flush(self) -> None:
        """Hand the open batches to the producer."""
        for partition in list(self._open):
            await self._send(partition)

    async def acknowledged(self) -> None:
        """Flush and wait for the brokers' acknowledgements."""
        await self.flush()
        await asyncio.gather(*self._sent)
        self._sent.clear()

    async def _send(self, partition: tuple[str, int]) -> None:
        batch = self._open.pop(partition)
        self._sent.append(await self._producer.send_batch(batch, partition[0], partition=partition[1]))
        if len(self._sent) > UNCHECKED_LIMIT:
            await asyncio.gather(*self._sent)
            self._sent.clear()
