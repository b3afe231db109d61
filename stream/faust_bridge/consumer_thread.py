"""The thread that owns the Kafka consumer: the engine's `PartitionReader`, and the group's membership."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from aiokafka.client import CoordinationType
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from stream.engine.group import FetchedRecords
from stream.engine.source_reader import HELD_BACK_WAIT_S
from stream.engine.status import end_process
from stream.kafka.client import consumers, request_limits
from stream.kafka.client.fetch_sessions import FetchSessions
from stream.kafka.client.member_commit import Member
from stream.kafka.client.requests.static_member import notice_replaced
from stream.kafka.client.stable_offsets import read_stable
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import CommittedOffset
from stream.service.errors import describe

P = ParamSpec("P")
T = TypeVar("T")

FETCH_BYTES = 1 << 20
LONGEST_POLL_MS = 500
"""How long a fetch waits at a broker that has nothing; less where a partition is not in it."""
REFRESH_S = 3.0
REQUEST_TIMEOUT_MS = 10_000
"""How long a request without an answering leader lasts."""
CONFIRM_S = 2.0
"""A coordinator that does not answer within this time is asked again later."""

log = logging.getLogger("callstream.faust")


def _in_thread(
    work: Callable[Concatenate[LaneConsumerThread, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[LaneConsumerThread, P], Coroutine[Any, Any, T]]:
    """Run a method in the thread. Mode's call_thread does not wake it: work waits for up to a second."""

    async def run(self: LaneConsumerThread, /, *args: P.args, **kwargs: P.kwargs) -> T:
        running = asyncio.run_coroutine_threadsafe(work(self, *args, **kwargs), self.thread_loop)
        return await asyncio.wrap_future(running)

    return run


class LaneConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, reading committed records from the offsets that the lanes say."""

    logger = log

    fetch_sessions: FetchSessions

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> Any:
        """Replaces AIOKafkaConsumerThread._create_consumer: Faust's knows no rack, and it reads
        committed only with `exactly_once`.
        """
        conf = self.app.conf
        self._assignor = self.app.assignor
        consumer = self.app.connection.consumer(
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            # A broker that was cut off answers OFFSET_OUT_OF_RANGE. No position is moved on its word.
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=LONGEST_POLL_MS,
            max_partition_fetch_bytes=FETCH_BYTES,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
        )
        request_limits.steer_member(consumer, conf.broker_rebalance_timeout)
        read_stable(consumer._client)
        if instance_id := conf.consumer_group_instance_id:
            notice_replaced(consumer, instance_id, lambda: _end_replaced(instance_id))
        self.fetch_sessions = FetchSessions(consumer)
        return consumer

    async def on_thread_stop(self) -> None:
        """Replaces AIOKafkaConsumerThread.on_thread_stop: aiokafka's `stop` may wait for a broker that is
        away, and lets a cancellation out.
        """
        await super(driver.AIOKafkaConsumerThread, self).on_thread_stop()
        if self._consumer is not None:
            await consumers.leave(self._consumer)

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """Replaces ServiceThread.on_crash, which prints the error's text."""
        self.logger.error("the consumer's thread ended: %s", describe(fmt[-1]))

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Replaces AIOKafkaConsumerThread.verify_event_path: it complains of commits that Faust does not
        make.
        """

    @_in_thread
    async def begins(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        found = await self._ensure_consumer().beginning_offsets(_plain(partitions))
        return {tp: offset or 0 for tp, offset in found.items()}

    @_in_thread
    async def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        found = await self._ensure_consumer().end_offsets(_plain(partitions))
        return {tp: offset or 0 for tp, offset in found.items()}

    @_in_thread
    async def read_from(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self._seek_wait(self._ensure_consumer(), dict(offsets))

    @_in_thread
    async def fetch(self, partitions: set[TopicPartition], timeout_s: float) -> FetchedRecords:
        consumer, sessions = self._ensure_consumer(), self.fetch_sessions
        sessions.awaited, sessions.longest_wait_ms = partitions, int(timeout_s * 1000)
        records: Mapping[TopicPartition, Sequence[Any]] = {}
        refused: Mapping[TopicPartition, int] = {}
        try:
            records = await self._fetch_records(consumer, partitions, timeout=timeout_s)
        except OffsetOutOfRangeError as error:  # raised only where no records would be lost with it
            refused = dict(error.args[0])
        except NoOffsetForPartitionError:
            # A partition that was just assigned again, without a commit: its lane says where to begin.
            await asyncio.sleep(HELD_BACK_WAIT_S)
        positions: dict[TopicPartition, int] = {}
        ends: dict[TopicPartition, int] = {}
        subscription = consumer._subscription.subscription
        assignment = subscription.assignment if subscription is not None else None
        if assignment is not None:
            for tp in partitions:
                state = assignment.state_value(tp)
                if state is None or state._position is None:
                    continue
                # Control records and aborted ones take offsets and are never handed out: the position knows.
                positions[tp] = state._position
                ends[tp] = state.lso or 0
        return FetchedRecords(records, positions, ends, int(sessions.responded_s * 1000), refused)

    @_in_thread
    async def committed(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset | None]:
        async with asyncio.timeout(CONFIRM_S):  # then the caller says what it waits for
            found = await self._ensure_consumer()._coordinator.fetch_committed_offsets(_plain(partitions))
        return {
            tp: CommittedOffset.read(at.offset, at.metadata) if (at := found.get(tp)) else None
            for tp in partitions
        }

    @_in_thread
    async def refresh(self) -> None:
        """Refresh the metadata, for at most REFRESH_S. Never raises."""
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(self._ensure_consumer()._client.force_metadata_update(), REFRESH_S)

    def member(self) -> Member:
        """This consumer as the group knows it since the last assignment."""
        coordinator = self._ensure_consumer()._coordinator
        return Member(coordinator.generation, coordinator.member_id, coordinator._group_instance_id)

    @_in_thread
    async def confirmed(self) -> bool:
        """Whether the group's coordinator, as most brokers name it, still counts this consumer in.

        Asked anew, with a heartbeat; committed offsets that are asked for afterwards come from it too.
        """
        consumer = self._ensure_consumer()
        coordinator = consumer._coordinator
        # As most brokers name it: see `request_limits`.
        named = await consumer._client.coordinator_lookup(CoordinationType.GROUP, coordinator.group_id)
        if named != coordinator.coordinator_id:
            coordinator.coordinator_dead()
            await asyncio.wait_for(coordinator.ensure_coordinator_known(), CONFIRM_S)
        if named != coordinator.coordinator_id:
            return False
        return bool(await asyncio.wait_for(coordinator._do_heartbeat(), CONFIRM_S))


def _end_replaced(instance_id: str) -> None:
    end_process(
        f"another process has joined the group as CALLSTREAM_INSTANCE_ID={instance_id}: "
        "each worker needs a name of its own"
    )


def _plain(tps: Sequence[TopicPartition]) -> list[TopicPartition]:
    """As aiokafka's own type, which some of its methods check; Faust's is equal and hashes alike."""
    return [TopicPartition(*tp) for tp in tps]
