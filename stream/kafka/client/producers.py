"""Kafka producers that may be given up: closed at once, with nothing more of them on the wire.

The rule of this file: what is left in a buffer was promised to nobody, and must not go out later. aiokafka's
own `stop` would send it. Nor does anybody go on waiting for it. What this leans on of aiokafka's inside is
listed in `lanes/ground.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaProducer

from stream.kafka.client import network_client, request_limits

CLOSE_S = 2.0
MAX_BATCH_BYTES = 262_144
MAX_REQUEST_BYTES = 8 << 20

PRODUCER: Mapping[str, Any] = {
    "enable_idempotence": True,
    "acks": "all",
    "linger_ms": 0,
    "max_batch_size": MAX_BATCH_BYTES,
    "max_request_size": MAX_REQUEST_BYTES,
    **request_limits.PRODUCER,
}
"""Settings of every producer."""


class OpenProducer:
    """An AIOKafkaProducer, what waits in it for the broker, and who waits.

    The bytes count here and nowhere else: those of a producer that is given up are gone with it, once.
    """

    def __init__(self, producer: Any) -> None:
        self.producer = producer
        self.buffered_bytes = 0
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

    async def buffered(self, size: int, sending: Awaitable[asyncio.Future[Any]]) -> asyncio.Future[Any]:
        """What acknowledges a record of `size` bytes; until then its bytes wait here."""
        self.buffered_bytes += size
        try:
            acknowledged = await sending
        except BaseException:
            self._left(size)
            raise
        acknowledged.add_done_callback(lambda _: self._left(size))
        network_client.ignore_failures([acknowledged])  # whoever does hears of it all the same
        return acknowledged

    def _left(self, size: int) -> None:
        self.buffered_bytes -= size


async def idempotent(
    connection: Mapping[str, Any], topic: str | None = None, **settings: Any
) -> AIOKafkaProducer:
    """A producer that is started and knows `topic`, where one is given. Raises KafkaError.

    `settings`: aiokafka's, beside or in place of those that all producers have.
    """
    producer = AIOKafkaProducer(**{**PRODUCER, **connection, **settings})
    request_limits.steer(producer.client)
    try:
        await producer.start()
        if topic is not None:
            await producer.partitions_for(topic)
    except BaseException:
        await drop(producer)
        raise
    return producer


async def drop(producer: Any) -> None:
    """Close an AIOKafkaProducer without a flush, in at most CLOSE_S. Never raises.

    What can be ended at once is, also where whoever calls is cancelled meanwhile.
    """
    producer._closed = producer._message_accumulator._closed = True
    ignore_pending(producer)
    tasks = _tasks(producer._sender)
    for task in tasks:
        task.cancel()
    closing = asyncio.ensure_future(_ended(producer, tasks))
    network_client.ignore_failures([closing])
    try:
        await asyncio.wait([closing], timeout=CLOSE_S)
    except asyncio.CancelledError:
        await asyncio.wait([closing], timeout=CLOSE_S)
        raise
    finally:
        closing.cancel()
        ignore_pending(producer)


async def _ended(producer: Any, tasks: set[asyncio.Task[Any]]) -> None:
    await network_client.close(producer.client)  # first: what waits for an answer, waits no longer
    while tasks:
        await network_client.cancel_all(tasks)
        tasks = _tasks(producer._sender)


def _tasks(sender: Any) -> set[asyncio.Task[Any]]:
    """The sender's task and those that it has made: one that ends by an error leaves the others running."""
    tasks = set()
    for task in asyncio.all_tasks():
        within = _within(task)
        if within.get("self") is sender:
            tasks.add(task)
            network_client.ignore_failures(within.get("tasks", ()))  # those that have ended, too
    return tasks


def _within(task: asyncio.Task[Any]) -> Mapping[str, Any]:
    frame = getattr(task.get_coro(), "cr_frame", None)
    return {} if frame is None else frame.f_locals


def ignore_pending(producer: Any) -> None:
    """Nobody waits any more for what becomes of a producer's records and transaction."""
    accumulator, transaction = producer._message_accumulator, producer._txn_manager
    batches = {*accumulator._pending_batches, *chain.from_iterable(accumulator._batches.values())}
    for batch in batches:
        network_client.ignore_failures(
            (batch.future, batch._drain_waiter, *(future for future, _ in batch._msg_futures))
        )
    if transaction is not None:
        network_client.ignore_failures(
            (transaction._transaction_waiter, *(future for *_, future in transaction._pending_txn_offsets))
        )
