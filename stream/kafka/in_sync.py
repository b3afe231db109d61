"""Whether a topic takes writes, without writing: enough replicas are in sync, and they answer.

The replicas in sync are what the partition's leader says, less the nodes that do not answer. Kafka itself
notices a dead follower only after its session timeout, and without a quorum of controllers never; until then
writes with `acks=all` wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from stream.kafka.client.admin import admin_client, topic_setting
from stream.kafka.client.connection import Connection

MIN_IN_SYNC = "min.insync.replicas"
SETTING_EVERY_S = 60.0
SETTING_RETRY_S = 10.0
NO_ANSWER = "the broker does not answer"


class Replicas(NamedTuple):
    """A partition, as a node sees it. `leader`: -1 without one."""

    number: int
    leader: int
    in_sync: frozenset[int]


Views = Mapping[int, Sequence[Replicas]]
"""By node that answered."""


class InSyncCheck:
    """Checks a topic's replicas repeatedly.

    `minimum`: returns how many must be in sync. It is asked now and then. Until it answers, one is enough.
    """

    def __init__(self, topic: str, minimum: Callable[[], Awaitable[int]]) -> None:
        self._topic = topic
        self._ask_minimum = minimum
        self._minimum = 1
        self._ask_at = 0.0

    async def shortfall(self, client: Any, limit_s: float) -> str | None:
        """As the function of this name; takes at most twice `limit_s`."""
        if time.monotonic() >= self._ask_at:
            try:
                self._minimum = await asyncio.wait_for(self._ask_minimum(), limit_s)
                self._ask_at = time.monotonic() + SETTING_EVERY_S
            except (KafkaError, OSError):
                # Silent brokers are seen below. One that may not tell the setting is not asked all the time.
                self._ask_at = time.monotonic() + SETTING_RETRY_S
        return await shortfall(client, self._topic, self._minimum, limit_s)


async def shortfall(client: Any, topic: str, minimum: int, limit_s: float) -> str | None:
    """Why `topic` takes no writes, as far as can be seen within `limit_s`; None where it does.

    - `client`: an AIOKafkaClient.
    - `minimum`: how many replicas must be in sync.
    """
    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    answers = await asyncio.gather(*(_view(client, node, topic, limit_s) for node in nodes))
    views = {node: view for node, view in zip(nodes, answers, strict=True) if view is not None}
    why = shortfall_in(topic, minimum, views, silent=frozenset(nodes) - frozenset(views))
    if why is not None:
        # There may be new nodes that are not known yet.
        client.force_metadata_update()
    return why


def shortfall_in(topic: str, minimum: int, views: Views, *, silent: frozenset[int]) -> str | None:
    """Why the topic takes no writes, judged from the nodes' answers. Pure.

    Only a leader's own view counts. Where several nodes claim to lead a partition, the one that takes writes
    does: a former leader that is cut off claims it too.
    """
    if not views:
        return NO_ANSWER
    numbers = sorted({one.number for view in views.values() for one in view})
    if not numbers:
        return f"the topic {topic} is not there"
    for number in numbers:
        seen = [(node, one) for node, view in views.items() for one in view if one.number == number]
        led = [one for node, one in seen if node == one.leader]
        if not led:
            return f"partition {number} of {topic} has no leader that answers"
        found = max(len(one.in_sync - silent) for one in led)
        if found < minimum:
            return (
                f"partition {number} of {topic} has {found} replicas in sync, and {MIN_IN_SYNC} is {minimum}"
            )
    return None


async def min_in_sync_replicas(connection: Connection, topic: str) -> int:
    """The topic's `min.insync.replicas`. Raises KafkaError, OSError."""
    async with admin_client(connection) as admin:
        await admin.start()
        found = await topic_setting(admin, topic, MIN_IN_SYNC)
    if found is None:
        raise KafkaError(f"{MIN_IN_SYNC} of {topic} is not told")
    return int(found)


async def _view(client: Any, node: int, topic: str, limit_s: float) -> list[Replicas] | None:
    """How a node sees the topic; None where it does not answer in time."""
    try:
        async with asyncio.timeout(limit_s):  # without a task of its own, whose failure nobody might await
            answer = await client.send(node, MetadataRequest([topic]))
    except (KafkaError, OSError, TimeoutError):
        return None
    return [
        Replicas(part["partition"], part["leader"], frozenset(part["isr"]))
        for found in answer.to_object()["topics"]
        for part in found["partitions"]
        if found["topic"] == topic
    ]
