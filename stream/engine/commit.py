"""Folding and committing a lane's batches: each once, in order, whatever becomes of a transaction.

A state shows in the store only after its commit, and no batch begins before the last one is committed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar, cast

from stream.engine.backlog import BatchSlice
from stream.engine.batch import Batch, BatchPolicy, Output, Processor
from stream.engine.group import Assignment, AssignmentOver
from stream.engine.states import States
from stream.engine.status import EX_SOFTWARE, Observer, Waits, end_process
from stream.engine.ticks import TickSchedule
from stream.kafka.client.network_client import ignore_failures
from stream.kafka.errors import BROKER_AWAY
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import (
    CommittedOffset,
    Fenced,
    TransactionalProducer,
    TransactionFailed,
)
from stream.service.errors import describe

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
REOPEN_EVERY_S = 0.5
FIRST_TIMEOUT_S = 4.0
"""Less than Kafka's own limit for a transaction (15 to 25 s)."""
LONGEST_TIMEOUT_S = 60.0
SLOW_S = 1.0
"""A transaction that takes longer gives its slot to another lane."""

T = TypeVar("T")

log = logging.getLogger("callstream.lanes")


class LaneContext(NamedTuple):
    """What the lanes of one assignment share."""

    assignment: Assignment
    processor: Processor
    states: States
    observer: Observer
    waits: Waits
    changelog: str
    policy: BatchPolicy
    slots: asyncio.Semaphore
    """Limits how many lanes are in a batch at once; the others gather larger ones instead of waiting for the
    broker.
    """
    known_ends: Mapping[TopicPartition, int]
    """Up to where source partitions are known to have records."""
    ticks: TickSchedule
    """Told after each batch when the partition wants a tick."""
    committed: Callable[[int], None]
    """Told of each batch that was committed."""
    suspend: Callable[[int, str], None]
    """Told of a lane that another owner has fenced."""


class Overtaken(Exception):
    """Another owner of the partition has committed: this lane's states are old."""


