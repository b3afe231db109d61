"""The acknowledged producer: a record counts as sent only when the broker has acknowledged it.

Waiting has a bound, in bytes and in time. aiokafka's idempotent producer is useless after one refused record
and never gives up by itself: here it is replaced in the first case, and the caller is told in the second.
A record that is refused for its size costs the others nothing but a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.partitioner import DefaultPartitioner

from stream.kafka.client import network_client
from stream.kafka.client.connection import Connection
from stream.kafka.client.producers import OpenProducer, drop, idempotent
from stream.kafka.in_sync import InSyncCheck, min_in_sync_replicas
from stream.kafka.transactional_producer import Produced

BUFFER_BYTES = 64 << 20
"""How much may wait for the broker: records that were taken and are not acknowledged."""

OVERHEAD_BYTES = 2048
"""Memory of a waiting record beside its value."""

OUTAGE_LIMIT_S = 1.0
"""Time limit while the broker is failing: a sender that is told soon has more attempts left."""

ONE_BY_ONE_S = 60.0
"""For this long after a topic refused a record for its size, each of its records is sent in a batch of its
own: the topic's limit is for batches, and a small record must not be refused for its neighbour."""

PROBE_EVERY_S = 2.0
PROBE_LIMIT_S = 2.0
RETRY_S = 1.0
OPEN_LIMIT_S = 10.0

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

Headers = Sequence[tuple[str, bytes]]


class OutgoingRecord(Protocol):
    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...


log = logging.getLogger("callstream.producer")


class BufferFullError(Exception):
    """Too much waits for the broker already."""


class NotAcknowledgedError(Exception):
    """The broker has not acknowledged all of the records. It may still get some of them."""


class RecordTooLargeError(NotAcknowledgedError):
    """The topic takes no record as large as `refused`; the broker has the others. A retry does not help."""

    def __init__(self, topic: str, refused: Sequence[OutgoingRecord]) -> None:
        super().__init__(f"the topic {topic} takes no record of this size (max.message.bytes)")
        self.refused = refused


class _OneByOne:
    """A topic whose records are sent one by one, and the size from which on it refuses all."""

    def __init__(self) -> None:
        self.until = time.monotonic() + ONE_BY_ONE_S
        self.too_large = math.inf


