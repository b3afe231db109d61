"""All lanes of this process, for one assignment at a time.

The rule of this file: records pass only while the gate is open, from the end of an assignment's recovery
until the next one begins. `app.rebalancing` and `app.in_recovery` do not cover all of that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.errors import KafkaError
from faust.types import TP, EventT, TopicT

from stream.engine.batch import Processor
from stream.engine.exits import MISFIT, end_process
from stream.engine.lane import REOPEN_EVERY_S, Ground, Lane, Pace, Start
from stream.engine.observer import Observer, Phase
from stream.engine.progress import Progress
from stream.engine.ticks import Wants
from stream.engine.transactions import Closed, LaneProducer
from stream.engine.waits import Waits
from stream.service.errors import said

SESSIONS_UNTIL_EXIT = 2.5
"""A fenced lane waits this many session timeouts for a new assignment."""

log = logging.getLogger("callstream.lanes")


class Lanes:
    """The lanes of `app`. `sources` in their order of precedence; `connection` are aiokafka's settings."""

    def __init__(
        self,
        app: Any,
        *,
        sources: Sequence[str],
        changelog: str,
        connection: Mapping[str, Any],
        processor: Processor,
        observer: Observer,
        pace: Pace,
        max_errors_in_a_row: int,
    ) -> None:
        self.sources = frozenset(sources)
        self.observer = observer
        self.gate: int | None = None
        """The generation whose source records may pass."""
        self.wants = Wants()
        """Which partitions want a tick."""
        self._app = app
        self._order = tuple(sources)
        self._changelog = changelog
        self._connection = connection
        self._processor = processor
        self._pace = pace
        self._max_errors_in_a_row = max_errors_in_a_row
        self.waits = Waits()
        """What is waited for, in sentences."""
        self._lanes: dict[int, Lane] = {}
        self._starts: dict[TP, Start] = {}
        self._parked: set[int] = set()
        self._ends: dict[TP, int] = {}
        self._generation: int | None = None
        self._phase = Phase.STARTING
        self._phase_since = time.monotonic()
        self._interrupted_at: float | None = None
        self._last_batch_at: float | None = None
        self._heard_at: float | None = None
        self._written_at: dict[int, float] = {}

    # What the agents call.

    def topic(self, name: str) -> TopicT[Any]:
        """The source topic `name`, for an agent."""
        if name not in self.sources:
            raise ValueError(f"{name} is not one of the lanes' sources {self._order}")
        return self._app.topic(name, key_type=bytes, value_type=bytes, value_serializer="raw")

    def put(self, event: EventT[Any]) -> None:
        """Give a chunk of records to its lane. Never blocks, never raises."""
        message = event.message
        lane = self._lanes.get(message.partition)
        if lane is None or message.generation_id != self.gate or message.partition in self._parked:
            return  # its assignment is over: whoever has the partition now reads it again
        begin, records, end = message.value
        size = sum([len(value) for record in records if (value := record.value)])
        self.observer.consumed(message.topic, len(records), size)
        if lane.put(message.topic, begin, records, end):
            self._app.consumer.on_buffer_full(message.tp)

    # What the consumer and the recovery call, in this order.

    def interrupt(self) -> None:
        """A rebalance begins: nothing passes any more."""
        self.gate = None
        self._interrupted_at = self._interrupted_at or time.monotonic()
        self.observer.rebalance_started()
        self.enter(Phase.REBALANCING)

    async def close(self, drain_s: float) -> None:
        """Let the batches in work finish, for at most `drain_s`, and give everything up."""
        self.gate = None
        self._generation = None
        lanes, self._lanes = self._lanes, {}
        self._parked.clear()
        self._starts = {}
        self.waits.forget()
        self.wants.forget()
        self._written_at.clear()
        await asyncio.gather(*(lane.close(drain_s) for lane in lanes.values()))
        for lane in lanes.values():
            if lane.is_open:
                self._processor.partition_revoked(lane.partition)

    async def open(self, assigned: set[TP], generation: int) -> None:
        """Fence the former owners of `assigned`. On return their last transactions are ended."""
        await self.close(0)
        by_topic = {
            topic: {tp.partition for tp in assigned if tp.topic == topic}
            for topic in (*self._order, self._changelog)
        }
        numbers = by_topic[self._changelog]
        if any(owned != numbers for owned in by_topic.values()):
            end_process(f"topics are not assigned by partition number: {by_topic}", MISFIT)
        self._generation = generation
        ground = Ground(
            processor=self._processor,
            states=self._app.states,
            observer=self.observer,
            changelog=self._changelog,
            pace=self._pace,
            max_errors_in_a_row=self._max_errors_in_a_row,
            slots=asyncio.Semaphore(self._pace.at_once),
            known_end=lambda tp: self._ends.get(TP(*tp), 0),
            committed=lambda tps: self._app.consumer._thread.committed(tps),
            current=lambda: self._generation == generation == self._app.consumer_generation_id,
            confirmed=lambda: self._confirmed(generation),
            waits=self.waits,
            parked=self._park,
            finished=self._finished,
            drained=self._drained,
            wants=self.wants,
        )
        member = self._app.consumer._thread.member() if numbers else None
        for number in sorted(numbers):
            producer = LaneProducer(self._app.conf.id, number, self._connection, self.observer, member)
            self._lanes[number] = Lane(number, self._order, producer, ground)
        try:
            await asyncio.gather(*(self._fence(lane, generation) for lane in self._lanes.values()))
        except Exception as error:  # not fencing the former owner means not knowing where it stopped
            if self._generation != generation:
                return  # closed meanwhile: this assignment is over
            log.exception("lanes could not be opened")
            end_process(f"producers could not be opened: {said(error)}")

    async def _fence(self, lane: Lane, generation: int) -> None:
        """Open the lane's producer, however long it takes. Raises Closed when the assignment is over."""
        about = ("producer", lane.partition)
        while self._generation == generation:
            try:
                await lane.producer.open()
            except (KafkaError, OSError, TimeoutError) as error:
                why = f"partition {lane.partition}: cannot be opened ({said(error)}): trying again"
                self.waits.begin(about, why)
                await asyncio.sleep(REOPEN_EVERY_S)
            else:
                self.waits.over(about)
                return
        raise Closed("the assignment is over")

    async def _confirmed(self, generation: int) -> bool:
        confirmed: bool = await self._app.consumer._thread.confirmed()
        return confirmed and generation == self._app.consumer_generation_id

    def begin(
        self, starts: Mapping[TP, Start], ends: Mapping[TP, int | None], changelog_ends: Mapping[int, int]
    ) -> None:
        """Where each source partition's reading begins, and where it ends as far as is known.

        `changelog_ends` by partition number: up to where the states are recovered.
        """
        self._starts = dict(starts)
        self._ends = {tp: end or 0 for tp, end in ends.items()}
        for tp, start in starts.items():
            if start.committed is not None and start.committed.offset < start.offset:
                self.expired(tp, start.committed.offset, start.offset)
        for number, lane in self._lanes.items():
            lane.begin(
                {tp.topic: start for tp, start in starts.items() if tp.partition == number},
                changelog_ends[number],
            )

    def starts(self) -> Mapping[TP, Start]:
        """Where the reading of this assignment's sources begins."""
        return self._starts

    async def start(self, generation: int) -> None:
        """Recovered: tell the job what there is and open the gate."""
        for number, lane in list(self._lanes.items()):
            self._processor.partition_assigned(number, self._app.states.items(number))
            lane.is_open = True
            await asyncio.sleep(0)
        if generation != self._generation or generation != self._app.consumer_generation_id:
            return
        for lane in self._lanes.values():
            lane.start()
        self.gate = generation
        seconds = time.monotonic() - (self._interrupted_at or time.monotonic())
        self._interrupted_at = None
        self.observer.rebalance_ended(seconds, len(self._lanes))
        self.enter(Phase.RUNNING)
        log.info("at work on partitions %s, generation %d", sorted(self._lanes), generation)

    # What is told in passing.

    def enter(self, phase: Phase) -> None:
        """The worker is in `phase` now; nothing follows stopping."""
        if phase is not self._phase and self._phase is not Phase.STOPPING:
            self._phase, self._phase_since = phase, time.monotonic()
            self.observer.phase(phase)

    def heard(self, wall_ms: int, ends: Mapping[TP, int]) -> None:
        """The broker answered at `wall_ms`, and source partitions end at `ends`."""
        for tp, end in ends.items():
            if end > self._ends.get(tp, 0):
                self._ends[tp] = end
        if wall_ms:
            at = time.monotonic() - max(0.0, time.time() - wall_ms / 1000)
            self._heard_at = max(self._heard_at or 0.0, at)

    def rewound(self, tp: TP, expected: int, found: int) -> None:
        """A fetch did not follow the one before it; it is asked for again."""
        log.warning(
            "%s-%d: got offset %d, expected %d: fetching again", tp.topic, tp.partition, found, expected
        )
        self.observer.error("rewound")

    def behind(self, tp: TP, expected: int, begin: int, end: int) -> None:
        """A broker's log does not have what comes next. It is not believed: it may have been cut off."""
        self.waits.begin(
            tp,
            f"{tp.topic}-{tp.partition}: offset {expected} is next, the broker that answers has "
            f"{begin}..{end}. "
            "A broker that was cut off says so: asking again until its successor answers. "
            "If the topic was deleted or made anew, stop all workers and delete its offsets of group "
            f"{self._app.conf.id}",
        )
        self.observer.error("stale_broker")

    def follows(self, tp: TP) -> None:
        """Records of `tp` follow those before them."""
        self.waits.over(tp)

    def expired(self, tp: TP, committed: int, begin: int) -> None:
        """Records were deleted by retention before they were read."""
        log.error("%s-%d: records %d..%d expired unread", tp.topic, tp.partition, committed, begin - 1)
        self.observer.error("expired")

    def numbers(self) -> list[int]:
        """The partition numbers at work."""
        return sorted(set(self._lanes) - self._parked) if self.gate is not None else []

    def progress(self) -> Progress:
        """Facts for health."""
        now = time.monotonic()
        lanes = self._lanes.values()
        return Progress(
            phase=self._phase,
            assigned=tuple(sorted(self._lanes)),
            recovered=self.gate is not None,
            parked=tuple(sorted(self._parked)),
            queued=sum(lane.queued for lane in lanes),
            waiting_s=max((lane.waiting_s(now) for lane in lanes), default=0.0),
            phase_s=now - self._phase_since,
            last_batch_s=None if self._last_batch_at is None else now - self._last_batch_at,
            waits=self.waits.sentences(),
            broker_heard_s=None if self._heard_at is None else now - self._heard_at,
            written_s=self._written_s(now),
            errors_in_a_row=max((lane.errors_in_a_row for lane in lanes), default=0),
        )

    async def pulse(self) -> None:
        """Once a second, tell the observer lags and sizes."""
        while True:
            await asyncio.sleep(1.0)
            for number in self.numbers():
                lane = self._lanes.get(number)
                if lane is not None:
                    for topic in self._order:
                        self.observer.lag(topic, number, lane.behind(topic))
                    self.observer.entries(number, self._app.states.count(number))

    def acknowledged(self, number: int) -> None:
        """The broker took a record of ours for a partition."""
        self._heard_at = self._written_at[number] = time.monotonic()

    def _finished(self, number: int) -> None:
        self._last_batch_at = self._heard_at = self._written_at[number] = time.monotonic()

    def _written_s(self, now: float) -> float | None:
        """Of the partition at work that is worst off."""
        numbers = self.numbers()
        if not numbers or any(number not in self._written_at for number in numbers):
            return None
        return max(now - self._written_at[number] for number in numbers)

    def _drained(self, topic: str, number: int) -> None:
        self._app.consumer.on_buffer_drop(TP(topic, number))

    def _park(self, number: int, why: str) -> None:
        generation = self._generation
        self._parked.add(number)
        wait_s = SESSIONS_UNTIL_EXIT * self._app.conf.broker_session_timeout
        log.warning("lane %d has another owner (%s): parked for up to %.0f s", number, why, wait_s)

        def give_up() -> None:
            if self._generation == generation and number in self._parked:
                end_process(f"lane {number} has another owner and no new assignment came")

        asyncio.get_running_loop().call_later(wait_s, give_up)