class BatchCommitter:
    """Folds and commits the batches of lane `partition`."""

    def __init__(self, partition: int, producer: TransactionalProducer, context: LaneContext) -> None:
        self.errors_in_a_row = 0
        self.stopping = False
        """The lane is being closed: nothing is retried."""
        self._partition = partition
        self._producer = producer
        self._context = context
        self._committed: dict[str, CommittedOffset | None] = {}
        self._changelog_end = 0
        self._aborted_in_a_row = 0
        self.timeout_s = FIRST_TIMEOUT_S
        """How long a transaction may take: then it is given up for a new producer with new connections.

        It doubles after each transaction that was given up and stays long while transactions take long: a
        slow cluster is not a broken one.
        """

    async def open(self) -> None:
        """Fence the former owner, however long that takes. Raises AssignmentOver."""
        about = ("producer", self._partition)
        while not self._context.assignment.over:
            try:
                await self._producer.open()
            except BROKER_AWAY as error:
                why = f"partition {self._partition}: cannot be opened ({describe(error)}): trying again"
                self._context.waits.begin(about, why)
                await asyncio.sleep(REOPEN_EVERY_S)
            else:
                self._context.waits.over(about)
                return
        raise AssignmentOver("the assignment is over")

    def begin(self, committed: Mapping[str, CommittedOffset | None], changelog_end: int) -> None:
        """The committed offsets by topic, and up to where the changelog is in the store."""
        self._committed = dict(committed)
        self._changelog_end = changelog_end

    def committed_offset(self, topic: str) -> int | None:
        """None before the group's first commit."""
        committed = self._committed.get(topic)
        return committed.offset if committed else None

    async def run(self, batch: BatchSlice) -> BatchSlice | None:
        """Fold and commit `batch`, then show its states. Returns the records left for the next batch.

        Raises AssignmentOver, Closed, Overtaken.
        """
        context, began = self._context, time.monotonic()
        made = await self._fold(batch)
        process_s = time.monotonic() - began
        left: BatchSlice | None = None
        if made.taken is not None and made.taken < len(batch.records):
            batch, left = batch.split(made.taken)
        end = await self._commit(made, batch)
        if made.states:
            context.states.write(self._partition, made.states, end)
        self._changelog_end = end
        self._committed |= {topic: CommittedOffset(offset, end) for topic, offset in batch.ends.items()}
        self.errors_in_a_row = self._aborted_in_a_row = 0
        made.committed()
        context.committed(self._partition)
        context.ticks.note(self._partition, made.due_s, unfinished=made.unfinished)
        context.observer.batch(self._partition, len(batch.records), process_s, time.monotonic() - began)
        return left

    async def _fold(self, batch: BatchSlice) -> Batch:
        get = self._context.states.reader(self._partition)
        while True:
            try:
                return self._context.processor.process(self._partition, batch.records, get)
            except Exception as error:  # the job's own: no state has changed, the same records come again
                log.exception("lane %d: the job failed on a batch of %d", self._partition, len(batch.records))
                await self._pause("processor", describe(error))

    async def _commit(self, made: Batch, batch: BatchSlice) -> int:
        """Commit the batch, with as many tries as it takes. Returns the changelog offset of its states."""
        outputs: dict[str, list[Output]] = dict(made.outputs)
        changelog = self._context.changelog
        if made.states:
            # Plain tuples: a named one takes ten times as long to make.
            changes = [(key, state, (), None) for key, state in made.states.items()]
            outputs[changelog] = cast("list[Output]", changes)
        while True:
            try:
                return await self._in_time(
                    self._producer.transact(
                        outputs, batch.ends, changelog=changelog, changelog_end=self._changelog_end
                    )
                )
            except Fenced as error:
                kind = "fenced"
                log.warning(
                    "lane %d: Kafka has ended its transaction, which took too long, or another worker has "
                    "opened the lane (%s): asking whose it is",
                    self._partition,
                    error,
                )
            except TransactionFailed as error:
                kind = "refused" if error.refused else "aborted"
                log.error(
                    "lane %d: a batch of %d was not committed: %s", self._partition, len(batch.records), error
                )
            async with self._slot_released():
                end = await self._resolve_unknown_commit(batch)
            if end is not None:
                self._context.observer.error(kind)
                return end
            await self._back_off(kind)

    async def _resolve_unknown_commit(self, batch: BatchSlice) -> int | None:
        """Open the producer again, which ends the transaction, and ask the group for the outcome.

        Returns the changelog offset of the batch's states if it was committed after all, None if it was not.
        Raises AssignmentOver, and Overtaken where another owner has committed.
        """
        context, about = self._context, ("producer", self._partition)
        topics = {topic: TopicPartition(topic, self._partition) for topic in self._committed}
        while True:
            self._check()
            try:
                # A worker that was suspended must not fence its successor: ask the group first.
                if await context.assignment.confirmed():
                    self._check()
                    await self._producer.open()
                    found = await context.assignment.group.reader.committed(list(topics.values()))
                    break
                why = "the group's coordinator does not confirm this worker"
            except BROKER_AWAY as error:
                why = describe(error)
            context.waits.begin(about, f"partition {self._partition}: cannot write ({why}): trying again")
            await asyncio.sleep(REOPEN_EVERY_S)
        self._check()
        context.waits.over(about)
        now = {topic: found[tp] for topic, tp in topics.items()}
        if now == self._committed:
            return None
        ends = [commit.changelog_end for topic in batch.ends if (commit := now[topic])]
        end = max((end for end in ends if end is not None), default=self._changelog_end)
        ours = {topic: CommittedOffset(offset, end) for topic, offset in batch.ends.items()}
        if now == self._committed | ours:
            return end
        raise Overtaken(f"committed are {now}, expected {self._committed} or {batch.ends} beside them")

    def _check(self) -> None:
        if self.stopping:
            raise AssignmentOver("the lane is being closed")
        self._context.assignment.check()

    async def _back_off(self, kind: str) -> None:
        """Before a transaction is retried. Only a refused record counts towards ending the process."""
        if kind == "refused":
            await self._pause(kind, "the broker does not take a record")
            return
        self._context.observer.error(kind)
        self._aborted_in_a_row += 1
        pause_s = FIRST_PAUSE_S * 2.0 ** min(self._aborted_in_a_row - 1, 10)
        await self._sleep(min(pause_s, REOPEN_EVERY_S))

    async def _pause(self, kind: str, why: str) -> None:
        """Before the same batch is tried again; after too many times the process ends."""
        self.errors_in_a_row += 1
        self._context.observer.error(kind)
        if self.errors_in_a_row >= self._context.policy.tries:
            end_process(
                f"lane {self._partition}: the same batch failed {self.errors_in_a_row} times: {why}",
                EX_SOFTWARE,
            )
        await self._sleep(min(FIRST_PAUSE_S * 2 ** (self.errors_in_a_row - 1), LONGEST_PAUSE_S))

    async def _sleep(self, seconds: float) -> None:
        async with self._slot_released():
            await asyncio.sleep(seconds)
        self._check()

    async def _in_time(self, transaction: Coroutine[Any, Any, T]) -> T:
        """Await `transaction`. A slow one has a broker that is away: other lanes have the slot meanwhile.

        Raises TransactionFailed when it takes too long: its outcome is unknown.
        """
        task, began = asyncio.ensure_future(transaction), time.monotonic()
        try:
            await asyncio.wait([task], timeout=SLOW_S)
            if not task.done():
                async with self._slot_released():
                    await asyncio.wait([task], timeout=self.timeout_s - SLOW_S)
            if not task.done():
                self.timeout_s = min(LONGEST_TIMEOUT_S, 2 * self.timeout_s)
                raise TransactionFailed(TimeoutError())
        finally:
            task.cancel()
            ignore_failures([task])
        result = task.result()
        self.timeout_s = max(FIRST_TIMEOUT_S, min(self.timeout_s, 4 * (time.monotonic() - began)))
        return result

    @asynccontextmanager
    async def _slot_released(self) -> AsyncIterator[None]:
        """Let another lane use this lane's slot."""
        slots = self._context.slots
        slots.release()
        try:
            yield
        except asyncio.CancelledError:
            raise  # the lanes are being closed: their slots are not used any more
        except BaseException:
            await slots.acquire()
            raise
        await slots.acquire()
