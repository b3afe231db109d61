"""Connections are taken while there is room, and room is made; what cannot be taken is said once."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stream.gateway import tls
from stream.service.http import listening
from stream.service.http.connections import Connections
from stream.service.http.listening import ListenError, Listening, bound, is_this_machine
from tests.gateway.test_tls import certify


class Echo(asyncio.Protocol):
    """Answers what it is sent, and is known to `connections` as a server's protocol is."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.connected(self, transport.abort, asyncio.get_running_loop().time())

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.disconnected(self)


@asynccontextmanager
async def listened(at_most: int, **more: object) -> AsyncIterator[tuple[Listening, int]]:
    connections = Connections(at_most=at_most)
    sockets = await bound("127.0.0.1:0", "CALLSTREAM_WORKER_LISTEN")
    one = Listening(sockets, lambda: Echo(connections), connections, **more)  # type: ignore[arg-type]
    try:
        yield one, one.addresses[0][1]
    finally:
        await one.close()
        connections.shed(1000)
        await asyncio.sleep(0)


async def echoed(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection over which something has come back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"x")
    async with asyncio.timeout(5):
        assert await reader.readexactly(1) == b"x"
    return reader, writer


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(5):
            return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_one_more_than_there_is_room_for_is_taken_and_the_longest_idle_goes() -> None:
    async with listened(at_most=3) as (_, port):
        there = [await echoed(port) for _ in range(4)]
        assert await ended(there[0][0])
        for _, writer in there[1:]:
            assert not writer.is_closing()
            writer.write(b"y")
        assert [await reader.readexactly(1) for reader, _ in there[1:]] == [b"y"] * 3
        for _, writer in there:
            writer.close()


async def test_where_the_system_has_no_descriptor_left_it_is_logged_once_and_connections_are_taken_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "RETRY_S", 0.01)
    fails = 10

    class Exhausted:
        """A listening socket of a process without descriptors."""

        def __init__(self, real: socket.socket) -> None:
            self._real = real

        def accept(self) -> tuple[socket.socket, object]:
            nonlocal fails
            if fails:
                fails -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self._real.accept()

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

    connections = Connections()
    sockets = [Exhausted(one) for one in await bound("127.0.0.1:0", "CALLSTREAM_WORKER_LISTEN")]
    with caplog.at_level(logging.ERROR):
        one = Listening(sockets, lambda: Echo(connections), connections)  # type: ignore[arg-type]
        _, writer = await echoed(one.addresses[0][1])
        writer.close()
        await one.close()
    assert fails == 0
    assert [record.getMessage() for record in caplog.records] == [
        "A connection cannot be accepted (OSError: Too many open files (errno 24)) with 0 open: "
        "raise the limit of open files (ulimit -n, LimitNOFILE); idle connections are cut."
    ]


async def test_handshakes_that_never_end_take_no_place_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HANDSHAKE_S", 0.3)
    secured = tls.context(*certify(tmp_path, "listening.test"))
    async with listened(at_most=3, tls=secured) as (one, port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        assert await ended(silent[0][0]), "the oldest handshake makes room for the newest"
        assert await ended(silent[4][0]), "a handshake has its time"
        assert (len(one._connections), one._connections.cut) == (0, 2)
        for _, writer in silent:
            writer.close()


async def test_a_handshake_that_lasts_goes_before_who_has_come_to_its_end(tmp_path: Path) -> None:
    secured = tls.context(*certify(tmp_path, "listening.test"))
    trusting = ssl.create_default_context(cafile=tmp_path / "tls.crt")
    async with listened(at_most=4, tls=secured) as (_, port):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting, server_hostname="listening.test"
        )
        for _ in range(3):
            silent.append(await asyncio.open_connection("127.0.0.1", port))
            await asyncio.sleep(0.02)
        writer.write(b"x")
        async with asyncio.timeout(5):
            assert await reader.readexactly(1) == b"x"
        for _, one in silent:
            one.transport.abort()
        writer.transport.abort()


async def test_a_port_that_is_closed_takes_nobody_any_more() -> None:
    async with listened(at_most=3) as (one, port):
        await one.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_many_who_come_at_once_wait_and_none_has_to_come_again() -> None:
    room = Path("/proc/sys/net/core/somaxconn")
    many = min(400, int(room.read_text()) if room.exists() else 128)
    (taking,) = await bound("127.0.0.1:0", "CALLSTREAM_GATEWAY_LISTEN")
    where = taking.getsockname()
    waiting = [socket.create_connection(where, timeout=0.9) for _ in range(many)]
    for one in (*waiting, taking):
        one.close()


async def test_of_an_address_that_is_turned_away_nobody_is_taken_until_it_is_let_in_again() -> None:
    away = {"127.0.0.1"}
    async with listened(at_most=3, rejects=away.__contains__) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ended(reader)
        writer.close()
        away.clear()
        _, writer = await echoed(port)
        writer.close()


async def test_a_socket_that_the_parent_listens_on_is_taken_over_and_the_parents_own_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as parents:
        (taken,) = await bound(f"fd:{os.dup(parents.fileno())}", "CALLSTREAM_WORKER_LISTEN")
        connections = Connections(at_most=3)
        one = Listening([taken], lambda: Echo(connections), connections)
        _, writer = await echoed(parents.getsockname()[1])
        await one.close()
        writer.close()
        assert parents.getsockname()[1]
    with pytest.raises(ListenError, match="CALLSTREAM_WORKER_LISTEN"):
        await bound("fd:99999", "CALLSTREAM_WORKER_LISTEN")


def test_this_machine_is_localhost_and_every_loopback_address() -> None:
    here = ("localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1")
    elsewhere = ("", "localhost.example.test", "10.0.0.1", "::2", "::ffff:10.0.0.1", "0.0.0.0")
    assert [*map(is_this_machine, here)] == [True] * len(here)
    assert [*map(is_this_machine, elsewhere)] == [False] * len(elsewhere)
