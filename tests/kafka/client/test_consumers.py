"""A consumer is left or dropped in time, and no cancellation of aiokafka's own tasks comes out of it."""

from __future__ import annotations

import asyncio
import gc
import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaConnectionError

from stream.kafka.client import consumers
from stream.kafka.client.consumers import drop, ignore_abandoned_commits, leave


class Fetcher:
    """As aiokafka's: `close` awaits the tasks that it has just cancelled, and lets that out.

    `deaf`: it takes the first cancellation for that of a task of its own.
    """

    def __init__(self, *, deaf: bool) -> None:
        self._deaf = deaf
        self._pending_tasks = {asyncio.ensure_future(asyncio.sleep(60)) for _ in range(2)}
        self._fetch_task = asyncio.ensure_future(self._fetch())

    async def _fetch(self) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if not self._deaf:
                return
        await asyncio.sleep(60)

    async def close(self) -> None:
        self._fetch_task.cancel()
        try:
            await self._fetch_task
        except asyncio.CancelledError:
            pass
        for task in self._pending_tasks:
            task.cancel()
            await task


class Consumer:
    def __init__(self, stops_s: float = 0, *, deaf: bool = False) -> None:
        self._closed = False
        self._coordinator = None
        self._fetcher = Fetcher(deaf=deaf)
        self._client = self
        self._stops_s = stops_s
        self._sync_task: asyncio.Task[None] | None = asyncio.ensure_future(asyncio.sleep(60))
        self._syncing = self._sync_task
        self._conns: dict[object, object] = {}

    @property
    def client_closed(self) -> bool:
        return self._syncing is not None and self._syncing.done()

    async def stop(self) -> None:
        self._closed = True
        await asyncio.sleep(self._stops_s)
        await self._fetcher.close()


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize("how", [leave, drop])
async def test_the_cancellation_of_its_own_tasks_stays_inside(how: Any, deaf: bool) -> None:
    consumer = Consumer(deaf=deaf)
    await asyncio.sleep(0)
    await how(consumer)
    assert consumer.client_closed
    current = asyncio.current_task()
    assert current is not None
    assert not current.cancelling()


async def test_a_broker_that_does_not_answer_is_not_waited_for() -> None:
    consumer = Consumer(stops_s=60)
    await asyncio.sleep(0)
    began = time.monotonic()
    await leave(consumer, 0.5)
    assert consumer.client_closed
    assert time.monotonic() - began < 10


async def test_a_cancellation_of_ours_is_one() -> None:
    consumer = Consumer(stops_s=60)
    leaving = asyncio.ensure_future(leave(consumer, 60))
    await asyncio.sleep(0.01)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert consumer.client_closed


async def test_a_consumer_whose_own_stop_is_cancelled_from_inside_is_closed_all_the_same() -> None:
    """aiokafka awaits a heartbeat's task that it has just cancelled, and that may not have begun."""

    class Cancelled(Consumer):
        async def stop(self) -> None:
            self._closed = True
            raise asyncio.CancelledError

    consumer = Cancelled()
    await asyncio.sleep(0)
    await leave(consumer)
    assert consumer.client_closed


class Coordinator(GroupCoordinator):
    """aiokafka's, with one commit on the wire that fails when it is told to."""

    def __init__(self) -> None:
        self._commit_lock = asyncio.Lock()
        self.fails = asyncio.Event()

    async def ensure_coordinator_known(self) -> None:
        pass

    async def _do_commit_offsets(self, assignment: Any, offsets: Any) -> None:
        await self.fails.wait()
        raise KafkaConnectionError


async def test_a_commit_that_nobody_waits_for_any_more_fails_unnoticed() -> None:
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    coordinator = Coordinator()
    ignore_abandoned_commits(SimpleNamespace(_coordinator=coordinator))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(coordinator.commit_offsets(None, {}), 0.01)
    coordinator.fails.set()
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert said == []


async def test_the_heartbeats_that_the_group_accepts_are_told_with_the_time_at_which_they_were_sent() -> None:
    answers = [True, False]
    told: list[float] = []

    async def beat() -> bool:
        await asyncio.sleep(0.01)
        return answers.pop(0)

    consumer = SimpleNamespace(_coordinator=SimpleNamespace(_do_heartbeat=beat))
    consumers.on_heartbeat(consumer, told.append)
    before_s = time.monotonic()
    await consumers.heartbeat(consumer)
    await consumers.heartbeat(consumer)
    assert len(told) == 1
    assert before_s <= told[0] < before_s + 0.01
