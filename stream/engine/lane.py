"""One lane: the records of one partition number, folded and committed batch by batch, strictly in order.

The rule of this file: nothing shows in the store that is not committed, and no batch begins before the one
before it is committed. A lane lives for one assignment; what it had not committed when it was closed, the
next owner reads again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar, cast

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from stream.engine.backlog import Backlog, Cut
from stream.engine.batch import Batch, Output, Processor
from stream.engine.changelog_end import Committed
from stream.engine.exits import OWN_FAULT, end_process
from stream.engine.observer import Observer
from stream.engine.states import States
from stream.engine.ticks import Wants
from stream.engine.transactions import Closed, Fenced, LaneProducer, TransactionFailed
from stream.engine.waits import Waits
from stream.kafka.clients import nobody_waits
from stream.service.errors import said

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
REOPEN_EVERY_S = 0.5
SHOWN_S = 0.2
"""Kafka before 4.0 shows the offsets of a transaction a moment after it has ended it."""
PATIENCE_S = 4.0
"""A transaction that is not through by then is given up for a fresh producer with fresh connections, before
Kafka ends it (after 15 to 25 s). The next one has twice as long, and where transactions take long, so have
all: a slow cluster is not a broken one."""
LONGEST_S = 60.0
SLOW_S = 1.0
"""A transaction that takes longer gives its slot to another lane."""

T = TypeVar("T")

log = logging.getLogger("callstream.lanes")


class Pace(NamedTuple):
    """How a lane gathers its batches."""

    max_batch: int = 1000
    collect_s: float = 0.02
    """How long a record waits for company."""
    at_once: int = 3
    """How many lanes of a worker are in a batch at once."""
    hold_s: float = 0.2
    """How long a batch waits for a topic that is known to have unread records."""


class Start(NamedTuple):
    """Where a source partition's reading begins.

    `committed` is what the group has, None before its first commit.
    """

    offset: int
    committed: Committed | None

    @classmethod
    def of(cls, committed: Committed | None, begin: int) -> Start:
        """Where the group stands, but not before what the log is said to keep."""
        return cls(max(begin, committed.offset if committed else 0), committed)


class Ground(NamedTuple):
    """What every lane stands on."""

    processor: Processor
    states: States
    observer: Observer
    changelog: str
    pace: Pace
    max_errors_in_a_row: int
    slots: asyncio.Semaphore
    """So many lanes are in a batch at once; the others gather larger ones instead of waiting for the
    broker.
    """
    known_end: Callable[[TopicPartition], int]
    """Up to where a source partition is known to have records."""
    committed: Callable[[Sequence[TP]], Awaitable[Mapping[TP, Committed | None]]]
    """What the group has committed of source partitions, asked of the broker."""
    current: Callable[[], bool]
    """Whether the assignment that the lanes were opened for still holds, as far as this process has heard."""
    confirmed: Callable[[], Awaitable[bool]]
    """Asks the group's coordinator whether it does."""
    waits: Waits
    parked: Callable[[int, str], None]
    finished: Callable[[int], None]
    """Told of each batch that was committed."""
    drained: Callable[[str, int], None]
    """Told when a topic's queue has room again."""
    wants: Wants
    """Told after each batch when the partition wants a tick."""


class Overtaken(Exception):
    """Another owner of the partition has committed: what this lane knows is old."""