class AckedProducer:
    """A role's producer, for `topic` unless a call names another.

    - `open_producer`: returns a started producer; default: one with these settings.
    - `min_in_sync`: how many replicas of the topic must be in sync; default: the cluster is asked.

    All calls from the event loop's thread.
    """

    def __init__(
        self,
        topic: str,
        connection: Connection,
        *,
        produced: Produced,
        buffer_bytes: int = BUFFER_BYTES,
        open_producer: Callable[[], Awaitable[Any]] | None = None,
        min_in_sync: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._topic = topic
        self._connection = connection
        self._produced = produced
        self._buffer_bytes = buffer_bytes
        self._open_producer = open_producer or self._idempotent
        self._open: OpenProducer | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._parked_bytes = 0
        self._one_by_one: dict[str, _OneByOne] = {}
        self._failed: str | None = "the broker has not answered yet"
        self._under_replicated: str | None = None
        self._in_sync = InSyncCheck(topic, min_in_sync or partial(min_in_sync_replicas, connection, topic))

    @property
    def buffered_bytes(self) -> int:
        """How much waits for the broker."""
        return self._parked_bytes + (0 if self._open is None else self._open.buffered_bytes)

    def trouble(self) -> str | None:
        """Why the broker does not take writes, as far as is known; None where it does."""
        return self._failed or self._under_replicated

    async def start(self) -> None:
        """Returns when the broker answers. Raises KafkaError."""
        self._open = OpenProducer(await self._open_producer())
        self._failed = None

    async def send_all(
        self,
        records: Sequence[OutgoingRecord],
        limit_s: float,
        *,
        topic: str | None = None,
        headers: Headers = (),
    ) -> None:
        """Returns when the broker has acknowledged all of them. Records of one key keep their order.

        Raises BufferFullError at once, RecordTooLargeError when the broker has all the others, or
        NotAcknowledgedError after at most `limit_s`, sooner while the broker is failing. Then the broker may
        have some or get them later, which does no harm: the sender repeats them, and duplicates are
        recognised.
        """
        needed = sum(_size(one) for one in records)
        if self.buffered_bytes + needed > self._buffer_bytes:
            raise BufferFullError
        began = time.monotonic()
        if self.trouble() is not None:
            limit_s = min(limit_s, OUTAGE_LIMIT_S)
        to = topic or self._topic
        try:
            refused = await self._send_until_acknowledged(records, to, headers, began + limit_s, needed)
        except NotAcknowledgedError:
            self._produced(to, len(records), time.monotonic() - began, False)
            raise
        if len(refused) < len(records):
            self._failed = None
            self._produced(to, len(records) - len(refused), time.monotonic() - began, True)
        if refused:
            self._produced(to, len(refused), time.monotonic() - began, False)
            raise RecordTooLargeError(to, refused)

    async def _send_until_acknowledged(
        self, records: Sequence[OutgoingRecord], topic: str, headers: Headers, deadline: float, needed: int
    ) -> list[OutgoingRecord]:
        """Returns the records that are too large when the broker has all others.

        Records that wait in a producer that is abandoned are sent again by its replacement.
        Raises NotAcknowledgedError.
        """
        left, refused = list(records), list[OutgoingRecord]()
        while True:
            producer = self._open or await self._replacement(deadline, needed)
            try:
                # A loop's clock and the monotonic one may differ, so the timeout is relative.
                async with asyncio.timeout(deadline - time.monotonic()) as limit:
                    producer.limits.add(limit)
                    try:
                        await self._send(producer, topic, left, refused, headers)
                    finally:
                        producer.limits.discard(limit)
                return refused
            except TimeoutError:
                if not producer.abandoned:
                    self._failed = "the broker does not acknowledge records"
                    raise NotAcknowledgedError(self._failed) from None
            except _TOO_LARGE as error:
                self._one_by_one.setdefault(topic, _OneByOne())
                self._replace(producer, f"the broker refused a record ({type(error).__name__})")
            except KafkaError as error:
                if not producer.abandoned:
                    self._failed = f"the broker refused a record ({type(error).__name__})"
                    self._replace(producer, self._failed)
                    raise NotAcknowledgedError(self._failed) from error
            if time.monotonic() >= deadline:
                raise NotAcknowledgedError("the producer was replaced")

    async def _send(
        self,
        producer: OpenProducer,
        topic: str,
        left: list[OutgoingRecord],
        refused: list[OutgoingRecord],
        headers: Headers,
    ) -> None:
        """Send `left`. One by one each is removed when it is done, to `refused` if it is too large."""
        one_by_one = self._one_by_one.get(topic)
        if one_by_one is None or one_by_one.until < time.monotonic():
            self._one_by_one.pop(topic, None)
            await self._send_together(producer, topic, left, headers)
            return
        while left:
            size = len(left[0].value or b"")
            if size < one_by_one.too_large:
                try:
                    await self._send_alone(producer, topic, left[0], headers)
                except _TOO_LARGE:
                    one_by_one.too_large = size
                    refused.append(left.pop(0))
                    raise
            else:
                refused.append(left[0])
            left.pop(0)

    async def _send_together(
        self, producer: OpenProducer, topic: str, records: Sequence[OutgoingRecord], headers: Headers
    ) -> None:
        send, said = producer.producer.send, headers or None
        sent = [
            await producer.buffered(
                _size(one), send(topic, one.value, one.key, _partition(one), headers=said)
            )
            for one in records
        ]
        for acknowledged in sent:
            # A caller that stops waiting does not take the record back: it is in a batch with others.
            await asyncio.shield(acknowledged)

    async def _send_alone(
        self, producer: OpenProducer, topic: str, one: OutgoingRecord, headers: Headers
    ) -> None:
        """In a batch that nothing else is put into."""
        partitions = sorted(await producer.producer.partitions_for(topic))
        batch = producer.producer.create_batch()
        batch.append(timestamp=None, key=one.key, value=one.value, headers=list(headers))
        batch.close()
        partition = _partition(one)
        if partition is None:
            partition = DefaultPartitioner()(one.key, partitions, partitions)
        sending = producer.producer.send_batch(batch, topic, partition=partition)
        await asyncio.shield(await producer.buffered(_size(one), sending))

    async def _replacement(self, deadline: float, needed: int) -> OpenProducer:
        """The producer that replaces one that was abandoned. Raises NotAcknowledgedError."""
        if self._replacing is not None:
            self._parked_bytes += needed
            try:
                await asyncio.wait([self._replacing], timeout=max(0.0, deadline - time.monotonic()))
            finally:
                self._parked_bytes -= needed
        if self._open is None:
            raise NotAcknowledgedError(self._failed or "the producer is being replaced")
        return self._open

    async def watch(self) -> None:
        """Check every PROBE_EVERY_S whether the brokers take writes: readiness must not depend on traffic.

        An outage is logged when it begins and when it ends.
        """
        logged = False
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            await self._probe()
            trouble = self.trouble()
            if trouble and not logged:
                log.warning("%s takes no records: %s", self._topic, trouble)
            elif logged and not trouble:
                log.info("%s takes records again", self._topic)
            logged = trouble is not None

    async def _probe(self) -> None:
        producer = self._open
        if producer is None:
            return
        under_replicated = await self._in_sync.shortfall(producer.producer.client, PROBE_LIMIT_S)
        if producer is not self._open:
            return
        self._under_replicated = under_replicated
        # Only an acknowledgement shows that waiting records are acknowledged.
        if under_replicated is None and not producer.buffered_bytes:
            self._failed = None

    def _replace(self, broken: OpenProducer, why: str) -> None:
        if broken is not self._open:
            return
        log.warning("the producer is replaced: %s", why)
        self._open = None
        broken.abandon()
        self._replacing = asyncio.create_task(self._open_replacement(broken))

    async def _open_replacement(self, broken: OpenProducer) -> None:
        await drop(broken.producer)
        while True:
            try:
                async with asyncio.timeout(OPEN_LIMIT_S):
                    producer = OpenProducer(await self._open_producer())
            except (KafkaError, OSError) as error:
                self._failed = f"the broker does not answer ({type(error).__name__})"
                await asyncio.sleep(RETRY_S)
            else:
                self._open, self._failed = producer, None
                return

    async def _idempotent(self) -> AIOKafkaProducer:
        # It knows its topic from the start, so that the first webhook does not wait for metadata.
        return await idempotent(self._connection, self._topic)

    async def close(self, limit_s: float) -> None:
        """Give waiting records `limit_s` to arrive."""
        if self._replacing is not None:
            await network_client.cancel_all([self._replacing])
        producer, self._open = self._open, None
        if producer is None:
            return
        with contextlib.suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(producer.producer.flush(), limit_s)
        producer.abandon()
        await drop(producer.producer)


def _partition(record: OutgoingRecord) -> int | None:
    """The partition that a record names; None where its key chooses one."""
    partition: int | None = getattr(record, "partition", None)
    return partition


def _size(record: OutgoingRecord) -> int:
    return len(record.value or b"") + OVERHEAD_BYTES
