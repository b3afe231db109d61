"""The progress of all pollers (watermarks and backfill jobs), stored in one compacted topic.

Invariants: every store reads the whole topic and keeps the furthest record of each key (`progress.furthest`).
`save` returns only when the record is in Kafka. The end of the topic is found by writing to it: only the true
leader takes a record, while a former leader that was cut off still reports an old end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from stream.kafka.acked_producer import AckedProducer
from stream.kafka.client.connection import Connection
from stream.kafka.errors import KafkaError
from stream.kafka.partitions import TopicPartition
from stream.kafka.topic_reader import ConsumerRecord, TopicReader, ends_by_writing, read_topic
from stream.poller.schedule.progress import (
    BackfillJob,
    Progress,
    UnreadableError,
    Watermark,
    decode,
    encode,
    furthest,
    job_key,
    window_key,
)

SAVE_TIMEOUT_S = 10.0
RETRY_S = 1.0

END = b"end"
"""The key of the records that find the end, one per partition: tombstones, which compaction removes."""

log = logging.getLogger("callstream.poller.windows")

_FindEnds = Callable[[Iterable[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]


class _ProgressRecord(NamedTuple):
    key: bytes
    value: bytes | None


class ProgressStore:
    """The polling topic in memory; `run` must be running. `connection`: settings of the Kafka client."""

    def __init__(
        self,
        topic: str,
        connection: Connection,
        producer: AckedProducer,
        find_ends: _FindEnds | None = None,
    ) -> None:
        self._find_ends = find_ends or partial(ends_by_writing, connection, topic, key=END)
        self._topic = topic
        self._connection = connection
        self._producer = producer
        self._records: dict[str, Watermark | BackfillJob] = {}
        self._loaded = asyncio.Event()
        self._failing = False
        self._changed = asyncio.Event()
        self._changes = 0

    @property
    def is_loaded(self) -> bool:
        return self._loaded.is_set()

    async def wait_until_loaded(self) -> None:
        """Wait until everything that was in the topic at the start has been read."""
        await self._loaded.wait()

    async def wait_for_change(self, seen: int) -> int:
        """Wait until there were more than `seen` changes (0 at first); their number."""
        while self._changes == seen:
            await self._changed.wait()
        return self._changes

    def watermark(self, source: str, account: str) -> Watermark | None:
        record = self._records.get(window_key(source, account))
        return record if isinstance(record, Watermark) else None

    def job(self, id_: str) -> BackfillJob | None:
        record = self._records.get(job_key(id_))
        return record if isinstance(record, BackfillJob) else None

    def jobs(self) -> list[BackfillJob]:
        return [record for record in self._records.values() if isinstance(record, BackfillJob)]

    async def save(self, record: Progress) -> Progress:
        """Write the record, or the further one that is known; what is then known of its key.

        Raises BufferFullError, NotAcknowledgedError: then the record may be in Kafka or not.
        """
        await self.wait_until_loaded()
        record = self._furthest(record)
        written = _ProgressRecord(record.key.encode(), encode(record))
        await self._producer.send_all([written], SAVE_TIMEOUT_S, topic=self._topic)
        return self._keep(record)

    async def remove(self, record: Watermark | BackfillJob) -> None:
        """Remove the record of a key. Raises BufferFullError, NotAcknowledgedError."""
        tombstone = _ProgressRecord(record.key.encode(), None)
        await self._producer.send_all([tombstone], SAVE_TIMEOUT_S, topic=self._topic)
        self._records.pop(record.key, None)

    def _furthest(self, record: Progress) -> Progress:
        known = self._records.get(record.key)
        return furthest(known, record) if isinstance(known, type(record)) else record

    def _keep(self, record: Progress) -> Progress:
        record = self._furthest(record)
        self._records[record.key] = record
        self._notify()
        return record

    def _notify(self) -> None:
        self._changes += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Read the topic from its beginning, for ever. After an error it starts again."""
        while True:
            try:
                async with read_topic(self._connection, self._topic) as reader:
                    await self.follow(reader)
            except (KafkaError, OSError) as error:
                if not self._failing:
                    log.warning("the polling topic cannot be read (%s): retrying", type(error).__name__)
                self._failing = True
            await asyncio.sleep(RETRY_S)

    async def follow(self, reader: TopicReader) -> None:
        """Keep every record that `reader` reads, for ever. Raises KafkaError, OSError."""
        ends = {} if self.is_loaded else await self._find_ends(reader.partitions)
        self._failing = False
        while True:
            if not self.is_loaded and await reader.has_reached(ends):
                self._loaded.set()
            for batch in (await reader.read()).values():
                for record in batch:
                    self._take(record)

    def _take(self, record: ConsumerRecord) -> None:
        if record.key == END:
            return
        if record.value is None:
            self._records.pop((record.key or b"").decode("utf-8", "replace"), None)
            self._notify()
            return
        try:
            self._keep(decode(record.key, record.value))
        except UnreadableError as error:
            log.warning("%s/%d@%d is skipped: %s", self._topic, record.partition, record.offset, error)
