"""The archive's member of its consumer group: reads the three topics and writes them into the database.

How far a partition is written says the database, not Kafka: the offsets that are committed to Kafka are for
those who look at the lag. A member has the same partitions of all three topics. When it loses them, what it
has begun to write is finished or refused by the database (`writer.FencedError`).
A database that does not answer is tried again for ever: what is not written stays in Kafka.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from stream.archive.database import reason_of
from stream.archive.store.statements import RecreatedError
from stream.archive.writing.decoded_batch import TopicRecord
from stream.archive.writing.same_topics import SameTopics
from stream.archive.writing.writer import ArchiveWriter, FencedError, OffsetRange
from stream.kafka.client import consumers
from stream.kafka.client.connection import Connection
from stream.kafka.errors import KafkaError, KafkaTimeoutError
from stream.kafka.partitions import TopicPartition
from stream.service.metrics.archive import ArchiveMetrics

BATCH = 10_000
"""Records of one transaction at most."""

PAUSE_S = 0.2
"""Between the beginnings of two transactions, unless more is waiting: a transaction costs more than a row."""

POLL_MS = 500
RETRY_S, LONGEST_RETRY_S = 0.5, 15.0
REJOIN_S = 15.0
CLOSE_S = 5.0
COMMIT_EVERY_S, COMMIT_S = 5.0, 2.0
SILENT_S = 60.0
"""A database that takes so long for one transaction is named as one that does not answer."""

T = TypeVar("T")

log = logging.getLogger("callstream.archive")


class _ReadBatch(NamedTuple):
    """What was read under an assignment. `is_last`: whether nothing more was known to be waiting."""

    assignment: int
    records: list[TopicRecord]
    is_last: bool


class ArchiveConsumer:
    """`topics`: the role (`decoded_batch.ROLES`) of each topic, by its name."""

    def __init__(
        self,
        cluster: Connection,
        topics: Mapping[str, str],
        group: str,
        session_s: float,
        writer: ArchiveWriter,
        metrics: ArchiveMetrics,
    ) -> None:
        self._cluster = cluster
        self._topics = topics
        self._group = group
        self._session_s = session_s
        self._writer = writer
        self._metrics = metrics
        # One thread: what was begun before a rebalance ends before anything after it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="archive-writer")
        self._consumer: Any = None
        self._owned: frozenset[int] = frozenset()
        self._next: dict[TopicPartition, int] = {}
        """How far each partition is written."""
        self._is_durable = False
        """Whether that is on the database's disk: it is before the consumer waits for more."""
        self._ahead: asyncio.Task[_ReadBatch] | None = None
        """Reads what comes after the batch that is being written."""
        self._assignment = 0
        self._commit_at = 0.0
        self.is_assigned = asyncio.Event()
        """Whether the group has told this member its partitions, which may be none."""
        self.trouble: str | None = None
        """Why nothing is written now; None where the database takes what comes."""
        self.topics = SameTopics(topics, metrics)

    async def run(self) -> None:
        """Read and write until cancelled. Raises KafkaError."""
        self._consumer = await consumers.join(
            self._cluster,
            [*self._topics],
            group=self._group,
            session_s=self._session_s,
            rebalance_s=max(self._session_s, REJOIN_S),
            revoked=self._revoked,
            assigned=self._assigned,
            fetch_max_wait_ms=POLL_MS,
        )
        try:
            while True:
                began_s = time.monotonic()
                if await self._step():
                    await asyncio.sleep(max(0.0, began_s + PAUSE_S - time.monotonic()))
        finally:
            await self._drop_ahead()
            await self._commit(CLOSE_S - COMMIT_S)
            await consumers.leave(self._consumer, COMMIT_S)

    async def in_thread(self, work: partial[T]) -> T:
        """Run something with the database between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self, last: Callable[[], object]) -> None:
        """Run something with the database behind all that was begun, and end the thread."""
        running = self._thread.submit(last)
        self._thread.shutdown(wait=False)
        await asyncio.wrap_future(running)

    # -- batches

    async def _step(self) -> bool:
        """Read and write one batch. Returns whether it was the last one for now."""
        try:
            if self._next and await self.topics.have_changed(self._consumer):
                self._next = {}
            if len(self._next) < len(self._owned) * len(self._topics):
                await self._drop_ahead()
                await self._begin()
        except (KafkaError, OSError) as error:
            await self._unreadable(error)
            return True
        batch = await (self._ahead or self._read())
        self._ahead = None if batch.is_last else asyncio.create_task(self._read())
        # The last one may have no record: transaction markers follow the records.
        must_confirm = batch.is_last and not self._is_durable and bool(self._next)
        if batch.assignment == self._assignment and (batch.records or must_confirm):
            await self._write(batch)
        await self._report_lag()
        await self._commit(COMMIT_S)
        return batch.is_last

    async def _read(self) -> _ReadBatch:
        assignment = self._assignment
        records = await self._fetch()
        return _ReadBatch(assignment, records, is_last=await self._is_at_end())

    async def _drop_ahead(self) -> None:
        """What was read ahead is read again, by those whose partitions they are now."""
        reading, self._ahead = self._ahead, None
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _fetch(self) -> list[TopicRecord]:
        try:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH)
        except KafkaError as error:
            await self._unreadable(error)
            return []
        batch = []
        for tp, records in fetched.items():
            first, role = self._next.get(tp), self._topics[tp.topic]
            if first is None:
                continue  # assigned meanwhile: it is read again from where the database says
            if records and records[0].offset < first:
                self.topics.reset()
            batch += [
                TopicRecord(role, tp.topic, tp.partition, one.offset, one.key, one.value)
                for one in records
                if one.offset >= first
            ]
        return batch

    async def _unreadable(self, error: KafkaError | OSError) -> None:
        """Wait. Raises the error where that is of no use."""
        if not getattr(error, "retriable", True) and not isinstance(error, KafkaTimeoutError):
            raise error
        log.warning("the topics cannot be read from Kafka, retrying (%s)", type(error).__name__)
        await asyncio.sleep(RETRY_S)

    async def _begin(self) -> None:
        """Go on where the database says that the partitions are."""
        assignment, owned = self._assignment, self._owned
        partitions = [TopicPartition(topic, number) for topic in self._topics for number in owned]
        ids = await self.topics.read_ids(self._consumer)
        try:
            found = await self._until_done(partial(self._writer.begin, partitions, ids), assignment)
            if found is None:
                return
            await self.topics.compare(self._consumer, found)
        except RecreatedError as error:
            await self.topics.wait_for_rebuild(error)
            return
        if assignment != self._assignment:
            return
        for (topic, number), offset in found.items():
            tp = TopicPartition(topic, number)
            self._consumer.seek(tp, offset)
            self._next[tp] = offset
        self._is_durable = False

    async def _write(self, batch: _ReadBatch) -> None:
        """Write what was read. The last batch is durable, and with it all before it."""
        ends: dict[TopicPartition, int] = {}
        for one in batch.records:
            ends[TopicPartition(one.topic, one.partition)] = one.offset + 1
        numbers = {one.partition for one in batch.records} or self._owned
        spans = {
            (tp.topic, tp.partition): OffsetRange(first, ends.get(tp, first))
            for tp, first in self._next.items()
            if tp.partition in numbers
        }
        others = {
            (tp.topic, tp.partition): at for tp, at in self._next.items() if tp.partition not in numbers
        }
        began_s = time.monotonic()
        try:
            work = partial(self._writer.write, batch.records, spans, others, is_durable=batch.is_last)
            done = await self._until_done(work, batch.assignment)
        except FencedError as error:
            self._metrics.failed("fenced")
            log.info("the archive is at another offset than its writer: reading on from there (%s)", error)
            self._next = {}
            return
        if done is None or batch.assignment != self._assignment:
            return
        self._next.update(ends)
        self._is_durable = batch.is_last
        if not batch.records:
            return
        self._metrics.took(time.monotonic() - began_s, time.time())
        self._metrics.written(
            Counter(one.role for one in batch.records), done.skipped, done.rows, forgotten=done.forgotten
        )

    async def _until_done(self, work: partial[T], assignment: int) -> T | None:
        """Do something with the database, until it answers. None if the partitions were lost meanwhile."""
        failures = 0
        while assignment == self._assignment:
            # A server that is frozen breaks no connection.
            why = f"no answer in {SILENT_S:g} s"
            silent = asyncio.get_running_loop().call_later(SILENT_S, self._in_trouble, why)
            try:
                done = await self.in_thread(work)
            except SQLAlchemyError as error:
                self._metrics.failed("database")
                self._in_trouble(reason_of(error))
                wait_s = min(RETRY_S * 2.0**failures, LONGEST_RETRY_S) * random.uniform(0.8, 1.2)
                failures = min(failures + 1, 10)
                await asyncio.sleep(wait_s)
            else:
                if self.trouble is not None:
                    log.info("the archive's database answers again")
                    self._metrics.goes_on()
                self.trouble = None
                return done
            finally:
                silent.cancel()
        return None

    def _in_trouble(self, why: str) -> None:
        self._metrics.stands_still()
        if why != self.trouble:
            log.error("the archive's database does not take what is written, retrying (%s)", why)
        self.trouble = why

    async def _report_lag(self) -> None:
        behind: Counter[str] = Counter()
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(COMMIT_S):
                for tp in [*self._next]:
                    at = await self._position(tp)
                    end = self._consumer.last_stable_offset(tp) if tp in self._next else None
                    behind[self._topics[tp.topic]] += max(0, (end or 0) - at)
        self._metrics.lag(behind)

    async def _position(self, tp: TopicPartition) -> int:
        """How far a partition is written; where nothing is read ahead, behind transaction markers too."""
        written = self._next.get(tp, 0)
        return written if self._ahead is not None else max(written, await self._consumer.position(tp))

    async def _is_at_end(self) -> bool:
        """Whether all is read that the last fetch of each partition knew of."""
        with contextlib.suppress(KafkaError):
            for tp in [*self._next]:
                if (self._consumer.last_stable_offset(tp) or 0) > await self._consumer.position(tp):
                    return False
        return True

    # -- the group

    async def _commit(self, limit_s: float) -> None:
        """Tell Kafka how far the database is, for those who look at the lag."""
        if time.monotonic() < self._commit_at or not self._next:
            return
        self._commit_at = time.monotonic() + COMMIT_EVERY_S
        try:
            async with asyncio.timeout(limit_s):
                await self._consumer.commit({tp: await self._position(tp) for tp in [*self._next]})
        except (KafkaError, TimeoutError) as error:
            log.debug("offsets were not committed (%s)", type(error).__name__)

    async def _revoked(self) -> None:
        """All partitions are revoked; they may be assigned again."""
        self._assignment += 1
        self._owned, self._next = frozenset(), {}
        self.is_assigned.clear()

    async def _assigned(self, owned: frozenset[int]) -> None:
        self._owned, self._next = owned, {}
        self.is_assigned.set()
