"""Whether the topics are those that the archive has read.

The offsets of a topic that was deleted and made again mean nothing in the new one: with them, some records
would be left out and others be doubled. So nothing is read until the archive is rebuilt.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from typing import Any

from stream.archive.store.statements import RecreatedError
from stream.kafka.client.requests.topic_ids import topic_ids
from stream.kafka.partitions import TopicPartition
from stream.service.metrics.archive import ArchiveMetrics

RECHECK_S = 10.0
CHECK_S = 30.0

log = logging.getLogger("callstream.archive")


class SameTopics:
    """`other`: which topic is another one, None where all are the same."""

    def __init__(self, topics: Collection[str], metrics: ArchiveMetrics) -> None:
        self.other: str | None = None
        self._topics = topics
        self._metrics = metrics
        self._ids: dict[str, str] = {}
        self._check_at = 0.0
        self._was_reset = False

    async def read_ids(self, consumer: Any) -> Mapping[str, str]:
        """The ids of the topics, as far as Kafka tells them. Raises KafkaError, OSError."""
        self._check_at = time.monotonic() + CHECK_S
        self._ids = await topic_ids(consumer, self._topics)
        return self._ids

    def reset(self) -> None:
        """A partition ended before the offset from which it was to be read."""
        self._was_reset = True

    async def have_changed(self, consumer: Any) -> bool:
        """Whether one may have been made again while it was read. Raises KafkaError, OSError."""
        if time.monotonic() >= self._check_at:
            before = self._ids
            found = await self.read_ids(consumer)
            self._was_reset |= any(before.get(topic, id_) != id_ for topic, id_ in found.items())
            self._ids = {**before, **found}
        changed, self._was_reset = self._was_reset, False
        return changed

    async def compare(self, consumer: Any, found: Mapping[tuple[str, int], int]) -> None:
        """`found`: from where the partitions are to be read. Raises RecreatedError, KafkaError."""
        partitions = [TopicPartition(*one) for one in found]
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        for tp, offset in zip(partitions, found.values(), strict=True):
            if offset > ends[tp]:
                raise RecreatedError(f"{tp.topic}[{tp.partition}] ends before offset {offset}")
            # At 0, nothing of it was ever read: an archive begins with what there is.
            if 0 < offset < begins[tp]:
                log.error(
                    "records were deleted before they were archived: %s[%d] offsets %d to %d",
                    *tp,
                    offset,
                    begins[tp] - 1,
                )
        if self.other is not None:
            log.info("the topics are those that the archive has read")
            self.other = None
            self._metrics.goes_on()

    async def wait_for_rebuild(self, error: RecreatedError) -> None:
        """Say it, once, and wait before the next look."""
        self._metrics.failed("recreated")
        if str(error) != self.other:
            log.error("nothing is archived, the archive was written from other topics: %s", error)
        self.other = str(error)
        await asyncio.sleep(RECHECK_S)
