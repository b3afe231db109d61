"""What a member counts while it is assigned its partitions, without a broker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from aiokafka.structs import OffsetAndMetadata

from stream.kafka.client.offsets import Offsets
from stream.kafka.errors import KafkaError
from stream.kafka.partitions import TopicPartition
from stream.poller.on_demand.fetch_consumer import FetchRequestConsumer
from stream.service.settings import Settings
from tests.poller.on_demand.dispatcher_fakes import DispatcherFixture


def a_consumer(one: DispatcherFixture) -> FetchRequestConsumer:
    async def on_assignment(owned: frozenset[int], partitions: int) -> None:
        pass

    return FetchRequestConsumer(
        Settings(kafka="127.0.0.1:1"),
        one.dispatcher,
        None,  # type: ignore[arg-type]
        on_assignment=on_assignment,
        confirmed=lambda until_s: None,
        metrics=one.metrics,
    )


async def test_records_that_are_taken_while_offsets_are_restored_keep_their_count() -> None:
    """Otherwise their offsets would be committed before they are answered."""
    consumer, taken = a_consumer(DispatcherFixture()), Offsets()

    async def restored(owned: frozenset[int]) -> dict[int, Offsets]:
        consumer._offsets[0] = taken  # a fetch returned meanwhile
        return {0: Offsets(), 1: Offsets()}

    class Metadata:
        def partitions_for_topic(self, topic: str) -> Any:
            return {0, 1}

    consumer._restored = restored  # type: ignore[method-assign]
    consumer._consumer = Metadata()
    await consumer._assigned(frozenset({0, 1}))
    assert consumer._offsets[0] is taken
    assert sorted(consumer._offsets) == [0, 1]


async def test_what_former_owners_answered_is_known_although_the_group_does_not_take_a_heartbeat() -> None:
    """Otherwise those requests would be read again."""
    consumer, before = a_consumer(DispatcherFixture()), Offsets()
    for offset in range(3):
        before.take(offset)
    before.done(1)

    class Coordinator:
        async def fetch_committed_offsets(self, partitions: list[TopicPartition]) -> Any:
            return {tp: OffsetAndMetadata(0, before.metadata()) for tp in partitions}

        async def _do_heartbeat(self) -> bool:
            raise KafkaError

    consumer._consumer = SimpleNamespace(_coordinator=Coordinator(), partitions_for_topic=lambda topic: {0})
    await consumer._assigned(frozenset({0}))
    assert [offset for offset in range(4) if consumer._offsets[0].take(offset)] == [0, 2, 3]
