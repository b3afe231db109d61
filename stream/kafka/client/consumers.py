"""Kafka consumers: members of a group, and how every consumer is stopped or abandoned.

Stopping ends in time and raises nothing, whatever the broker does. aiokafka's own `stop` waits for a join
that is under way and for a coordinator that is missing, and lets the cancellation of its own tasks escape,
which looks like a cancellation of the caller. The group notices an abandoned consumer by the session timeout.
`faust_bridge/upstream_internals.py` lists which of aiokafka's internals this depends on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from stream.kafka.client import network_client, request_limits
from stream.kafka.client.connection import Connection
from stream.kafka.client.fetch_sessions import FetchSessions
from stream.kafka.client.stable_offsets import read_stable
from stream.kafka.partitions import TopicPartition

CLOSE_S = 2.0
LEAVE_S = 3.0
NEVER_MS = 24 * 60 * 60 * 1000
"""Effectively disables max.poll.interval: a member that pauses is alive as long as it sends heartbeats."""

_COORDINATORS_TASKS = (
    "_coordination_task",
    "_heartbeat_task",
    "_commit_refresh_task",
    "_reset_committed_task",
)

log = logging.getLogger("callstream.consumers")


async def join(
    connection: Connection,
    topics: Sequence[str],
    *,
    group: str,
    session_s: float,
    rebalance_s: float,
    revoked: Callable[[], Awaitable[None]],
    assigned: Callable[[frozenset[int]], Awaitable[None]],
    **settings: Any,
) -> AIOKafkaConsumer:
    """A started member of `group` that reads the committed records of `topics`. It never commits by itself.

    Of several topics it is assigned the partitions of the same numbers, if they have equally many.

    - `revoked`, `assigned`: awaited in a rebalance; the latter with the partition numbers.
    - `settings`: aiokafka's, in addition. The caller ends the consumer, by `leave` or `drop`.

    Raises KafkaError.
    """
    assignor = RangePartitionAssignor if len(topics) > 1 else RoundRobinPartitionAssignor
    session_ms, rebalance_ms = int(session_s * 1000), int(rebalance_s * 1000)
    consumer = connection.consumer(
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 3,
        rebalance_timeout_ms=rebalance_ms,
        max_poll_interval_ms=NEVER_MS,
        partition_assignment_strategy=[assignor],
        **settings,
    )
    read_stable(request_limits.steer_member(consumer, rebalance_s)._client)
    FetchSessions(consumer)
    try:
        await consumer.start()
    except BaseException:
        await drop(consumer)
        raise
    ignore_abandoned_commits(consumer)
    consumer.subscribe([*topics], listener=_Listener(revoked, assigned))
    return consumer


class _Listener(ConsumerRebalanceListener):
    """What aiokafka calls in a rebalance."""

    def __init__(
        self, revoked: Callable[[], Awaitable[None]], assigned: Callable[[frozenset[int]], Awaitable[None]]
    ) -> None:
        self._revoked = revoked
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: object) -> None:
        await self._revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._assigned(frozenset(tp.partition for tp in assigned))


def ignore_abandoned_commits(consumer: Any) -> None:
    """Retrieve the exceptions of a started AIOKafkaConsumer's commits that nobody awaits any more.

    aiokafka shields a commit that was sent from a cancellation, and then nobody retrieves its exception.
    """
    send = consumer._coordinator._do_commit_offsets

    def sent(assignment: Any, offsets: Any) -> asyncio.Future[None]:
        sending: asyncio.Future[None] = asyncio.ensure_future(send(assignment, offsets))
        network_client.ignore_failures([sending])
        return sending

    consumer._coordinator._do_commit_offsets = sent


def on_heartbeat(consumer: Any, confirmed: Callable[[float], None]) -> None:
    """Call `confirmed` with the (monotonic) time at which each heartbeat was sent that the group accepts.

    The group keeps a member for the session timeout from the heartbeat that it received last.
    """
    send = consumer._coordinator._do_heartbeat

    async def sent() -> bool:
        sent_s = time.monotonic()
        accepted: bool = await send()
        if accepted:
            confirmed(sent_s)
        return accepted

    consumer._coordinator._do_heartbeat = sent


async def heartbeat(consumer: Any) -> None:
    """Send one now, instead of a third of the session timeout later. Raises KafkaError."""
    await consumer._coordinator._do_heartbeat()


async def committed(
    consumer: Any, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, tuple[int, str]]:
    """The committed offset and metadata of each partition that has one. Raises KafkaError.

    AIOKafkaConsumer.committed does not tell the metadata.
    """
    found = await consumer._coordinator.fetch_committed_offsets(partitions)
    return {tp: (one.offset, one.metadata or "") for tp, one in found.items() if one.offset >= 0}


async def leave(consumer: Any, limit_s: float = LEAVE_S) -> None:
    """Stop an AIOKafkaConsumer and leave its group, or drop it after `limit_s` and when this is cancelled.

    Raises nothing of the consumer's.
    """
    if consumer._closed:
        return
    stopping = asyncio.ensure_future(_stop(consumer))
    network_client.ignore_failures([stopping])
    try:
        await asyncio.wait([stopping], timeout=limit_s)
    finally:
        if not stopping.done() or stopping.cancelled() or stopping.exception() is not None:
            log.info("the group could not be left: the consumer is dropped")
            stopping.cancel()
            await drop(consumer)


async def _stop(consumer: Any) -> None:
    await _end_fetching(consumer._fetcher)
    await consumer.stop()
    await network_client.close(consumer._client)


async def drop(consumer: Any) -> None:
    """Close an AIOKafkaConsumer without a commit and without leaving the group, in at most CLOSE_S.

    Never raises.
    """
    consumer._closed = True
    with contextlib.suppress(Exception):  # the consumer is gone in any case
        await asyncio.wait_for(_close(consumer), CLOSE_S)


async def _close(consumer: Any) -> None:
    coordinator = consumer._coordinator
    try:
        # A consumer without a group has a coordinator of another kind.
        await network_client.cancel_all([getattr(coordinator, name, None) for name in _COORDINATORS_TASKS])
        await _end_fetching(consumer._fetcher)
        if consumer._fetcher is not None:
            await consumer._fetcher.close()
    finally:
        await network_client.close(consumer._client)


async def _end_fetching(fetcher: Any) -> None:
    """End all tasks of a Fetcher, so that its `close` does not await tasks that it has just cancelled."""
    if fetcher is None:
        return
    await network_client.cancel_all([fetcher._fetch_task])
    await network_client.cancel_all(fetcher._pending_tasks)
    fetcher._pending_tasks.clear()
