"""Kafka producers, and how one is abandoned: closed at once, without sending what is buffered.

Buffered records were not acknowledged and must not go out later; aiokafka's own `stop` would send them.
Nobody keeps waiting for them either.
`faust_bridge/upstream_internals.py` lists which of aiokafka's internals this depends on.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Mapping
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import ConnectionGroup
from aiokafka.protocol.produce import ProduceRequest

from stream.kafka.client import network_client, request_limits
from stream.kafka.client.connection import Connection

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
    """An AIOKafkaProducer, how many bytes it has buffered, and the time limits of those who wait for it.

    The bytes are counted here only: those of an abandoned producer vanish with it, once.
    """

    def __init__(self, producer: Any) -> None:
        self.producer = producer
        self.buffered_bytes = 0
        self.abandoned = False
        self.limits: set[asyncio.Timeout] = set()
        """They expire at once when this producer is abandoned."""

    def abandon(self) -> None:
        """Abandon it: end all waiting at once, because no answer comes any more."""
        self.abandoned = True
        now = asyncio.get_running_loop().time()
        for limit in self.limits:
            if not limit.expired():
                limit.reschedule(now)

    async def buffered(self, size: int, sending: Awaitable[asyncio.Future[Any]]) -> asyncio.Future[Any]:
        """The future that acknowledges a record of `size` bytes, which count as buffered until then."""
        self.buffered_bytes += size
        try:
            acknowledged = await sending
        except BaseException:
            self._left(size)
            raise
        acknowledged.add_done_callback(lambda _: self._left(size))
        network_client.ignore_failures([acknowledged])  # a caller that awaits it gets it all the same
        return acknowledged

    def _left(self, size: int) -> None:
        self.buffered_bytes -= size


async def idempotent(
    connection: Connection, topic: str | None = None, *, pace_s: float = 0.0, **settings: Any
) -> AIOKafkaProducer:
    """A started producer that knows the metadata of `topic`, if one is given. Raises KafkaError.

    - `pace_s`: shortest time between two requests with records to one broker: what comes meanwhile shares
      the next. aiokafka's `linger_ms` is for each partition by itself.
    - `settings`: aiokafka's, in addition to PRODUCER or overriding it.
    """
    producer = connection.producer(**{**PRODUCER, **settings})
    request_limits.steer(producer.client)
    if pace_s:
        pace(producer.client, pace_s)
    try:
        await producer.start()
        if topic is not None:
            await producer.partitions_for(topic)
    except BaseException:
        await drop(producer)
        raise
    return producer


def pace(client: Any, pace_s: float) -> None:
    """Have an AIOKafkaClient send records to a broker at most every `pace_s`."""
    send, paced_until = client.send, defaultdict[Any, float](float)

    async def paced(node: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        if isinstance(request, ProduceRequest):
            await asyncio.sleep(paced_until[node] - time.monotonic())
            paced_until[node] = time.monotonic() + pace_s
        return await send(node, request, group=group)

    client.send = paced


async def drop(producer: Any) -> None:
    """Close an AIOKafkaProducer without a flush, in at most CLOSE_S, even if the caller is cancelled.

    Never raises.
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
    await network_client.close(producer.client)  # first, so that no task waits for an answer any more
    while tasks:
        await network_client.cancel_all(tasks)
        tasks = _tasks(producer._sender)


def _tasks(sender: Any) -> set[asyncio.Task[Any]]:
    """The sender's task and those that it started: when one fails, it leaves the others running."""
    tasks = set()
    for task in asyncio.all_tasks():
        within = _within(task)
        if within.get("self") is sender:
            tasks.add(task)
            network_client.ignore_failures(within.get("tasks", ()))  # including those that have ended
    return tasks


def _within(task: asyncio.Task[Any]) -> Mapping[str, Any]:
    frame = getattr(task.get_coro(), "cr_frame", None)
    return {} if frame is None else frame.f_locals


def ignore_pending(producer: Any) -> None:
    """Retrieve the exceptions of a producer's pending records and transaction, which nobody awaits now."""
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
