"""What is said of listeners that are not Kafka, or one that hangs. Real ones are in `test_secured.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from stream.kafka.client.connection import Connection, connection
from stream.kafka.reachability import Obstacle, obstacle
from stream.service.settings import Settings


@asynccontextmanager
async def listening(answer: bytes | None) -> AsyncIterator[str]:
    """Answers each request with this; None: never."""
    open_: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.add(writer)
        if await reader.read(1000) and answer is not None:
            writer.write(answer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in open_:
            writer.transport.abort()


async def test_a_listener_that_is_not_kafka_is_not_called_a_wrong_setting() -> None:
    async with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        assert await obstacle(Connection(address)) == Obstacle(
            f"what listens at {address} is not Kafka", "check CALLSTREAM_KAFKA"
        )


@pytest.mark.parametrize("security", ["plaintext", "ssl"])
async def test_a_broker_that_hangs_is_told_from_one_that_wants_tls(security: str) -> None:
    async with listening(None) as address:
        cluster = connection(Settings(kafka=address, kafka_security=security), "doctor")
        found = await obstacle(cluster, 0.5)
    assert found == Obstacle(
        f"{address} accepts connections and does not answer within 0.5 s",
        "see the broker's log, or what is between here and the broker",
    )


async def test_of_several_addresses_the_one_that_fails_is_named() -> None:
    async with listening(b"\x00\x00\x00\x06\x00\x00\x00\x01\x00\x23") as address:
        found = await obstacle(Connection(f"{address},127.0.0.1:1"))
    assert found is not None
    assert found.says.startswith("nobody listens at 127.0.0.1:1 ")


async def test_a_name_that_is_not_known_is_not_called_a_broker_that_is_down() -> None:
    assert await obstacle(Connection("kafka.invalid:9092")) == Obstacle(
        "the host name kafka.invalid does not resolve", "check CALLSTREAM_KAFKA and the name server"
    )
