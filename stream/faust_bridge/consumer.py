"""How records come from Kafka to the lanes: chunks of a partition, through Faust's agents, in the open
generation.

Faust commits nothing: offsets are committed in the lanes' transactions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

from stream.engine.group import FetchedChunk
from stream.engine.lanes import Lanes
from stream.engine.source_reader import IDLE_S, SourceReader
from stream.faust_bridge.consumer_thread import LaneConsumerThread
from stream.kafka.client import network_client
from stream.kafka.errors import BROKER_AWAY

DRAIN_S = 4.0

log = logging.getLogger("callstream.faust")


class LaneConsumer(driver.Consumer):
    """Hands the agents one message for what a fetch brought of their topic."""

    logger = log

    _thread: LaneConsumerThread

    @property
    def lanes(self) -> Lanes:
        """The lanes of this consumer's app."""
        return cast(Lanes, self.app.lanes)

    def _new_consumer_thread(self) -> LaneConsumerThread:
        """Replaces Consumer._new_consumer_thread: our thread."""
        thread = LaneConsumerThread(self, loop=self.loop, beacon=self.beacon)
        self.source_reader = SourceReader(
            thread, self.lanes, deliver=self._deliver, flowing=lambda: bool(self.flow_active)
        )
        return thread

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Replaces faust.transport.consumer.Consumer.getmany, _wait_next_records and _getmany.

        They hand out single records, fetch sources during a rebalance, and sleep a second when all partitions
        are paused. Nothing is yielded: for each message Consumer._drain_messages makes four tasks, which at a
        thousand records a second is most of the work.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        if self.should_stop:
            await asyncio.sleep(IDLE_S)
        else:
            await self.source_reader.fetch(
                self._get_active_partitions(), timeout, held_back=bool(self._buffered_partitions)
            )
        delivered: tuple[tuple[TP, Message], ...] = ()
        for none_left in delivered:
            yield none_left

    async def _deliver(self, chunks: Sequence[FetchedChunk]) -> None:
        """Give the chunks of one topic to its agent, as one message: a message costs Faust 0.2 ms."""
        chunk = chunks[-1]
        last = chunk.records[-1]
        message = ConsumerMessage(
            chunk.topic,
            chunk.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            cast(bytes, chunks),
            None,
            0,
            0,
            TP(chunk.topic, chunk.partition),
            generation_id=chunk.generation,
        )
        await self.callback(cast(Message, message))

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
        self.source_reader.stop()
        self._buffered_partitions.clear()  # the lanes that would resume them are gone
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Extends Consumer.on_partitions_assigned: the former owners are fenced before any offset is read."""
        if not self.app.should_stop:
            await self.open_lanes(assigned, generation_id)
        await super().on_partitions_assigned(assigned, generation_id)

    async def open_lanes(self, assigned: set[TP], generation: int) -> None:
        """Open the lanes and stay a member of the group: aiokafka sends no heartbeats until they are open."""
        beating = asyncio.create_task(self._send_heartbeats())
        try:
            await self.lanes.open(assigned, generation)
        finally:
            await network_client.cancel_all([beating])

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self.app.conf.broker_heartbeat_interval)
            with contextlib.suppress(*BROKER_AWAY):
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
        assigned = self.assignment()
        offsets = {tp: offset for tp, offset in self.lanes.start_offsets().items() if tp in assigned}
        if not offsets:
            return
        self.source_reader.begin(offsets)
        self._read_offset.update({tp: offset or None for tp, offset in offsets.items()})
        await self._thread.read_from(offsets)


class LaneTransport(driver.Transport):
    """Faust's transport with our consumer."""

    Consumer = LaneConsumer


class FaustGroup:
    """The consumer group of `app`: the engine's `Group`. Its consumer is made when the app starts."""

    def __init__(self, app: faust.App) -> None:
        self._app = app

    @property
    def id(self) -> str:
        return str(self._app.conf.id)

    @property
    def session_timeout_s(self) -> float:
        return float(self._app.conf.broker_session_timeout)

    @property
    def generation(self) -> int:
        return int(self._app.consumer_generation_id)

    @property
    def reader(self) -> LaneConsumerThread:
        return cast(LaneConsumerThread, cast(Any, self._app.consumer)._thread)

    def pause(self, topic: str, partition: int) -> None:
        self._app.consumer.on_buffer_full(TP(topic, partition))

    def resume(self, topic: str, partition: int) -> None:
        self._app.consumer.on_buffer_drop(TP(topic, partition))
