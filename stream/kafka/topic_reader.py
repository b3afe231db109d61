"""Reading topics without a consumer group: committed records only, from the beginning, the end or offsets.

`callstream tail`, the simulator's check and the poller's progress read this way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaTimeoutError

from stream.kafka.client import consumers, request_limits
from stream.kafka.client.admin import admin_client, missing_topics
from stream.kafka.client.connection import Connection
from stream.kafka.client.fetch_sessions import FetchSessions
from stream.kafka.client.network_client import ignore_failures
from stream.kafka.client.producers import drop, idempotent
from stream.kafka.client.requests.topic_ids import topic_ids
from stream.kafka.partitions import TopicPartition

__all__ = [
    "ConsumerRecord",
    "MissingTopicError",
    "Offsets",
    "TopicReader",
    "ends_by_writing",
    "ends_of",
    "offsets_since",
    "read_from",
    "read_topic",
    "records",
    "require_topic",
]

POLL_MS = 500
WRITE_S = 10.0

Offsets = Mapping[TopicPartition, int]


class MissingTopicError(Exception):
    """A topic that should be read does not exist. The message names it."""


class TopicReader:
    """A started consumer without a group."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    @property
    def partitions(self) -> set[TopicPartition]:
        return set(self._consumer.assignment())

    async def topic_id(self, topic: str) -> str | None:
        """None where the topic does not exist or the cluster tells no ids. Raises KafkaError, OSError."""
        return (await topic_ids(self._consumer, [topic])).get(topic)

    async def ends(self, partitions: Collection[TopicPartition] | None = None) -> dict[TopicPartition, int]:
        """The end of each partition (None: of those that are read), as its leader names it now.

        Raises KafkaError.
        """
        wanted = self.partitions if partitions is None else partitions
        found: dict[TopicPartition, int] = await self._consumer.end_offsets(wanted)
        return found

    async def since(self, partitions: Collection[TopicPartition], ms: int) -> dict[TopicPartition, int]:
        """See `offsets_since`."""
        found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, ms))
        return {partition: one.offset for partition, one in found.items() if one is not None}

    async def read(
        self, timeout_ms: int = POLL_MS, partitions: Collection[TopicPartition] = ()
    ) -> Mapping[TopicPartition, list[ConsumerRecord]]:
        """The next records by partition; empty where none came in time. Raises KafkaError.

        `partitions`: only of these, if any are named; the others keep what is fetched of them.
        """
        found: Mapping[TopicPartition, list[ConsumerRecord]] = await self._consumer.getmany(
            *partitions, timeout_ms=timeout_ms
        )
        return found

    async def has_reached(self, ends: Offsets) -> bool:
        """Whether everything before `ends` has been read."""
        for partition, end in ends.items():
            if await self._consumer.position(partition) < end:
                return False
        return True


def read_topic(
    connection: Connection, topic: str, *, from_beginning: bool = True
) -> AbstractAsyncContextManager[TopicReader]:
    """A reader of all partitions of a topic, including those that are added later."""
    reset = "earliest" if from_beginning else "latest"
    return _opened(_consumer(connection, topic, auto_offset_reset=reset), {})


def read_from(
    connection: Connection, start: Offsets, **fetch: int
) -> AbstractAsyncContextManager[TopicReader]:
    """A reader of the partitions in `start`, from these offsets on. `fetch`: aiokafka's settings."""
    return _opened(_consumer(connection, auto_offset_reset="none", **fetch), start)


def _consumer(connection: Connection, *topics: str, **settings: Any) -> AIOKafkaConsumer:
    consumer = connection.consumer(
        *topics,
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        **{**request_limits.CONSUMER, **settings},
    )
    request_limits.steer(consumer._client)
    FetchSessions(consumer)
    return consumer


@asynccontextmanager
async def _opened(consumer: AIOKafkaConsumer, start: Offsets) -> AsyncIterator[TopicReader]:
    try:
        await consumer.start()
        if start:
            consumer.assign(list(start))
        for partition, offset in start.items():
            consumer.seek(partition, offset)
        yield TopicReader(consumer)
    finally:
        await consumers.leave(consumer)


async def records(
    connection: Connection, topic: str, *, from_beginning: bool = False, follow: bool = True
) -> AsyncGenerator[ConsumerRecord, None]:
    """Records of `topic` as they come. Without `follow` it stops where the topic ended when it began."""
    async with read_topic(connection, topic, from_beginning=from_beginning) as reader:
        ends = await reader.ends()
        while True:
            for batch in (await reader.read()).values():
                for record in batch:
                    yield record
            if not follow and await reader.has_reached(ends):
                return


async def require_topic(connection: Connection, topic: str, *, within_s: float) -> None:
    """Raises MissingTopicError if the topic does not exist, and KafkaError if no broker says so in time."""
    try:
        async with asyncio.timeout(within_s), admin_client(connection) as admin:
            await admin.start()
            await _require(admin, [topic])
    except TimeoutError:
        raise KafkaTimeoutError(f"no answer within {within_s:g} s") from None


async def _require(admin: AIOKafkaAdminClient, topics: Collection[str]) -> None:
    if missing := await missing_topics(admin, topics):
        raise MissingTopicError(f"missing topics: {', '.join(missing)}; `callstream topics` creates them")


async def ends_of(connection: Connection, topics: Collection[str]) -> dict[TopicPartition, int]:
    """The end of each partition of `topics`. Raises MissingTopicError, KafkaError."""
    async with admin_client(connection) as admin:
        await admin.start()
        await _require(admin, topics)
        found = await admin.describe_topics(list(topics))
    partitions = [
        TopicPartition(topic["topic"], part["partition"]) for topic in found for part in topic["partitions"]
    ]
    async with _opened(_consumer(connection), {}) as reader:
        return await reader.ends(partitions)


async def offsets_since(
    connection: Connection, partitions: Collection[TopicPartition], since_ms: int
) -> dict[TopicPartition, int]:
    """The first offset of each partition whose record has this time or a later one. A partition without one
    is left out. Raises KafkaError."""
    async with _opened(_consumer(connection), {}) as reader:
        return await reader.since(partitions, since_ms)


async def ends_by_writing(
    connection: Connection, topic: str, partitions: Iterable[TopicPartition], key: bytes
) -> dict[TopicPartition, int]:
    """Write a tombstone of `key` to each partition, and return the offsets after them.

    Only the true leader takes a record. A former leader that was cut off would still name an old end.
    Raises KafkaError, OSError.
    """
    producer = await idempotent(connection, topic)
    try:
        async with asyncio.timeout(WRITE_S):
            sent = {
                one: await producer.send(topic, key=key, value=None, partition=one.partition)
                for one in partitions
            }
            ignore_failures(sent.values())  # but for the first that fails
            return {one: (await written).offset + 1 for one, written in sent.items()}
    finally:
        await drop(producer)
