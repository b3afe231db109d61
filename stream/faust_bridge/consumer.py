"""How records come from Kafka to the lanes: chunks of a partition, through Faust's agents, when the gate is
open.

The rule of this file: a chunk says where its fetch began, so that a hole between the broker and a lane is
seen. Faust commits nothing: offsets go with the lanes' transactions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from aiokafka import TopicPartition
from aiokafka.client import CoordinationType
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

from stream.engine import changelog_end
from stream.engine.changelog_end import Committed
from stream.engine.continuity import Continuity
from stream.engine.partition_log import Fetched
from stream.kafka import clients, consumers, request_limits
from stream.kafka.member_commit import Member
from stream.service.errors import said

if TYPE_CHECKING:
    from stream.engine.lanes import Lanes

T = TypeVar("T")

HELD_BACK_WAIT_S = 0.05
"""How long a fetch may last while a partition is held back: it is asked for again only with the next one."""
IDLE_S = 0.005
LONGEST_POLL_MS = 50
"""aiokafka has one fetch in flight for a broker. Partitions not yet handed out when it began are not in it,
and wait until it returns: with 500 a callback took 116 ms (median at 1 000/s) to its lane, with 50 72."""
DRAIN_S = 4.0
REFRESH_S = 3.0
ASKED_FOR_MS = 10_000
"""For so long a question goes on that no leader answers."""
CONFIRM_S = 2.0
"""A coordinator that does not answer for so long is asked again later."""


log = logging.getLogger("callstream.faust")


class Chunk(NamedTuple):
    """Consecutive records of a partition: fetched from `begin` up to `end`."""

    begin: int
    records: Sequence[Any]
    end: int


class LaneConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that owns the Kafka consumer."""

    logger = log

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        """Extends AIOKafkaConsumerThread._create_worker_consumer: it reads committed only with
        `exactly_once`.
        """
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = LONGEST_POLL_MS
        # A broker that was cut off answers OFFSET_OUT_OF_RANGE. No position is moved on its word.
        consumer._auto_offset_reset = "none"
        consumer._request_timeout_ms = ASKED_FOR_MS
        # Faust wants a request to last longer than a session; only those that wait for other members do.
        return request_limits.steer_member(consumer, self.app.conf.broker_rebalance_timeout)

    async def on_thread_stop(self) -> None:
        """Replaces AIOKafkaConsumerThread.on_thread_stop: aiokafka's `stop` may wait for a broker that is
        away, and lets a cancellation out.
        """
        await super(driver.AIOKafkaConsumerThread, self).on_thread_stop()
        if self._consumer is not None:
            await consumers.leave(self._consumer)

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """Replaces ServiceThread.on_crash, which prints what the error says."""
        self.logger.error("the consumer's thread ended: %s", said(fmt[-1]))

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Replaces AIOKafkaConsumerThread.verify_event_path: it complains of commits that Faust does not
        make.
        """

    async def begins(self, partitions: Sequence[TP]) -> dict[TP, int]:
        """The first offsets that are kept."""
        found = await self._in_thread(self._ensure_consumer().beginning_offsets(_named(partitions)))
        return {TP(*tp): offset or 0 for tp, offset in found.items()}

    async def ends(self, partitions: Sequence[TP]) -> dict[TP, int]:
        """The last stable offsets."""
        found = await self._in_thread(self._ensure_consumer().end_offsets(_named(partitions)))
        return {TP(*tp): offset or 0 for tp, offset in found.items()}

    async def read_from(self, offsets: Mapping[TP, int]) -> None:
        """Fetch from `offsets` next."""
        await self._in_thread(self._seek_wait(self._ensure_consumer(), dict(offsets)))

    async def _in_thread(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` in the thread. Mode's call_thread does not wake it: the work waits for up to a second."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.thread_loop))

    async def fetch(self, partitions: set[TP], timeout_s: float) -> Fetched:
        """Records of `partitions`, waiting up to `timeout_s` for the first."""
        return await self._in_thread(self._fetch(partitions, timeout_s))

    async def _fetch(self, partitions: set[TP], timeout_s: float) -> Fetched:
        consumer = self._ensure_consumer()
        records: Mapping[TopicPartition, Sequence[Any]] = {}
        refused: dict[TP, int] = {}
        try:
            records = await self._fetch_records(consumer, partitions, timeout=timeout_s)
        except OffsetOutOfRangeError as error:  # raised only where no records would be lost with it
            refused = {TP(*tp): offset for tp, offset in error.args[0].items()}
        except NoOffsetForPartitionError:
            # A partition that was just assigned again, without a commit: its lane says where to begin.
            await asyncio.sleep(HELD_BACK_WAIT_S)
        positions: dict[TP, int] = {}
        ends: dict[TP, int] = {}
        heard_ms = 0
        subscription = consumer._subscription.subscription
        assignment = subscription.assignment if subscription is not None else None
        if assignment is not None:
            for tp in partitions:
                state = assignment.state_value(TopicPartition(tp.topic, tp.partition))
                if state is None or state._position is None:
                    continue
                # Control records and aborted ones take offsets and are never handed out: the position knows.
                positions[tp] = state._position
                ends[tp] = state.lso or 0
                heard_ms = max(heard_ms, state.timestamp or 0)
        return Fetched(records, positions, ends, heard_ms, refused)

    async def committed(self, partitions: Sequence[TP]) -> dict[TP, Committed | None]:
        """What the group has committed, asked of its coordinator."""
        return await self._in_thread(self._committed(partitions))

    async def _committed(self, partitions: Sequence[TP]) -> dict[TP, Committed | None]:
        coordinator = self._ensure_consumer()._coordinator
        found = await coordinator.fetch_committed_offsets(_named(partitions))
        return {
            tp: Committed(at.offset, changelog_end.read(at.metadata)) if (at := found.get(tp)) else None
            for tp in partitions
        }

    def member(self) -> Member:
        """This consumer as the group knows it since the last assignment."""
        coordinator = self._ensure_consumer()._coordinator
        return Member(coordinator.generation, coordinator.member_id, coordinator._group_instance_id)

    async def confirmed(self) -> bool:
        """Whether the group's coordinator, as most brokers name it, still counts this consumer in.

        Asked anew, heartbeat and all; what it says of commits afterwards is from there too.
        """
        return await self._in_thread(self._confirmed())

    async def _confirmed(self) -> bool:
        consumer = self._ensure_consumer()
        coordinator = consumer._coordinator
        # As most brokers name it: see `steering`.
        named = await consumer._client.coordinator_lookup(CoordinationType.GROUP, coordinator.group_id)
        if named != coordinator.coordinator_id:
            coordinator.coordinator_dead()
            await asyncio.wait_for(coordinator.ensure_coordinator_known(), CONFIRM_S)
        if named != coordinator.coordinator_id:
            return False
        return bool(await asyncio.wait_for(coordinator._do_heartbeat(), CONFIRM_S))

    async def refresh(self) -> None:
        """Ask anew who leads. Never raises; waits a while for the answer."""
        await self._in_thread(self._refresh())

    async def _refresh(self) -> None:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(self._ensure_consumer()._client.force_metadata_update(), REFRESH_S)


def _named(tps: Sequence[TP]) -> list[TopicPartition]:
    """aiokafka's names for Faust's partitions."""
    return [TopicPartition(tp.topic, tp.partition) for tp in tps]


class LaneConsumer(driver.Consumer):
    """Hands the agents one message for each fetched chunk of a source partition."""

    logger = log

    _thread: LaneConsumerThread

    @property
    def lanes(self) -> Lanes:
        """The lanes of this consumer's app."""
        return cast("Lanes", self.app.lanes)

    def _new_consumer_thread(self) -> LaneConsumerThread:
        """Replaces Consumer._new_consumer_thread: our thread."""
        self._continuity = Continuity()
        self._inquiries: dict[TP, asyncio.Task[None]] = {}
        return LaneConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Replaces faust.transport.consumer.Consumer.getmany, _wait_next_records and _getmany.

        They hand out single records, fetch sources during a rebalance, and sleep a second when all is held
        back. Nothing is yielded: for each message Consumer._drain_messages makes four tasks, which at a
        thousand records a second is most of the work.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        await self._hand_on(timeout)
        handed_on: tuple[tuple[TP, Message], ...] = ()
        for none_left in handed_on:
            yield none_left

    async def _hand_on(self, timeout_s: float) -> None:
        """Fetch once, and give the agents what came."""
        generation = self.app.consumer_generation_id
        wanted = set()
        if self.lanes.gate == generation:
            wanted = {tp for tp in self._get_active_partitions() if tp.topic in self.lanes.sources}
        if not wanted or self.should_stop:
            await asyncio.sleep(IDLE_S)
            return
        now = time.monotonic()
        ready = {tp for tp in wanted if tp not in self._inquiries and self._continuity.may_fetch(tp, now)}
        if not ready:
            await asyncio.sleep(IDLE_S)
            return
        held_back = self._buffered_partitions or len(ready) < len(wanted)
        fetched = await self._thread.fetch(ready, HELD_BACK_WAIT_S if held_back else timeout_s)
        if not self._holds(generation):
            return
        self.lanes.heard(fetched.heard_ms, fetched.ends)
        for tp, offset in fetched.refused.items():
            self._inquiries[tp] = asyncio.create_task(self._refused(tp, offset, generation))
        for atp, records in fetched.records.items():
            tp = TP(atp.topic, atp.partition)
            if not self._holds(generation):
                return
            if tp not in wanted or not await self._continues(tp, records[0].offset):
                continue
            position = fetched.positions.get(tp, 0)
            begin, end = self._continuity.took(tp, max(position, records[-1].offset + 1))
            await self.callback(cast(Message, self._chunk(tp, Chunk(begin, records, end), generation)))

    def _holds(self, generation: int) -> bool:
        return bool(self.flow_active) and self.app.consumer_generation_id == generation == self.lanes.gate

    async def _continues(self, tp: TP, first: int) -> bool:
        """Whether a fetch that starts at `first` follows the last. If not, it is asked for again."""
        if self._continuity.follows(tp, first, time.monotonic()):
            self.lanes.follows(tp)
            return True
        expected = self._continuity.expected[tp]
        self.lanes.rewound(tp, expected, first)
        if first < expected:
            await self._thread.refresh()
        await self._thread.read_from({tp: expected})
        return False

    async def _refused(self, tp: TP, offset: int, generation: int) -> None:
        """A broker says that its log of `tp` has no `offset`: is it behind, or are the records deleted?"""
        try:
            self._continuity.rest(tp, time.monotonic())
            await self._thread.refresh()
            begins, ends = await self._thread.begins([tp]), await self._thread.ends([tp])
            if not self._holds(generation):
                return
            if not self._continuity.begins(tp, offset, begins[tp]):
                self.lanes.behind(tp, offset, begins[tp], ends[tp])
                return
            self.lanes.expired(tp, offset, begins[tp])
            await self._thread.read_from({tp: begins[tp]})
        except (KafkaError, OSError, TimeoutError) as error:  # no leader yet: the next fetch asks again
            log.warning(
                "%s-%d: where it begins is not known: %s", tp.topic, tp.partition, type(error).__name__
            )
        finally:
            self._inquiries.pop(tp, None)

    def _chunk(self, tp: TP, chunk: Chunk, generation: int) -> ConsumerMessage:
        last = chunk.records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            cast(bytes, chunk),
            None,
            0,
            0,
            tp,
            generation_id=generation,
        )

    def _new_offset(self, tp: TP) -> int | None:
        """Replaces faust.transport.consumer.Consumer._new_offset: there is never anything to commit."""
        return None

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Replaces faust.transport.consumer.Consumer._add_gap: every chunk would be a gap."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Extends Consumer.on_partitions_revoked: it forgets first and waits afterwards.

        Lanes finish before.
        """
        self.lanes.interrupt()
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        await self.lanes.close(DRAIN_S)
        self._continuity.begin({})
        for inquiry in list(self._inquiries.values()):
            inquiry.cancel()
        self._buffered_partitions.clear()  # the lanes that would say that they have room again are gone
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Extends Consumer.on_partitions_assigned: the former owners are fenced before any offset is read."""
        if not self.app.should_stop:
            await self._open(assigned, generation_id)
        await super().on_partitions_assigned(assigned, generation_id)

    async def _open(self, assigned: set[TP], generation: int) -> None:
        """Open the lanes as a member of the group: aiokafka sends no heartbeats until they are."""
        beating = asyncio.create_task(self._beat())
        try:
            await self.lanes.open(assigned, generation)
        finally:
            await clients.end([beating])

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.app.conf.broker_heartbeat_interval)
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await self._thread.confirmed()

    async def wait_empty(self) -> None:
        """Replaces Consumer.wait_empty: it waits for ever for the message that an agent's loop still
        refers to.
        """
        await self.lanes.close(DRAIN_S)
        self._unacked_messages.clear()

    async def perform_seek(self) -> None:
        """Replaces Consumer.perform_seek: it skips partitions without a commit, and asks for commits again.

        They must be those that the states were recovered to.
        """
        starts = self.lanes.starts()
        offsets = {tp: start.offset for tp, start in starts.items() if tp in self.assignment()}
        if not offsets:
            return
        self._continuity.begin(offsets)
        self._read_offset.update({tp: offset or None for tp, offset in offsets.items()})
        await self._thread.read_from(offsets)


class LaneTransport(driver.Transport):
    """Faust's transport with our consumer."""

    Consumer = LaneConsumer
