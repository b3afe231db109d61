"""Landing: records into Kafka, each acknowledged by the broker before anybody is told that it is there.

The rule of this file: what is said to be landed is in Kafka, and what waits has a bound. aiokafka's
idempotent producer is of no more use after one refused record, and never gives anything up by itself: here it
is replaced in the first case, and whoever waits is told in the second. A record that is refused for its size
costs nobody else anything but a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.partitioner import DefaultPartitioner

from stream.kafka import clients
from stream.kafka.in_sync import Replication, least_in_sync
from stream.kafka.producers import OpenProducer, drop, idempotent

ROOM_BYTES = 64 << 20
"""So much may wait for the broker: records that were taken and are not acknowledged."""

OVERHEAD_BYTES = 2048
"""What a waiting record takes beside its value."""

TROUBLED_S = 1.0
"""A broker that has just failed is given no longer: who is told so soon has more attempts left."""

APART_S = 60.0
"""For so long after a topic refused a record for its size, each of its records is sent in a batch of its own:
the topic's limit is for batches, and a small record must not be refused for its neighbour."""

PROBE_EVERY_S = 2.0
PROBE_LIMIT_S = 2.0
RETRY_S = 1.0
OPEN_LIMIT_S = 10.0

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

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


class TooLargeError(NotLandedError):
    """The topic takes no record as large as `refused`; the broker has the others. No retry mends it."""

    def __init__(self, topic: str, refused: Sequence[Landable]) -> None:
        super().__init__(f"the topic {topic} takes no record of so many bytes (max.message.bytes)")
        self.refused = refused


class _Apart:
    """A topic whose records are sent one by one. `too_large`: of so many bytes it takes none."""

    def __init__(self) -> None:
        self.until = time.monotonic() + APART_S
        self.too_large = math.inf


