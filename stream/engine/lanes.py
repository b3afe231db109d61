"""All lanes of this process, for one assignment at a time.

Records pass only in the open generation: from the end of an assignment's recovery until the next rebalance
begins. Faust's `app.rebalancing` and `app.in_recovery` do not cover all of that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from stream.engine.batch import BatchPolicy, Processor
from stream.engine.commit import LaneContext
from stream.engine.group import Assignment, FetchedChunk, Group
from stream.engine.lane import Lane, StartOffset
from stream.engine.recovery.changelog import ChangelogReader
from stream.engine.shared_transactions import SharedTransactions
from stream.engine.states import States
from stream.engine.status import EX_CONFIG, Observer, Phase, Progress, Waits, end_process
from stream.engine.ticks import TickSchedule
from stream.kafka.client.member_commit import Member
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import Produced, TransactionalProducer
from stream.service.errors import describe

SESSIONS_UNTIL_EXIT = 2.5
"""A fenced lane waits this many session timeouts for a new assignment."""

ProducerFactory = Callable[[int | str, Produced, Member], TransactionalProducer]
"""Makes a transactional producer, whose id ends in the first argument."""

log = logging.getLogger("callstream.lanes")


class Lanes:
    """The lanes of `group`'s member. `sources` in their order of precedence."""

    def __init__(
        self,
        group: Group,
        states: States,
        *,
        sources: Sequence[str],
        changelog: str,
        new_producer: ProducerFactory,
        processor: Processor,
        observer: Observer,
        policy: BatchPolicy,
    ) -> None:
        self.group = group
        self.sources = tuple(sources)
        self.observer = observer
        self.open_generation: int | None = None
        """The generation whose source records may pass."""
        self.ticks = TickSchedule()
        self.waits = Waits()
        self._states = states
        self._changelog = changelog
        self._new_producer = new_producer
        self._processor = processor
        self._policy = policy
        self._lanes: dict[int, Lane] = {}
        self._starts: dict[TopicPartition, StartOffset] = {}
        self._suspended: set[int] = set()
        self._known_ends: dict[TopicPartition, int] = {}
        self._assignment: Assignment | None = None
        self._transactions: SharedTransactions | None = None
        self._phase = Phase.STARTING
        self._phase_since = time.monotonic()
        self._interrupted_at: float | None = None
        self._last_batch_at: float | None = None
        self._heard_at: float | None = None
        self._written_at: dict[int, float] = {}

    # In the order of an assignment.

    async def open(self, assigned: Collection[tuple[str, int]], generation: int) -> None:
        """Fence the former owners of `assigned`. On return their last transactions are ended."""
        await self.close(0)
        by_topic = {
            topic: {number for assigned_topic, number in assigned if assigned_topic == topic}
            for topic in (*self.sources, self._changelog)
        }
        numbers = by_topic[self._changelog]
        if any(owned != numbers for owned in by_topic.values()):
            end_process(f"topics are not assigned by partition number: {by_topic}", EX_CONFIG)
        assignment = self._assignment = Assignment(self.group, generation)
        if not numbers:
            return
        member = self.group.reader.member()

        def new_producer(name: int | str) -> TransactionalProducer:
            return self._new_producer(name, self.observer.produced, member)

        alone = {number: new_producer(f"{number}-alone") for number in sorted(numbers)}
        transactions = self._transactions = SharedTransactions(
            {number: new_producer(number) for number in numbers},
            alone,
            assignment,
            self.waits,
            self._changelog,
            self._policy,
        )
        context = LaneContext(
            assignment=assignment,
            processor=self._processor,
            states=self._states,
            observer=self.observer,
            waits=self.waits,
            changelog=self._changelog,
            policy=self._policy,
            transactions=transactions,
            known_ends=self._known_ends,
            ticks=self.ticks,
            committed=self._batch_committed,
            suspend=self._suspend_fenced,
        )
        for number, producer in alone.items():
            self._lanes[number] = Lane(number, self.sources, producer, context)
        try:
            await transactions.open()
        except Exception as error:  # until the former owner is fenced, its last offset is not known
            if assignment.over:
                return
            log.exception("lanes could not be opened")
            end_process(f"producers could not be opened: {describe(error)}")

    async def recover(self, numbers: Collection[int], generation: int) -> None:
        """Bring the states of partitions `numbers` up to their committed offsets. Raises AssignmentOver."""
        began = time.monotonic()
        self.enter(Phase.RECOVERING)
        changelogs = [TopicPartition(self._changelog, number) for number in sorted(numbers)]
        sources = [TopicPartition(topic, tp.partition) for topic in sorted(self.sources) for tp in changelogs]
        changelog_reader = ChangelogReader(
            self.group.reader,
            self._states,
            self.observer,
            self.waits,
            current=lambda: generation == self.group.generation and self.open_generation is None,
            responded=lambda wall_ms: self.broker_responded(wall_ms, {}),
            group=self.group.id,
        )
        recovered = await changelog_reader.read(changelogs, sources)
        if sources:
            bounds = await changelog_reader.bounds("where the sources begin and end", sources)
            self._starts = {}
            for tp in sources:
                committed, begin = recovered.committed[tp], bounds[tp].begin
                at = committed.offset if committed is not None else 0
                self._starts[tp] = StartOffset(max(begin, at), committed)
                if committed is not None and at < begin:
                    self.report_expired(tp, at, begin)
            self._known_ends.clear()
            self._known_ends.update({tp: bounds[tp].end for tp in sources})
            for number, lane in self._lanes.items():
                lane.begin(
                    {tp.topic: start for tp, start in self._starts.items() if tp.partition == number},
                    recovered.ends[number],
                )
        seconds = time.monotonic() - began
        self.observer.recovery(0)
        self.observer.recovered(len(changelogs), recovered.records, seconds)
        read = (recovered.records, len(changelogs), seconds)
        log.info("read %d changelog records of %d partitions in %.2f s", *read)

    def start_offsets(self) -> dict[TopicPartition, int]:
        """Where the reading of this assignment's sources begins."""
        return {tp: start.offset for tp, start in self._starts.items()}

    async def start(self, generation: int) -> None:
        """Recovered: tell the job its partitions, and open the generation."""
        assignment = self._assignment
        transactions = self._transactions
        if assignment is None or generation != assignment.generation:
            return
        for number, lane in list(self._lanes.items()):
            if not assignment.holds:
                return
            self._processor.partition_assigned(number, self._states.items(number))
            lane.assigned_to_processor = True
            await asyncio.sleep(0)
        if not assignment.holds:
            return
        if transactions is not None:
            transactions.start()
        for lane in self._lanes.values():
            lane.start()
        self.open_generation = generation
        seconds = time.monotonic() - (self._interrupted_at or time.monotonic())
        self._interrupted_at = None
        self.observer.rebalance_ended(seconds, len(self._lanes))
        self.enter(Phase.RUNNING)
        log.info("at work on partitions %s, generation %d", sorted(self._lanes), generation)

    def put(self, chunk: FetchedChunk) -> None:
        """Queue fetched records in their lane. Never blocks, never raises."""
        lane = self._lanes.get(chunk.partition)
        if lane is None or chunk.generation != self.open_generation or chunk.partition in self._suspended:
            return  # of a former assignment: the present owner of the partition reads it again
        newest_ms = chunk.records[-1].timestamp
        self.observer.consumed(chunk.topic, chunk.partition, len(chunk.records), newest_ms)
        lane.put(chunk)

    def interrupt(self) -> None:
        """A rebalance begins: no record passes any more."""
        self.open_generation = None
        self._interrupted_at = self._interrupted_at or time.monotonic()
        self.observer.rebalance_started()
        self.enter(Phase.REBALANCING)

    async def close(self, drain_s: float) -> None:
        """Let the present batches finish, for at most `drain_s`, and give up all lanes."""
        self.open_generation = None
        if self._assignment is not None:
            self._assignment.over = True
        lanes, self._lanes = self._lanes, {}
        self._suspended.clear()
        self._starts = {}
        self.waits.forget()
        self.ticks.forget()
        self._written_at.clear()
        transactions, self._transactions = self._transactions, None
        await asyncio.gather(*(lane.close(drain_s) for lane in lanes.values()))
        if transactions is not None:
            await transactions.close()
        for lane in lanes.values():
            if lane.assigned_to_processor:
                self._processor.partition_revoked(lane.partition)

    # Reports from the consumer, the ticks and the lanes.

    def enter(self, phase: Phase) -> None:
        """The worker is in `phase` now; no phase follows STOPPING."""
        if phase is not self._phase and self._phase is not Phase.STOPPING:
            self._phase, self._phase_since = phase, time.monotonic()
            self.observer.phase(phase)
            log.info("the worker is %s", phase)

    def broker_responded(self, wall_ms: int, ends: Mapping[TopicPartition, int]) -> None:
        """A broker responded at `wall_ms` (0: not known when), and source partitions end at `ends`."""
        for tp, end in ends.items():
            if end > self._known_ends.get(tp, 0):
                self._known_ends[tp] = end
        if wall_ms:
            at = time.monotonic() - max(0.0, time.time() - wall_ms / 1000)
            self._heard_at = max(self._heard_at or 0.0, at)

    def report_expired(self, tp: TopicPartition, first: int, begin: int) -> None:
        """Retention deleted records before they were read."""
        log.error("%s-%d: records %d..%d expired unread", tp.topic, tp.partition, first, begin - 1)
        self.observer.error("expired")

    def tick_acknowledged(self, number: int) -> None:
        """The broker took a tick for a partition."""
        self._heard_at = self._written_at[number] = time.monotonic()

    def _batch_committed(self, number: int) -> None:
        self._last_batch_at = self._heard_at = self._written_at[number] = time.monotonic()

    def _suspend_fenced(self, number: int, why: str) -> None:
        assignment = self._assignment
        self._suspended.add(number)
        wait_s = SESSIONS_UNTIL_EXIT * self.group.session_timeout_s
        log.warning("lane %d has another owner (%s): suspended for up to %.0f s", number, why, wait_s)

        def give_up() -> None:
            if assignment is not None and not assignment.over and number in self._suspended:
                end_process(f"lane {number} has another owner and no new assignment came")

        asyncio.get_running_loop().call_later(wait_s, give_up)

    # For health, metrics and ticks.

    def partition_numbers(self) -> list[int]:
        """The partition numbers whose lanes are running."""
        return sorted(set(self._lanes) - self._suspended) if self.open_generation is not None else []

    def progress(self) -> Progress:
        """Facts for health checks."""
        now = time.monotonic()
        lanes = self._lanes.values()
        return Progress(
            phase=self._phase,
            assigned=tuple(sorted(self._lanes)),
            recovered=self.open_generation is not None,
            suspended=tuple(sorted(self._suspended)),
            queued=sum(lane.queued for lane in lanes),
            waiting_s=max((lane.waiting_s(now) for lane in lanes), default=0.0),
            phase_s=now - self._phase_since,
            last_batch_s=None if self._last_batch_at is None else now - self._last_batch_at,
            waits=self.waits.sentences(),
            broker_heard_s=None if self._heard_at is None else now - self._heard_at,
            written_s=self._written_s(now),
            errors_in_a_row=max((lane.committer.errors_in_a_row for lane in lanes), default=0),
        )

    def _written_s(self, now: float) -> float | None:
        numbers = self.partition_numbers()
        if not numbers or any(number not in self._written_at for number in numbers):
            return None
        return max(now - self._written_at[number] for number in numbers)

    async def report_lag_every_second(self) -> None:
        """Tell the observer lags and sizes, until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            for number in self.partition_numbers():
                for topic in self.sources:
                    self.observer.lag(topic, number, self._lanes[number].lag(topic))
                self.observer.entries(number, self._states.count(number))