class Lane:
    """The lane of `partition`. `topics` in their order of precedence."""

    def __init__(self, partition: int, topics: Sequence[str], producer: LaneProducer, ground: Ground) -> None:
        self.partition = partition
        self.producer = producer
        self.errors_in_a_row = 0
        self.is_open = False
        self.tail: dict[str, int] = {}
        self._topics = topics
        self._ground = ground
        self._backlog = Backlog(topics)
        self._committed: dict[str, Committed | None] = {}
        self._changelog_end = 0
        self._aborted_in_a_row = 0
        self._patience_s = PATIENCE_S
        self._excused: dict[str, int] = {}
        self._full: set[str] = set()
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._busy_since: float | None = None
        self._in_work = 0
        self._left: Cut | None = None
        self._closing = False

    def begin(self, starts: Mapping[str, Start], changelog_end: int) -> None:
        """Where each topic's reading begins, and up to where the changelog is in the store."""
        self._changelog_end = changelog_end
        self.tail = {topic: start.offset for topic, start in starts.items()}
        self._committed = {topic: start.committed for topic, start in starts.items()}

    def start(self) -> None:
        """Go to work."""
        self._task = asyncio.create_task(self._work(), name=f"lane-{self.partition}")

    @property
    def queued(self) -> int:
        """Records that are fetched and not committed."""
        return self._backlog.size + self._in_work + self._left_over

    @property
    def _left_over(self) -> int:
        """Records of a cut that were not in its first batch."""
        return len(self._left.records) if self._left is not None else 0

    def waiting_s(self, now: float) -> float:
        """How long the lane has had records without a commit."""
        return 0.0 if self._busy_since is None else now - self._busy_since

    def behind(self, topic: str) -> int:
        """How many offsets of `topic` are known and not committed."""
        committed = self._committed.get(topic)
        if committed is None:
            return 0
        return max(0, self._known_end(topic) - committed.offset)

    def put(self, topic: str, begin: int, records: list[object], end: int) -> bool:
        """Queue records fetched from `begin` up to `end`. True when the queue of `topic` is now full."""
        tail = self.tail[topic]
        if begin > tail:
            end_process(
                f"records {tail}..{begin - 1} of {topic}-{self.partition} were lost on the way to their lane"
            )
        if begin < tail:
            records = [record for record in records if record.offset >= tail]  # type: ignore[attr-defined]
        self.tail[topic] = max(tail, end)
        now = time.monotonic()
        if records and self._busy_since is None:
            self._busy_since = now
        self._backlog.add(topic, records, end, now)
        self._arrived.set()
        if self._backlog.queued(topic) >= 2 * self._ground.pace.max_batch:
            self._full.add(topic)
            return True
        return False

    async def close(self, drain_s: float) -> None:
        """Drop what is queued, let the batch in work finish, then give up the producer."""
        self._closing = True
        task, self._task = self._task, None
        if task is not None:
            if self._in_work:
                await asyncio.wait([task], timeout=drain_s)
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=1.0)
        await self.producer.close()

    async def _work(self) -> None:
        pace = self._ground.pace
        try:
            while not self._closing:
                if self._left is None:
                    await self._gather()
                async with self._ground.slots:
                    cut, self._left = self._left, None
                    if cut is None:
                        # Cut only now: what came while the lane stood in line shares the batch.
                        ripe_before = time.monotonic() - pace.collect_s
                        cut = self._backlog.take(pace.max_batch, ripe_before, self._has_unread)
                    if not cut.records:
                        continue
                    self._in_work = len(cut.records)
                    self._room()
                    await self._carry_out(cut)
                self._in_work = 0
                self._busy_since = time.monotonic() if self._backlog.size or self._left else None
        except Closed:
            self._in_work, self._busy_since = 0, None
        except Overtaken as error:
            self._in_work, self._busy_since = 0, None
            self._ground.observer.error("overtaken")
            self._ground.parked(self.partition, str(error))
        except Exception as error:
            log.exception("lane %d", self.partition)
            end_process(f"lane {self.partition}: {said(error)}", OWN_FAULT)

    def _room(self) -> None:
        """Let the topics be fetched again whose queue is down to one batch."""
        for topic in list(self._full):
            if self._backlog.queued(topic) < self._ground.pace.max_batch:
                self._full.discard(topic)
                self._ground.drained(topic, self.partition)

    async def _gather(self) -> None:
        """Wait for records, then for their company, then for topics that are known to be behind."""
        pace = self._ground.pace
        while (oldest := self._backlog.oldest_arrival()) is None:
            self._arrived.clear()
            await self._arrived.wait()
        now = time.monotonic()
        if oldest + pace.collect_s > now:
            await asyncio.sleep(oldest + pace.collect_s - now)
        deadline = time.monotonic() + pace.hold_s
        while missing := self._missing():
            left = deadline - time.monotonic()
            if left <= 0:
                self._excused.update(missing)
                return
            self._arrived.clear()
            await _wait(self._arrived, left)

    def _missing(self) -> dict[str, int]:
        """Topics with nothing queued that have unread records, up to where.

        One that did not come is excused once.
        """
        return {
            topic: self._known_end(topic)
            for topic in self._topics
            if not self._backlog.queued(topic) and topic in self.tail and self._has_unread(topic)
        }

    def _has_unread(self, topic: str) -> bool:
        """Whether `topic` is known to have records that were not fetched, and was not excused from them."""
        return self._known_end(topic) > max(self.tail[topic], self._excused.get(topic, 0))

    def _known_end(self, topic: str) -> int:
        return self._ground.known_end(TopicPartition(topic, self.partition))

    async def _carry_out(self, cut: Cut) -> None:
        began = time.monotonic()
        made = await self._fold(cut)
        process_s = time.monotonic() - began
        cut, left = cut.split(made.taken)
        end = await self._commit(made, cut)
        if made.states:
            self._ground.states.write(self.partition, made.states, end)
        self._changelog_end = end
        self._committed.update(_commits(cut, end))
        self.errors_in_a_row = self._aborted_in_a_row = 0
        self._left = left
        made.committed()
        self._ground.finished(self.partition)
        self._ground.wants.note(self.partition, made.due_s, unfinished=made.unfinished)
        total_s = time.monotonic() - began
        self._ground.observer.batch(self.partition, len(cut.records), process_s, total_s)

    async def _fold(self, cut: Cut) -> Batch:
        get = self._ground.states.reader(self.partition)
        while True:
            try:
                return self._ground.processor.process(self.partition, cut.records, get)
            except (
                Exception
            ) as error:  # the job's own fault: the state is untouched, the same records come again
                log.exception("lane %d: the job failed on a batch of %d", self.partition, len(cut.records))
                await self._pause("processor", said(error))

    async def _commit(self, made: Batch, cut: Cut) -> int:
        """Commit the batch, however often it takes. Returns the changelog's offset that its states need."""
        outputs: dict[str, list[Output]] = dict(made.outputs)
        if made.states:
            # Plain tuples: a named one takes ten times as long to make.
            changes = [(key, state, (), None) for key, state in made.states.items()]
            outputs[self._ground.changelog] = cast("list[Output]", changes)
        offsets = {TopicPartition(topic, self.partition): end for topic, end in cut.ends.items()}
        while True:
            try:
                return await self._patiently(
                    self.producer.transact(
                        outputs, offsets, changelog=self._ground.changelog, needs=self._changelog_end
                    )
                )
            except Fenced as error:
                kind = "fenced"
                log.warning(
                    "lane %d: Kafka has ended its transaction, which took too long, or another worker has "
                    "opened the lane (%s): asking whose it is",
                    self.partition,
                    error,
                )
            except TransactionFailed as error:
                kind = "refused" if error.refused else "aborted"
                log.error(
                    "lane %d: a batch of %d was not committed: %s", self.partition, len(cut.records), error
                )
            async with self._beside():
                end = await self._settled(cut)
            if end is not None:
                self._ground.observer.error(kind)
                return end
            await self._again(kind)

    async def _settled(self, cut: Cut) -> int | None:
        """Open the producer again, which ends the transaction, and see what became of it.

        Returns what its states need of the changelog if it was committed after all, None if it was not.
        Raises Closed where the assignment is over, Overtaken where another owner has committed.
        """
        about = ("producer", self.partition)
        while True:
            self._check()
            try:
                # Whoever woke up after others took over must not fence them: the group is asked first.
                if await self._ground.confirmed():
                    self._check()
                    await self.producer.open()
                    await asyncio.sleep(SHOWN_S)
                    found = await self._ground.committed(
                        [TP(topic, self.partition) for topic in self._committed]
                    )
                    break
                why = "the group's coordinator does not confirm this worker"
            except (KafkaError, OSError, TimeoutError) as error:
                why = said(error)
            self._ground.waits.begin(about, f"partition {self.partition}: cannot write ({why}): trying again")
            await asyncio.sleep(REOPEN_EVERY_S)
        self._check()
        self._ground.waits.over(about)
        now = {topic: found[TP(topic, self.partition)] for topic in self._committed}
        if now == self._committed:
            return None
        ends = {commit.needs for topic in cut.ends if (commit := now[topic])}
        end = max((end for end in ends if end is not None), default=self._changelog_end)
        if now == {**self._committed, **_commits(cut, end)}:
            return end
        raise Overtaken(f"committed are {now}, expected {self._committed} or {cut.ends} beside them")

    def _check(self) -> None:
        if self._closing or not self._ground.current():
            raise Closed("the assignment is over")

    async def _again(self, kind: str) -> None:
        """Before a batch is written again. Only a record that is refused is not the broker's trouble."""
        if kind == "refused":
            await self._pause(kind, "the broker does not take a record")
            return
        self._ground.observer.error(kind)
        self._aborted_in_a_row += 1
        async with self._beside():
            await asyncio.sleep(
                min(FIRST_PAUSE_S * 2.0 ** min(self._aborted_in_a_row - 1, 10), REOPEN_EVERY_S)
            )
        self._check()

    async def _patiently(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for `work`. When it takes long, its broker is away: others have this lane's slot meanwhile.

        Raises TransactionFailed when it takes too long: what became of it is not known.
        """
        task, began = asyncio.ensure_future(work), time.monotonic()
        try:
            await asyncio.wait([task], timeout=SLOW_S)
            if not task.done():
                async with self._beside():
                    await asyncio.wait([task], timeout=self._patience_s - SLOW_S)
            if not task.done():
                self._patience_s = min(LONGEST_S, 2 * self._patience_s)
                raise TransactionFailed(TimeoutError())
        finally:
            task.cancel()
            nobody_waits([task])
        result = task.result()
        self._patience_s = max(PATIENCE_S, min(self._patience_s, 4 * (time.monotonic() - began)))
        return result

    @asynccontextmanager
    async def _beside(self) -> AsyncIterator[None]:
        """Let another lane into this one's slot."""
        slots = self._ground.slots
        slots.release()
        try:
            yield
        except asyncio.CancelledError:
            raise  # the lanes end: nobody counts slots any more
        except BaseException:
            await slots.acquire()
            raise
        await slots.acquire()

    async def _pause(self, kind: str, why: str) -> None:
        self.errors_in_a_row += 1
        self._ground.observer.error(kind)
        if self.errors_in_a_row >= self._ground.max_errors_in_a_row:
            end_process(
                f"lane {self.partition}: the same batch failed {self.errors_in_a_row} times: {why}", OWN_FAULT
            )
        async with self._beside():
            await asyncio.sleep(min(FIRST_PAUSE_S * 2 ** (self.errors_in_a_row - 1), LONGEST_PAUSE_S))
        self._check()


def _commits(cut: Cut, end: int) -> dict[str, Committed]:
    return {topic: Committed(offset, end) for topic, offset in cut.ends.items()}


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
