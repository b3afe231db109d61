"""Committed offsets are read when they are final: until then the coordinator is asked again."""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupAuthorizationFailedError, IncompatibleBrokerVersion
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.types import Int16, Int32, Int64
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from stream.kafka import topics
from stream.kafka.client import consumers
from stream.kafka.client.stable_offsets import FetchOffsetsV7, FetchStableOffsets, OffsetsV7, read_stable
from stream.service.settings import Settings
from tests.real_broker import RealBroker

CALLBACKS = TopicPartition("callbacks", 3)
PLAIN = OffsetFetchRequest("calls-worker", [("callbacks", [3])])
COMMITTED = {CALLBACKS: OffsetAndMetadata(40, "changelog=9")}


def short(text: str) -> bytes:
    """A string of Kafka's flexible versions."""
    return bytes([len(text) + 1]) + text.encode()


def stable(offset: int, metadata: str, code: int = 0, whole: int = 0) -> OffsetsV7:
    """A response: of one partition, and of the whole."""
    return OffsetsV7.decode(
        BytesIO(
            b"".join(
                [
                    Int32.encode(0),
                    bytes([1 if whole else 2]),
                    b""
                    if whole
                    else short("callbacks")
                    + bytes([2])
                    + Int32.encode(3)
                    + Int64.encode(offset)
                    + Int32.encode(-1)
                    + short(metadata)
                    + Int16.encode(code)
                    + bytes([0, 0]),
                    Int16.encode(whole),
                    bytes([0]),
                ]
            )
        )
    )


class Coordinator(GroupCoordinator):
    """aiokafka's, at a broker that gives `answers`, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.group_id, self.coordinator_id, self._retry_backoff_ms = "calls-worker", 1, 1
        self._client = self
        self.answers, self.lookups = list(answers), 0
        read_stable(self)

    async def send(self, node: int, request: Any, *, group: Any = None) -> Any:
        assert isinstance(request, FetchStableOffsets)
        return self.answers.pop(0)

    async def ensure_coordinator_known(self) -> None:
        if self.coordinator_id is None:
            self.coordinator_id, self.lookups = 1, self.lookups + 1

    def coordinator_dead(self) -> None:
        self.coordinator_id = None

    def __del__(self) -> None: ...


def test_the_request_asks_for_stable_offsets_as_the_protocol_lays_it_out() -> None:
    built = FetchStableOffsets(PLAIN).prepare({9: (1, 10)})
    assert isinstance(built, FetchOffsetsV7)
    assert built.encode() == b"".join(
        [
            short("calls-worker"),
            bytes([2]),  # one topic
            short("callbacks"),
            bytes([2]),  # one partition
            Int32.encode(3),
            bytes([0]),  # no tags of the topic
            bytes([1]),  # stable ones
            bytes([0]),
        ]
    )


def test_an_older_broker_is_refused() -> None:
    with pytest.raises(IncompatibleBrokerVersion, match=r"Kafka 2\.5"):
        FetchStableOffsets(PLAIN).prepare({9: (0, 6)})


async def test_a_commit_is_read_with_its_metadata() -> None:
    coordinator = Coordinator(stable(40, "changelog=9"))
    assert await coordinator.fetch_committed_offsets([CALLBACKS]) == COMMITTED


@pytest.mark.parametrize(
    ("answer", "lookups"),
    [
        (stable(12, "changelog=2", code=88), 0),
        (stable(-1, "", whole=14), 0),
        (stable(-1, "", whole=15), 0),
        (stable(-1, "", whole=16), 1),
    ],
    ids=["not stable", "loading", "not available", "not the coordinator"],
)
async def test_a_coordinator_that_cannot_say_yet_is_asked_again(answer: Any, lookups: int) -> None:
    coordinator = Coordinator(answer, stable(40, "changelog=9"))
    assert await coordinator.fetch_committed_offsets([CALLBACKS]) == COMMITTED
    assert coordinator.lookups == lookups


async def test_a_group_without_a_commit_has_none_and_one_that_is_forbidden_is_not_asked_again() -> None:
    assert await Coordinator(stable(-1, "")).fetch_committed_offsets([CALLBACKS]) == {}
    with pytest.raises(GroupAuthorizationFailedError):
        await Coordinator(stable(-1, "", whole=30)).fetch_committed_offsets([CALLBACKS])


async def test_the_offsets_of_an_open_transaction_are_waited_for(broker: RealBroker, prefix: str) -> None:
    await topics.ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=1))
    tp, group = TopicPartition(topics.names(prefix).callbacks, 0), f"{prefix}worker"
    async with (
        AIOKafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=f"{group}-0") as producer,
        AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group) as consumer,
    ):
        read_stable(consumer._client)
        for offset in (3, 5):
            await producer.begin_transaction()
            await producer.send_offsets_to_transaction({tp: OffsetAndMetadata(offset, "")}, group)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(consumers.committed(consumer, [tp]), 0.3)
            await producer.commit_transaction()
            assert await consumers.committed(consumer, [tp]) == {tp: (offset, "")}
