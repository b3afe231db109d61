"""A connection that failed, or that its broker has closed, is closed on this side too, at once."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError

from stream.kafka.client import network_client
from stream.kafka.client.connection import tls_context
from tests.kafka.certificates import Authority
from tests.kafka.client.test_network_client import nothing_left, two_brokers
from tests.kafka.fake_kafka import one_broker


async def test_a_connection_that_its_broker_closes_as_it_leaves_the_cluster_is_closed_here() -> None:
    """aiokafka forgets it at once where there is no address for another one."""
    async with one_broker("calls") as second, nothing_left() as broker:
        client = await two_brokers(broker, second)
        assert await client.ready(2)
        transport = client._conns[2, ConnectionGroup.DEFAULT]._writer.transport
        broker.others, second.others, second.node, second.port = [], [], 1, broker.port
        assert await client.force_metadata_update()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", ResourceWarning)
            client._conns[2, ConnectionGroup.DEFAULT]._reader.feed_eof()
            assert not await client.ready(2)
            gc.collect()
        assert ([str(one.message) for one in said], transport.is_closing()) == ([], True)
        await network_client.close(client)


@pytest.fixture
def silent_tls(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """(port, its authority) of a listener that speaks TLS and answers nothing, not even the end of TLS."""
    authority = Authority(tmp_path)
    files, over = authority.issue("silent", "127.0.0.1"), threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)

    def serve(listening: socket.socket) -> None:
        with context.wrap_socket(listening.accept()[0], server_side=True) as one:
            one.recv(1)
            over.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serve, args=[listening])
        serving.start()
        yield listening.getsockname()[1], authority.certificate
        over.set()
        serving.join()


def test_an_attempt_that_fails_over_tls_leaves_nothing_open(silent_tls: tuple[int, Path]) -> None:
    """The end that TLS wants waits for the broker's answer, and a command is over before that."""
    port, authority = silent_tls
    attempt = network_client.opened(
        "127.0.0.1",
        port,
        security_protocol="SSL",
        ssl_context=tls_context(authority, None, None),
        request_timeout_ms=300,
    )

    async def failing() -> None:
        with pytest.raises((KafkaError, TimeoutError)):
            await attempt

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(failing())
        gc.collect()
    assert [str(one.message) for one in said] == []
