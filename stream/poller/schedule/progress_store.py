"""The store: what all pollers know of how far the providers are read, kept in one compacted topic.

The rule of this file: every store reads the whole topic, and of each key keeps what says most (see
`progress.further`). What is noted is in Kafka before anybody goes on. Where the topic ends is what its leader
says that takes a record of ours: a former leader that was cut off names an old end, but takes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from stream.kafka.acked_producer import Lander
from stream.kafka.errors import KafkaError
from stream.kafka.partitions import TopicPartition
from stream.kafka.topic_reader import ConsumerRecord, TopicReader, ends_by_writing, read_topic
from stream.poller.schedule.progress import (
    BackfillJob,
    Said,
    UnreadableError,
    Watermark,
    decoded,
    encoded,
    further,
    job_key,
    window_key,
)

NOTE_S = 10.0
"""The broker has so long to take a note."""

RETRY_S = 1.0
END = b"end"
"""The key of the records that find the end, one a partition: tombstones, which compaction removes."""

log = logging.getLogger("callstream.polling")

_Kind = TypeVar("_Kind", bound=Watermark | BackfillJob)


class _Note(NamedTuple):
    """A record to land."""

    key: bytes | None
    value: bytes | None


class ProgressStore:
    """The polling topic in memory. `connection` are aiokafka's settings; `run` must be running."""

    def __init__(
        self,
        topic: str,
        connection: Mapping[str, Any],
        lander: Lander,
        ended: Callable[[Iterable[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]] | None = None,
    ) -> None:
        self._ended = ended or partial(ends_by_writing, connection, topic, key=END)
        self._topic = topic
        self._connection = connection
        self._lander = lander
        self._said: dict[str, Watermark | BackfillJob] = {}
        self._read = asyncio.Event()
        self._troubled = False
        self._change = asyncio.Event()
        self._changes = 0

    async def ready(self) -> None:
        """Returns when all that was in the topic at the start has been read."""
        await self._read.wait()

    async def changed(self, since: int) -> int:
        """Returns when more has been said than `since` things (0 at first): how many it is now."""
        while self._changes == since:
            await self._change.wait()
        return self._changes

    def watermark(self, source: str, account: str) -> Watermark | None:
        return self._of(window_key(source, account), Watermark)

    def job(self, id_: str) -> BackfillJob | None:
        return self._of(job_key(id_), BackfillJob)

    def jobs(self) -> list[BackfillJob]:
        return [said for said in self._said.values() if isinstance(said, BackfillJob)]

    def _of(self, key: str, kind: type[_Kind]) -> _Kind | None:
        said = self._said.get(key)
        return said if isinstance(said, kind) else None

    async def save(self, said: Said) -> Said:
        """Returns what is known of its key when the broker has it: `said`, or what says more.

        Raises NoRoomError, NotLandedError: then it may be there or not.
        """
        await self.ready()
        most = self._most(said)
        record = _Note(most.key.encode(), encoded(most))
        await self._lander.land([record], NOTE_S, topic=self._topic)
        return self._keep(most)

    def _most(self, said: Said) -> Said:
        known = self._of(said.key, type(said))
        return said if known is None else further(known, said)

    def _keep(self, said: Said) -> Said:
        most = self._most(said)
        self._said[said.key] = most
        self._tell()
        return most

    def _tell(self) -> None:
        self._changes += 1
        self._change.set()
        self._change = asyncio.Event()

    async def run(self) -> None:
        """Read the topic, from its beginning on, for ever. What ends the reading begins it again."""
        while True:
            try:
                async with read_topic(self._connection, self._topic) as reader:
                    await self._follow(reader)
            except (KafkaError, OSError) as error:
                if not self._troubled:
                    log.warning("the polling topic cannot be read (%s): once more", type(error).__name__)
                self._troubled = True
            await asyncio.sleep(RETRY_S)

    async def _follow(self, reader: TopicReader) -> None:
        ends = {} if self._read.is_set() else await self._ended(reader.partitions)
        self._troubled = False
        while True:
            if not self._read.is_set() and await reader.has_reached(ends):
                self._read.set()
            for batch in (await reader.read()).values():
                for record in batch:
                    self._take(record)

    def _take(self, record: ConsumerRecord) -> None:
        if record.key == END:
            return
        if record.value is None:
            self._said.pop((record.key or b"").decode("utf-8", "replace"), None)
            self._tell()
            return
        try:
            said = decoded(record.key, record.value)
        except UnreadableError as error:
            log.warning("%s/%d@%d is skipped: %s", self._topic, record.partition, record.offset, error)
            return
        self._keep(said)
