"""A worker whose name another process has taken is told so, and no other."""

from __future__ import annotations

import asyncio
import contextlib
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from aiokafka.protocol.types import Int16, Int32, String

from stream.kafka import topics
from stream.kafka.client import consumers
from stream.kafka.client.connection import connection
from stream.kafka.client.requests.static_member import (
    HeartbeatResponseV3,
    HeartbeatV3,
    StaticHeartbeat,
    notice_replaced,
)
from stream.service.settings import Settings
from tests.real_broker import RealBroker

FENCED, UNKNOWN_MEMBER = 82, 25


def heartbeat(member_id: str = "m1") -> HeartbeatRequest:
    return HeartbeatRequest("calls-worker", 7, member_id)


class Consumer:
    """A member with the id `m1`, at a coordinator that answers `code`."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.sent: list[Any] = []
        self.replaced = 0
        self._client = self
        self._coordinator = SimpleNamespace(member_id="m1")
        self.joins_again = False
        notice_replaced(self, "one", self._count)

    def _count(self) -> None:
        self.replaced += 1

    async def send(self, node: int, request: Any, *, group: Any = None) -> Any:
        self.sent.append(request)
        if self.joins_again:
            self._coordinator.member_id = "m2"
        return SimpleNamespace(error_code=self.code)


def test_a_heartbeat_names_its_member_as_the_protocol_lays_it_out() -> None:
    built = StaticHeartbeat(heartbeat(), "one").prepare({12: (0, 4)})
    assert isinstance(built, HeartbeatV3)
    text = String("utf-8").encode
    assert built.encode() == text("calls-worker") + Int32.encode(7) + text("m1") + text("one")
    answer = HeartbeatResponseV3.decode(BytesIO(Int32.encode(0) + Int16.encode(FENCED)))
    assert answer.error_code == FENCED
    with pytest.raises(IncompatibleBrokerVersion):
        StaticHeartbeat(heartbeat(), "one").prepare({12: (0, 2)})


@pytest.mark.parametrize("request_", [heartbeat(), SyncGroupRequest("calls-worker", 7, "m1", "one", [])])
async def test_a_member_whose_name_was_taken_is_told(request_: Any) -> None:
    consumer: Any = Consumer(FENCED)
    await consumer.send(1, request_)
    assert consumer.replaced == 1
    other: Any = Consumer(UNKNOWN_MEMBER)
    await other.send(1, request_)
    assert other.replaced == 0


async def test_one_that_is_about_to_join_sends_no_name_and_is_replaced_by_nobody() -> None:
    consumer: Any = Consumer(FENCED)
    consumer._coordinator.member_id = ""
    plain = heartbeat("")
    await consumer.send(1, plain)
    assert (consumer.sent, consumer.replaced) == ([plain], 0)


async def test_one_that_has_joined_again_meanwhile_is_replaced_by_itself() -> None:
    consumer: Any = Consumer(FENCED)
    consumer.joins_again = True
    await consumer.send(1, heartbeat())
    assert consumer.replaced == 0


@pytest.mark.broker
async def test_kafka_tells_the_older_of_two_processes_of_one_name(broker: RealBroker, prefix: str) -> None:
    settings = Settings(topic_prefix=prefix, partitions=2)
    await topics.ensure(broker.bootstrap, settings)
    replaced: list[str] = []

    async def joined(process: str) -> Any:
        assigned = asyncio.Event()

        async def heard(numbers: frozenset[int]) -> None:
            assigned.set()

        consumer = await consumers.join(
            connection(settings, "test", broker.bootstrap),
            [topics.names(prefix).ticks],
            group=f"{prefix}group",
            session_s=6.0,
            rebalance_s=6.0,
            revoked=lambda: asyncio.sleep(0),
            assigned=heard,
            group_instance_id="one",
        )
        notice_replaced(consumer, "one", lambda: replaced.append(process))
        await asyncio.wait_for(assigned.wait(), 20)
        return consumer

    older = await joined("older")
    await consumers.heartbeat(older)
    newer = await joined("newer")
    try:
        await consumers.heartbeat(newer)
        assert replaced == []
        with contextlib.suppress(KafkaError):  # aiokafka does not know the code
            await consumers.heartbeat(older)
        assert set(replaced) == {"older"}
    finally:
        await consumers.drop(older)
        await consumers.drop(newer)
