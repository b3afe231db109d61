"""Kafka producers that may be given up: closed at once, with nothing more of them on the wire.

The rule of this file: what is left in a buffer was promised to nobody, and must not go out later. aiokafka's
own `stop` would send it. Nor does anybody go on waiting for it. What this leans on of aiokafka's inside is
listed in `lanes/ground.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer

from stream.runtime import steering

CLOSE_S = 2.0
MAX_BATCH_BYTES = 262_144
MAX_REQUEST_BYTES = 8 << 20


class OpenProducer:
    """An AIOKafkaProducer, what waits in it for the broker, and who waits.

    The bytes count here and nowhere else: those of a producer that is given up are gone with it, once.
    """

    def __init__(self, producer: Any) -> None:
        self.producer = producer
        self.waiting_bytes = 0
        self.given_up = False
        self.limits: set[asyncio.Timeout] = set()
        """They expire at once when this producer is given up."""

    def give_up(self) -> None:
        """Whoever waits is told at once: no answer comes any more."""
        self.given_up = True
        now = asyncio.get_running_loop().time()
        for limit in self.limits:
            if not limit.expired():
                limit.reschedule(now)

    async def taking(self, size: int, sending: Awaitable[asyncio.Future[Any]]) -> asyncio.Future[Any]:
        """What acknowledges a record of `size` bytes; until then its bytes wait here."""
        self.waiting_bytes += size
        try:
            acknowledged = await sending
        except BaseException:
            self._left(size)
            raise
        acknowledged.add_done_callback(lambda _: self._left(size))
        return acknowledged

    def _left(self, size: int) -> None:
        self.waiting_bytes -= size


async def idempotent(connection: Mapping[str, Any], topic: str) -> AIOKafkaProducer:
    """A producer that is started and knows `topic`. Raises KafkaError."""
    producer = AIOKafkaProducer(
        enable_idempotence=True,
        acks="all",
        linger_ms=0,
        max_batch_size=MAX_BATCH_BYTES,
        max_request_size=MAX_REQUEST_BYTES,
        **steering.PRODUCER,
        **connection,
    )
    steering.steer(producer.client)
    try:
        await producer.start()
        await producer.partitions_for(topic)
    except BaseException:
        await drop(producer)
        raise
    return producer


async def drop(producer: Any) -> None:
    """Close an AIOKafkaProducer without a flush, in at most CLOSE_S. Never raises."""
    producer._closed = True
    sender = producer._sender.sender_task
    if sender is not None and not sender.done():
        sender.cancel()
    with contextlib.suppress(Exception):  # whatever it is, the producer is gone
        await asyncio.wait_for(producer.client.close(), CLOSE_S)
