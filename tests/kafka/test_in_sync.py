"""A topic takes writes where enough replicas are in sync and answer, whatever old views say."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import NodeNotReadyError

from stream.kafka.in_sync import Replicas, shortfall, shortfall_in

TOPIC = "calls.callbacks.v1"


def one(leader: int, *in_sync: int, number: int = 0) -> list[Replicas]:
    return [Replicas(number, leader, frozenset(in_sync))]


@pytest.mark.parametrize(
    ("views", "silent", "why"),
    [
        ({1: one(1, 1, 2, 3), 2: one(1, 1, 2, 3), 3: one(1, 1, 2, 3)}, (), None),
        ({1: one(1, 1, 2, 3), 2: one(1, 1, 2, 3)}, (3,), None),
        # Two of three are dead, and nobody is left to take them out of the list.
        (
            {1: one(1, 1, 2, 3)},
            (2, 3),
            "partition 0 of calls.callbacks.v1 has 1 replicas in sync, and min.insync.replicas is 2",
        ),
        (
            {1: one(1, 1), 2: one(1, 1), 3: one(1, 1)},
            (),
            "partition 0 of calls.callbacks.v1 has 1 replicas in sync, and min.insync.replicas is 2",
        ),
        (
            {2: one(1, 1, 2, 3), 3: one(1, 1, 2, 3)},
            (1,),
            "partition 0 of calls.callbacks.v1 has no leader that answers",
        ),
        ({1: one(-1, 1)}, (), "partition 0 of calls.callbacks.v1 has no leader that answers"),
        # A former leader that is cut off from the others says what was.
        ({1: one(1, 1), 2: one(2, 2, 3), 3: one(2, 2, 3)}, (), None),
        # A node that is new to us is not held to be silent.
        ({1: one(1, 1, 4)}, (), None),
        ({1: []}, (), "the topic calls.callbacks.v1 is not there"),
        ({}, (1, 2, 3), "the broker does not answer"),
        (
            {1: [*one(1, 1, 2), *one(1, 1, number=1)], 2: [*one(1, 1, 2), *one(1, 1, number=1)]},
            (),
            "partition 1 of calls.callbacks.v1 has 1 replicas in sync, and min.insync.replicas is 2",
        ),
    ],
)
def test_what_the_answers_come_to(views: Any, silent: tuple[int, ...], why: str | None) -> None:
    assert shortfall_in(TOPIC, 2, views, silent=frozenset(silent)) == why


def test_one_broker_with_one_replica_takes_writes() -> None:
    assert shortfall_in(TOPIC, 1, {1: one(1, 1)}, silent=frozenset()) is None


class Client:
    """A cluster's client. `dead` nodes refuse, `frozen` ones keep silent."""

    def __init__(self, *, dead: tuple[int, ...] = (), frozen: tuple[int, ...] = ()) -> None:
        self.dead, self.frozen = dead, frozen
        self.updates = 0
        self.cluster = SimpleNamespace(brokers=lambda: [SimpleNamespace(nodeId=node) for node in (1, 2, 3)])

    async def send(self, node: int, request: Any) -> Any:
        if node in self.dead:
            raise NodeNotReadyError(f"node {node}")
        if node in self.frozen:
            await asyncio.sleep(60)
        parts = [{"partition": 0, "leader": 1, "isr": [1, 2, 3]}]
        others = [{"partition": 0, "leader": -1, "isr": []}]
        told = [{"topic": TOPIC, "partitions": parts}, {"topic": "other", "partitions": others}]
        return SimpleNamespace(to_object=lambda: {"topics": told})

    def force_metadata_update(self) -> None:
        self.updates += 1


async def test_dead_and_frozen_nodes_are_not_counted_and_the_answer_comes_in_time() -> None:
    assert await shortfall(Client(), TOPIC, 2, 5) is None
    assert await shortfall(Client(dead=(3,)), TOPIC, 2, 5) is None
    client = Client(dead=(3,), frozen=(2,))
    async with asyncio.timeout(20):
        assert await shortfall(client, TOPIC, 2, 0.1) == (
            "partition 0 of calls.callbacks.v1 has 1 replicas in sync, and min.insync.replicas is 2"
        )
    assert client.updates == 1
