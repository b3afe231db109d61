"""How often a producer asks a broker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest

from stream.kafka.client.producers import pace


class Client:
    """What was sent, and to which node."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, type]] = []

    async def send(self, node: int, request: Any, *, group: Any = None) -> None:
        self.sent.append((node, type(request)))


async def test_records_for_one_broker_are_paced_and_nothing_else() -> None:
    client = Client()
    pace(client, 60.0)
    records = ProduceRequest(transactional_id=None, required_acks=-1, timeout=1000, topics=[])
    async with asyncio.timeout(5):
        await client.send(1, records)
        await client.send(2, records)
        await client.send(1, MetadataRequest([]))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.send(1, records), 0.02)
    assert client.sent == [(1, ProduceRequest), (2, ProduceRequest), (1, MetadataRequest)]


async def test_the_next_records_are_sent_when_the_pace_is_over() -> None:
    client = Client()
    pace(client, 0.05)
    records = ProduceRequest(transactional_id=None, required_acks=-1, timeout=1000, topics=[])
    now = asyncio.get_running_loop().time
    began_s = now()
    for _ in range(3):
        await client.send(1, records)
    assert 0.09 < now() - began_s < 5
