"""Landing: records into Kafka, each acknowledged by the broker before anybody is told that it is there.

The rule of this file: what is said to be landed is in Kafka, and what waits has a bound. aiokafka's
idempotent producer is of no more use after one refused record, and never gives anything up by itself: here it
is replaced in the first case, and whoever waits is told in the second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stream.runtime.producers import drop

ROOM_BYTES = 64 << 20
"""So much may wait for the broker: records that were taken and are not acknowledged."""

OVERHEAD_BYTES = 2048
"""What a waiting record takes beside its value."""

TROUBLED_S = 1.0
"""A broker that has just failed is given no longer: who is told so soon has more attempts left."""

MAX_BATCH_BYTES = 262_144
MAX_REQUEST_BYTES = 8 << 20
PROBE_EVERY_S = 2.0
PROBE_LIMIT_S = 3.0
RETRY_S = 1.0

Produced = Callable[[int, float, bool], None]
"""Told of records: how many, after how many seconds, and whether the broker has them."""

Headers = Sequence[tuple[str, bytes]]


class Landable(Protocol):
    """A record to land."""

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...


log = logging.getLogger("callstream.lander")


class NoRoomError(Exception):
    """Too much waits for the broker already."""


class NotLandedError(Exception):
    """The broker does not have all of the records; some of them it may still get."""


class Lander:
    """A role's producer, for `topic` where nothing else is said. `connection` are aiokafka's settings.

    All calls from the event loop's thread.
    """

    def __init__(
        self,
        topic: str,
        connection: Mapping[str, Any],
        *,
        produced: Produced,
        room_bytes: int = ROOM_BYTES,
    ) -> None:
        self._topic = topic
        self._connection = connection
        self._produced = produced
        self._room = room_bytes
        self._producer: AIOKafkaProducer | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._waiting = 0
        self._heard_at: float | None = None
        self._failed: str | None = "the broker has not answered yet"

    @property
    def waiting_bytes(self) -> int:
        """What waits for the broker."""
        return self._waiting

    def trouble(self) -> str | None:
        """Why the broker does not take writes, as far as is known; None where it does."""
        return self._failed

    async def start(self) -> None:
        """Returns when the broker answers. Raises KafkaError."""
        self._producer = await self._made()
        self._heard()

    async def land(
        self,
        records: Sequence[Landable],
        limit_s: float,
        *,
        topic: str | None = None,
        headers: Headers = (),
    ) -> None:
        """Returns when the broker has all of them; those of one key lie in the order given.

        Raises NoRoomError at once, or NotLandedError after at most `limit_s`, sooner while the broker is in
        trouble: then some may have landed or land later, which does no harm, since their sender's repetition
        is recognised.
        """
        needed = sum(_size(one) for one in records)
        producer = self._producer
        if producer is None:
            raise NotLandedError(self._failed or "the producer is being replaced")
        if self._waiting + needed > self._room:
            raise NoRoomError
        began = time.monotonic()
        if self._failed is not None:
            limit_s = min(limit_s, TROUBLED_S)
        try:
            async with asyncio.timeout(limit_s):
                to = topic or self._topic
                if len(records) == 1:
                    await self._sent(producer, to, records[0], headers)
                else:
                    await asyncio.gather(*(self._sent(producer, to, one, headers) for one in records))
        except TimeoutError:
            self._failed = "the broker does not acknowledge records"
            self._produced(len(records), time.monotonic() - began, False)
            raise NotLandedError(self._failed) from None
        except KafkaError as error:
            self._produced(len(records), time.monotonic() - began, False)
            self._failed = f"the broker refused a record ({type(error).__name__})"
            self._replace(producer)
            raise NotLandedError(self._failed) from error
        self._heard()
        self._produced(len(records), time.monotonic() - began, True)

    async def _sent(self, producer: AIOKafkaProducer, topic: str, one: Landable, headers: Headers) -> None:
        size = _size(one)
        self._waiting += size

        def leave(_: object = None) -> None:
            # A replaced producer's records count no more: they were dropped with it.
            if producer is self._producer:
                self._waiting -= size

        try:
            acknowledged = await producer.send(topic, one.value, one.key, headers=headers or None)
        except BaseException:
            leave()
            raise
        acknowledged.add_done_callback(leave)
        # Whoever gives up waiting does not take the record back: it is in a batch with others.
        await asyncio.shield(acknowledged)

    def _heard(self) -> None:
        self._heard_at = time.monotonic()
        self._failed = None

    async def watch(self) -> None:
        """Ask the broker now and then whether it is there, so that readiness does not wait for a webhook."""
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            producer, heard_at = self._producer, self._heard_at
            if producer is None or (heard_at is not None and time.monotonic() - heard_at < PROBE_EVERY_S):
                continue
            try:
                found = await asyncio.wait_for(producer.client.fetch_all_metadata(), PROBE_LIMIT_S)
            except (KafkaError, OSError, TimeoutError) as error:
                self._failed = f"the broker does not answer ({type(error).__name__})"
                continue
            if found.partitions_for_topic(self._topic):
                self._heard()
            else:
                self._failed = f"the topic {self._topic} is not there"

    def _replace(self, broken: AIOKafkaProducer) -> None:
        if broken is not self._producer:
            return
        log.warning("the producer is replaced: %s", self._failed)
        self._producer = None
        self._waiting = 0
        self._replacing = asyncio.create_task(self._replaced(broken))

    async def _replaced(self, broken: AIOKafkaProducer) -> None:
        await drop(broken)
        while True:
            try:
                self._producer = await self._made()
            except (KafkaError, OSError) as error:
                self._failed = f"the broker does not answer ({type(error).__name__})"
                await asyncio.sleep(RETRY_S)
            else:
                self._heard()
                return

    async def _made(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            **self._connection,
        )
        try:
            await producer.start()
            # Now, so that the first webhook does not wait for it.
            await producer.partitions_for(self._topic)
        except BaseException:
            await drop(producer)
            raise
        return producer

    async def close(self, limit_s: float) -> None:
        """Give what waits `limit_s` to arrive."""
        if self._replacing is not None:
            self._replacing.cancel()
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with contextlib.suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(producer.flush(), limit_s)
        await drop(producer)


def _size(record: Landable) -> int:
    return len(record.value or b"") + OVERHEAD_BYTES