class Lander:
    """A role's producer, for `topic` where nothing else is said. `connection` are aiokafka's settings.

    - `opened`: gives a producer that is started; of these settings where nothing else is said.
    - `least_of`: how many replicas of the topic must be in sync; asked of the cluster where nothing is said.

    All calls from the event loop's thread.
    """

    def __init__(
        self,
        topic: str,
        connection: Mapping[str, Any],
        *,
        produced: Produced,
        room_bytes: int = ROOM_BYTES,
        opened: Callable[[], Awaitable[Any]] | None = None,
        least_of: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._topic = topic
        self._connection = connection
        self._produced = produced
        self._room = room_bytes
        self._opened = opened or self._made
        self._open: OpenProducer | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._parked_bytes = 0
        self._apart: dict[str, _Apart] = {}
        self._failed: str | None = "the broker has not answered yet"
        self._short: str | None = None
        self._replicas = Replication(topic, least_of or partial(least_in_sync, connection, topic))

    @property
    def waiting_bytes(self) -> int:
        """What waits for the broker."""
        return self._parked_bytes + (0 if self._open is None else self._open.waiting_bytes)

    def trouble(self) -> str | None:
        """Why the broker does not take writes, as far as is known; None where it does."""
        return self._failed or self._short

    async def start(self) -> None:
        """Returns when the broker answers. Raises KafkaError."""
        self._open = OpenProducer(await self._opened())
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

        Raises NoRoomError at once, TooLargeError when the broker has all the others, or NotLandedError after
        at most `limit_s`, sooner while the broker is in trouble: then some may have landed or land later,
        which does no harm, since their sender's repetition is recognised.
        """
        needed = sum(_size(one) for one in records)
        if self.waiting_bytes + needed > self._room:
            raise NoRoomError
        began = time.monotonic()
        if self.trouble() is not None:
            limit_s = min(limit_s, TROUBLED_S)
        to = topic or self._topic
        try:
            refused = await self._landed(records, to, headers, began + limit_s, needed)
        except NotLandedError:
            self._produced(len(records), time.monotonic() - began, False)
            raise
        if len(refused) < len(records):
            self._heard()
            self._produced(len(records) - len(refused), time.monotonic() - began, True)
        if refused:
            self._produced(len(refused), time.monotonic() - began, False)
            raise TooLargeError(to, refused)

    async def _landed(
        self, records: Sequence[Landable], topic: str, headers: Headers, deadline: float, needed: int
    ) -> list[Landable]:
        """Those that are too large, when the broker has all others. Raises NotLandedError.

        What waits in a producer that is given up is sent once more in the next one.
        """
        left, refused = list(records), list[Landable]()
        while True:
            opened = self._open or await self._next(deadline, needed)
            try:
                # A loop's clock and the monotonic one may differ, so it is given what is left.
                async with asyncio.timeout(deadline - time.monotonic()) as limit:
                    opened.limits.add(limit)
                    try:
                        await self._send(opened, topic, left, refused, headers)
                    finally:
                        opened.limits.discard(limit)
                return refused
            except TimeoutError:
                if not opened.given_up:
                    self._failed = "the broker does not acknowledge records"
                    raise NotLandedError(self._failed) from None
            except _TOO_LARGE as error:
                self._apart.setdefault(topic, _Apart())
                self._replace(opened, f"the broker refused a record ({type(error).__name__})")
            except KafkaError as error:
                if not opened.given_up:
                    self._failed = f"the broker refused a record ({type(error).__name__})"
                    self._replace(opened, self._failed)
                    raise NotLandedError(self._failed) from error
            if time.monotonic() >= deadline:
                raise NotLandedError("the producer was replaced")

    async def _send(
        self,
        opened: OpenProducer,
        topic: str,
        left: list[Landable],
        refused: list[Landable],
        headers: Headers,
    ) -> None:
        """Empties `left`, from its front. Those that are too large by themselves go to `refused`."""
        apart = self._apart.get(topic)
        if apart is None or apart.until < time.monotonic():
            self._apart.pop(topic, None)
            if len(left) == 1:
                await self._sent(opened, topic, left[0], headers)
            else:
                sending = [asyncio.ensure_future(self._sent(opened, topic, one, headers)) for one in left]
                try:
                    await asyncio.gather(*sending)
                except BaseException:
                    await clients.end(sending)  # a producer that is given up answers none of them
                    raise
            return
        while left:
            size = len(left[0].value or b"")
            if size < apart.too_large:
                try:
                    await self._sent_alone(opened, topic, left[0], headers)
                except _TOO_LARGE:
                    apart.too_large = size
                    refused.append(left.pop(0))
                    raise
            else:
                refused.append(left[0])
            left.pop(0)

    async def _sent(self, opened: OpenProducer, topic: str, one: Landable, headers: Headers) -> None:
        sending = opened.producer.send(topic, one.value, one.key, headers=headers or None)
        # Whoever gives up waiting does not take the record back: it is in a batch with others.
        await asyncio.shield(await opened.taking(_size(one), sending))

    async def _sent_alone(self, opened: OpenProducer, topic: str, one: Landable, headers: Headers) -> None:
        """In a batch that nothing else is put into."""
        producer = opened.producer
        partitions = sorted(await producer.partitions_for(topic))
        batch = producer.create_batch()
        batch.append(timestamp=None, key=one.key, value=one.value, headers=list(headers))
        batch.close()
        partition = DefaultPartitioner()(one.key, partitions, partitions)
        sending = producer.send_batch(batch, topic, partition=partition)
        await asyncio.shield(await opened.taking(_size(one), sending))

    async def _next(self, deadline: float, needed: int) -> OpenProducer:
        """The producer that replaces one that was given up. Raises NotLandedError."""
        if self._replacing is not None:
            self._parked_bytes += needed
            try:
                await asyncio.wait([self._replacing], timeout=max(0.0, deadline - time.monotonic()))
            finally:
                self._parked_bytes -= needed
        if self._open is None:
            raise NotLandedError(self._failed or "the producer is being replaced")
        return self._open

    def _heard(self) -> None:
        self._failed = None

    async def watch(self) -> None:
        """Ask the brokers now and then whether they take writes, so that readiness does not wait for a
        webhook: one that comes is told sooner, and one that does not come hides nothing.
        """
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            opened = self._open
            if opened is None:
                continue
            short = await self._replicas.shortfall(opened.producer.client, PROBE_LIMIT_S)
            if opened is not self._open:
                continue
            self._short = short
            # What waits has not been acknowledged: only that would show that records are.
            if short is None and not opened.waiting_bytes:
                self._heard()

    def _replace(self, broken: OpenProducer, why: str) -> None:
        if broken is not self._open:
            return
        log.warning("the producer is replaced: %s", why)
        self._open = None
        broken.give_up()
        self._replacing = asyncio.create_task(self._replaced(broken))

    async def _replaced(self, broken: OpenProducer) -> None:
        await drop(broken.producer)
        while True:
            try:
                async with asyncio.timeout(OPEN_LIMIT_S):
                    opened = OpenProducer(await self._opened())
            except (KafkaError, OSError) as error:
                self._failed = f"the broker does not answer ({type(error).__name__})"
                await asyncio.sleep(RETRY_S)
            else:
                self._open = opened
                self._heard()
                return

    async def _made(self) -> AIOKafkaProducer:
        # Its topic is known from the start, so that the first webhook does not wait for that.
        return await idempotent(self._connection, self._topic)

    async def close(self, limit_s: float) -> None:
        """Give what waits `limit_s` to arrive."""
        if self._replacing is not None:
            await clients.end([self._replacing])
        opened, self._open = self._open, None
        if opened is None:
            return
        with contextlib.suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(opened.producer.flush(), limit_s)
        opened.give_up()
        await drop(opened.producer)


def _size(record: Landable) -> int:
    return len(record.value or b"") + OVERHEAD_BYTES
