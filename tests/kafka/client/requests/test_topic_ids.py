"""A topic that was made again has another id, as a real Kafka says; one that is too old says nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from stream.kafka.client.admin import admin_client
from stream.kafka.client.connection import connection
from stream.kafka.client.requests.topic_ids import topic_ids
from stream.kafka.topics import ensure, names
from stream.service.settings import Settings
from tests.real_broker import RealBroker


class OldClient:
    """A client of a broker that knows version 9 of Metadata at most, as Kafka 2.7 does."""

    def get_random_node(self) -> int:
        return 0

    async def send(self, node: int, request: Any) -> Any:
        return request.prepare({3: (0, 9)})


async def test_a_cluster_that_is_too_old_tells_no_ids() -> None:
    assert await topic_ids(SimpleNamespace(_client=OldClient()), ["calls.events.v1"]) == {}


async def test_a_topic_that_is_made_again_has_another_id(broker: RealBroker, prefix: str) -> None:
    chosen = Settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=2)
    events, ended = names(prefix).events, names(prefix).ended
    await ensure(broker.bootstrap, chosen)
    async with admin_client(connection(chosen, "test")) as admin:
        await admin.start()
        before = await topic_ids(admin, [events, ended, f"{prefix}none"])
        assert before.keys() == {events, ended}
        assert await topic_ids(admin, [events]) == {events: before[events]}
        await admin.delete_topics([events])
        async with asyncio.timeout(30):
            while events in await topic_ids(admin, [events]):
                await asyncio.sleep(0.05)
            await ensure(broker.bootstrap, chosen)
            while len(after := await topic_ids(admin, [events, ended])) < 2:
                await asyncio.sleep(0.05)
    assert after[ended] == before[ended]
    assert after[events] != before[events]
