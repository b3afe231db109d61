"""One partition lane: queues the records of one partition number and gathers them into batches.

A lane lives for one assignment. What it had not committed when it was closed, the next owner reads again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stream.engine.backlog import Backlog, BatchSlice
from stream.engine.commit import BatchCommitter, LaneContext, Overtaken
from stream.engine.group import AssignmentOver, FetchedChunk
from stream.engine.status import EX_SOFTWARE, end_process
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import Closed, CommittedOffset, TransactionalProducer
from stream.service.errors import describe

log = logging.getLogger("callstream.lanes")


class StartOffset(NamedTuple):
    """Where a source partition's reading begins.

    `committed` is None before the group's first commit.
    """

    offset: int
    committed: CommittedOffset | None


class Lane:
    """The lane of `partition`. `topics` in their order of precedence."""

    def __init__(
        self, partition: int, topics: Sequence[str], producer: TransactionalProducer, context: LaneContext
    ) -> None:
        """`producer`: for what the lane has to commit alone."""
        self.partition = partition
        self.assigned_to_processor = False
        """The processor was told that the partition is assigned."""
        self._producer = producer
        self.committer = BatchCommitter(partition, producer, context)
        self._partitions = {topic: TopicPartition(topic, partition) for topic in topics}
        self._context = context
        self._backlog = Backlog(topics)
        self._starts: dict[str, int] = {}
        self._next_offsets: dict[str, int] = {}
        self._not_waited_for: dict[str, int] = {}
        self._paused: set[str] = set()
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._busy_since: float | None = None
        self._in_batch = 0
        self._left: BatchSlice | None = None

    def begin(self, starts: Mapping[str, StartOffset], changelog_end: int) -> None:
        """Where each topic's reading begins, and up to where the changelog is in the store."""
        self._starts = {topic: start.offset for topic, start in starts.items()}
        self._next_offsets = dict(self._starts)
        self.committer.begin({topic: start.committed for topic, start in starts.items()}, changelog_end)

    def start(self) -> asyncio.Task[None]:
        """Begin to work on what is queued. The task ends when the lane is closed or suspended."""
        self._task = asyncio.create_task(self._work(), name=f"lane-{self.partition}")
        return self._task

    @property
    def queued(self) -> int:
        """Records that are fetched and not committed."""
        left = len(self._left.records) if self._left is not None else 0
        return self._backlog.size + self._in_batch + left

    def waiting_s(self, now: float) -> float:
        """How long the lane has had records without a commit."""
        return 0.0 if self._busy_since is None else now - self._busy_since

    def lag(self, topic: str) -> int:
        """How many offsets of `topic` are known and not folded and committed."""
        # Before the first commit, and where retention has deleted what follows it, reading begins later.
        folded = max(self.committer.folded_offset(topic) or 0, self._starts.get(topic, 0))
        known_end = self._context.known_ends.get(self._partitions[topic], 0)
        return max(0, known_end - folded)

    def put(self, chunk: FetchedChunk) -> None:
        """Queue fetched records; pauses their partition when its queue is full."""
        topic, records, expected = chunk.topic, chunk.records, self._next_offsets[chunk.topic]
        if chunk.begin > expected:
            end_process(
                f"records {expected}..{chunk.begin - 1} of {topic}-{self.partition} were lost on the way to "
                "their lane"
            )
        if chunk.begin < expected:
            records = [record for record in records if record.offset >= expected]
        self._next_offsets[topic] = max(expected, chunk.end)
        now = time.monotonic()
        if records and self._busy_since is None:
            self._busy_since = now
        self._backlog.add(topic, records, chunk.end, now)
        self._context.transactions.arrived(len(records))
        self._arrived.set()
        if self._backlog.sizes[topic] >= 2 * self._context.policy.max_batch:
            self._paused.add(topic)
            self._context.assignment.group.pause(topic, self.partition)

    async def close(self, drain_s: float) -> None:
        """Drop what is queued, let the present batch finish, then give up the producer."""
        self.committer.stopping = True
        task, self._task = self._task, None
        if task is not None:
            if self._in_batch:
                await asyncio.wait([task], timeout=drain_s)
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=1.0)
        await self._producer.close()

    async def _work(self) -> None:
        policy = self._context.policy
        try:
            while not self.committer.stopping:
                if self._left is None:
                    await self._gather()
                batch, self._left = self._left, None
                if batch is None:
                    ripe_before = time.monotonic() - policy.collect_s
                    batch = self._backlog.take(policy.max_batch, ripe_before, self._unread_end)
                if not batch.records:
                    continue
                self._in_batch = len(batch.records)
                for topic in list(self._paused):
                    if self._backlog.sizes[topic] < policy.max_batch:
                        self._paused.discard(topic)
                        self._context.assignment.group.resume(topic, self.partition)
                self._left = await self.committer.run(batch)
                self._in_batch = 0
                self._busy_since = time.monotonic() if self._backlog.size or self._left else None
        except (AssignmentOver, Closed):
            self._in_batch, self._busy_since = 0, None
        except Overtaken as error:
            self._in_batch, self._busy_since = 0, None
            self._context.observer.error("overtaken")
            self._context.suspend(self.partition, str(error))
        except Exception as error:
            log.exception("lane %d", self.partition)
            end_process(f"lane {self.partition}: {describe(error)}", EX_SOFTWARE)

    async def _gather(self) -> None:
        """Wait for records, for the next transaction, then for topics with unread records."""
        policy = self._context.policy
        while (oldest := self._backlog.oldest_arrival()) is None:
            self._arrived.clear()
            await self._arrived.wait()
        await asyncio.sleep(max(0.0, oldest + policy.collect_s - time.monotonic()))
        if self._backlog.size < policy.max_batch:
            await self._context.transactions.due()
        deadline = time.monotonic() + policy.hold_s
        while missing := {
            topic: end
            for topic, queued in self._backlog.sizes.items()
            if not queued and (end := self._unread_end(topic))
        }:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                self._not_waited_for |= missing  # what did not come in time is not waited for again
                return
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), left_s)

    def _unread_end(self, topic: str) -> int:
        """Up to where `topic` has unread records that are to be waited for, as far as is known; else 0."""
        end = self._context.known_ends.get(self._partitions[topic], 0)
        return end if end > max(self._next_offsets[topic], self._not_waited_for.get(topic, 0)) else 0
