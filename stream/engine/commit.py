"""Folding and committing a lane's batches: each once, in order, whatever becomes of a transaction.

A state shows in the store only after its commit, and no batch begins before the last one is committed.
A batch goes with the transaction that all lanes of the worker share. If that fails, the lane asks the group
for the outcome, and commits by itself what was not committed.
A batch that came to nothing (ticks that found nothing, what was known already) has no transaction of its own:
its offsets go with the next one. Read again, such records come to nothing again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

from stream.engine.backlog import BatchSlice
from stream.engine.batch import Batch, BatchPolicy, Output, Processor
from stream.engine.group import Assignment, AssignmentOver
from stream.engine.shared_transactions import REOPEN_EVERY_S, SharedTransactions, TransactionTimeout
from stream.engine.states import States
from stream.engine.status import EX_SOFTWARE, Observer, Waits, end_process
from stream.engine.ticks import TickSchedule
from stream.kafka.errors import BROKER_AWAY
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import (
    CommittedOffset,
    Fenced,
    TransactionalProducer,
    TransactionFailed,
    TransactionPart,
)
from stream.service.errors import describe

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
COMMIT_EVERY_S = 10.0
"""How old offsets of batches that came to nothing may become before they are committed by themselves."""

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
    transactions: SharedTransactions
    known_ends: Mapping[TopicPartition, int]
    """Up to where source partitions are known to have records."""
    ticks: TickSchedule
    """Told after each batch when the partition wants a tick."""
    committed: Callable[[int], None]
    """Told of each transaction of a lane."""
    suspend: Callable[[int, str], None]
    """Told of a lane that another owner has fenced."""


class Overtaken(Exception):
    """Another owner of the partition has committed: this lane's states are old."""


class BatchCommitter:
    """Folds and commits the batches of lane `partition`. `producer`: for what it has to commit alone."""

    def __init__(self, partition: int, producer: TransactionalProducer, context: LaneContext) -> None:
        self.errors_in_a_row = 0
        self.stopping = False
        """The lane is being closed: nothing is retried."""
        self.timeout = TransactionTimeout()
        self._partition = partition
        self._producer = producer
        self._context = context
        self._committed: dict[str, CommittedOffset | None] = {}
        self._folded: dict[str, int] = {}
        """Offsets that came to nothing and are not committed."""
        self._commit_by = 0.0
        self._changelog_end = 0
        self._aborted_in_a_row = 0

    def begin(self, committed: Mapping[str, CommittedOffset | None], changelog_end: int) -> None:
        """The committed offsets by topic, and up to where the changelog is in the store."""
        self._committed = dict(committed)
        self._changelog_end = changelog_end

    def folded_offset(self, topic: str) -> int | None:
        """Committed, or come to nothing; None before the group's first commit."""
        committed = self._committed.get(topic)
        return self._folded.get(topic, committed.offset if committed else None)

    async def run(self, batch: BatchSlice) -> BatchSlice | None:
        """Fold and commit `batch`, then show its states. Returns the records left for the next batch.

        Raises AssignmentOver, Closed, Overtaken.
        """
        context = self._context
        made, process_s = await self._fold(batch)
        folded_at = time.monotonic()
        left: BatchSlice | None = None
        if made.taken is not None and made.taken < len(batch.records):
            batch, left = batch.split(made.taken)
        if not self._folded:
            self._commit_by = folded_at + COMMIT_EVERY_S
        offsets = self._folded | batch.ends
        commit_s = None
        if made.states or any(made.outputs.values()) or folded_at >= self._commit_by:
            await self._commit(made, offsets, len(batch.records))
            commit_s = time.monotonic() - folded_at
        else:
            self._folded = offsets
        self.errors_in_a_row = self._aborted_in_a_row = 0
        made.committed()
        context.ticks.note(self._partition, made)
        context.observer.batch(self._partition, len(batch.records), process_s, commit_s)
        return left

    async def _fold(self, batch: BatchSlice) -> tuple[Batch, float]:
        """What the job made of `batch`, and in how many seconds."""
        get = self._context.states.reader(self._partition)
        while True:
            async with self._context.transactions.folding():
                began = time.monotonic()
                try:
                    made = self._context.processor.process(self._partition, batch.records, get)
                except Exception as error:  # the job's own: no state has changed, the same records come again
                    log.exception(
                        "lane %d: the job failed on a batch of %d", self._partition, len(batch.records)
                    )
                    why = describe(error)
                else:
                    return made, time.monotonic() - began
            await self._pause("processor", why)

    async def _commit(self, made: Batch, offsets: Mapping[str, int], records: int) -> None:
        """Commit what was folded, with as many tries as it takes, and show its states."""
        outputs: dict[str, list[Output]] = dict(made.outputs)
        if made.states:
            # Plain tuples: a named one takes ten times as long to make.
            changes = [(key, state, (), None) for key, state in made.states.items()]
            outputs[self._context.changelog] = cast("list[Output]", changes)
        try:
            part = TransactionPart(self._partition, outputs, offsets, self._changelog_end)
            end = await self._committed_end(part, records)
        finally:
            await self._producer.close()  # open where the batch was committed alone
        if made.states:
            self._context.states.write(self._partition, made.states, end)
        self._changelog_end = end
        self._committed |= {topic: CommittedOffset(offset, end) for topic, offset in offsets.items()}
        self._folded = {}
        self._context.committed(self._partition)

    async def _committed_end(self, part: TransactionPart, records: int) -> int:
        """Commit `part`. Returns the changelog offset of its states."""
        commit, alone = self._context.transactions.commit, False
        while True:
            try:
                return await commit(part)
            except Fenced as error:
                kind = "fenced"
                log.warning(
                    "lane %d: Kafka has ended its transaction, which took too long, or another worker has "
                    "opened the lane (%s): asking whose it is",
                    self._partition,
                    error,
                )
            except TransactionFailed as error:
                kind = "refused" if error.refused and alone else "aborted"
                log.error("lane %d: a batch of %d was not committed: %s", self._partition, records, error)
            end = await self._resolve_unknown_commit(part)
            if end is not None:
                self._context.observer.error(kind)
                return end
            await self._back_off(kind)
            commit, alone = self._commit_alone, True

    async def _commit_alone(self, part: TransactionPart) -> int:
        ends = await self.timeout.limit(self._producer.transact([part], changelog=self._context.changelog))
        return ends[self._partition]

    async def _resolve_unknown_commit(self, part: TransactionPart) -> int | None:
        """Open the lane's own producer, which ends its transaction, and ask the group for the outcome.

        Returns the changelog offset of the part's states if it was committed after all, None if it was not.
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
        ends = [commit.changelog_end for topic in part.offsets if (commit := now[topic])]
        end = max((end for end in ends if end is not None), default=self._changelog_end)
        ours = {topic: CommittedOffset(offset, end) for topic, offset in part.offsets.items()}
        if now == self._committed | ours:
            return end
        raise Overtaken(f"committed are {now}, expected {self._committed} or {part.offsets} beside them")

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
        await asyncio.sleep(seconds)
        self._check()
