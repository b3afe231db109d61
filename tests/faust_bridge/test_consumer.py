"""Faust's consumer with the lanes behind it, without Faust around it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from stream.faust_bridge.consumer import LaneConsumer
from stream.kafka.errors import KafkaTimeoutError

HERE = TP("callbacks", 3)
GENERATION = 7


class Thread:
    """Confirms the membership every other time."""

    def __init__(self) -> None:
        self.confirmations = 0

    async def confirmed(self) -> bool:
        self.confirmations += 1
        if self.confirmations % 2:
            raise KafkaTimeoutError
        return True


class SlowLanes:
    """Lanes that take until `opened` to open."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.opened = asyncio.Event()

    async def open(self, assigned: set[TP], generation: int) -> None:
        await self.opened.wait()
        self.told.append(("open", assigned, generation))


class Rig:
    def __init__(self) -> None:
        self.thread, self.lanes = Thread(), SlowLanes()
        consumer: Any = object.__new__(LaneConsumer)
        consumer.app = SimpleNamespace(
            lanes=self.lanes, conf=SimpleNamespace(broker_heartbeat_interval=0.001)
        )
        consumer._thread = self.thread
        self.consumer = consumer


async def test_a_worker_stays_a_member_of_its_group_however_long_its_lanes_take_to_open() -> None:
    """aiokafka sends no heartbeats before: a worker whose lanes took longer than a session was thrown out."""
    rig = Rig()
    opening = asyncio.create_task(rig.consumer.open_lanes({HERE}, GENERATION))
    async with asyncio.timeout(10):
        while rig.thread.confirmations < 4:
            await asyncio.sleep(0.001)
    rig.lanes.opened.set()
    await opening
    assert rig.lanes.told == [("open", {HERE}, GENERATION)]
    confirmations = rig.thread.confirmations
    await asyncio.sleep(0.02)
    assert rig.thread.confirmations == confirmations
