"""A role's HTTP server with clients that behave badly, on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from stream.gateway import tls
from stream.service.http import server as http_server
from stream.service.http.connections import Connections
from stream.service.http.server import AT_A_TIME_BYTES, PARSED_BYTES, Bare, HttpServer
from tests.gateway.test_tls import certify

LARGE = b"x" * (32 << 20)
"""More than any socket's buffers take."""

CHUNKED = b"POST /read HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def served(
    connections: Connections, secured: ssl.SSLContext | None = None, **settings: float
) -> AsyncIterator[int]:
    """A server with a small and a large answer, and one that says how much it was sent; gives its port."""

    async def small(_: web.Request) -> web.Response:
        return Bare(204)

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=LARGE)

    async def unread(_: web.Request) -> web.Response:
        return Bare(415, unread=True)

    async def read(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    app = web.Application()
    app.router.add_get("/small", small)
    app.router.add_get("/large", large)
    app.router.add_post("/read", read)
    app.router.add_post("/unread", unread)
    server = HttpServer(app, connections, **settings)
    url = await server.listen("127.0.0.1:0", "CALLSTREAM_WORKER_LISTEN", secured)
    watching = asyncio.create_task(server.watch(every_s=0.02))
    try:
        yield int(url.rpartition(":")[2])
    finally:
        watching.cancel()
        await server.close()


def deaf(port: int) -> socket.socket:
    """A client whose receive buffer is small, and who reads when the test does."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", port))
    one.settimeout(5)
    return one


async def gone(connections: Connections) -> bool:
    """Whether all connections are gone within some seconds."""
    for _ in range(500):
        if not len(connections):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_request_whose_body_is_long_in_coming_is_not_silent() -> None:
    connections = Connections()
    connections.first_request_s = 0.05
    async with served(connections) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /read HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\n")
        await asyncio.sleep(0.15)
        writer.write(b"x")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        assert connections.cut == 0
        writer.close()


async def test_who_does_not_read_an_answer_is_cut_off() -> None:
    connections = Connections()
    connections.work_s = 0.3
    async with served(connections) as port:
        client = deaf(port)
        client.sendall(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        while not connections.cut:
            await asyncio.sleep(0.01)
        assert await gone(connections)
        client.close()


async def test_who_sends_requests_without_waiting_for_answers_gets_one_and_the_rest_is_forgotten() -> None:
    connections = Connections()
    async with served(connections) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b"x" * 100_000
        sent = b"POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        writer.write(b"GET /small HTTP/1.1\r\nHost: h\r\n\r\n" * 2 + sent * 20)
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 204 ")
            assert b"connection: close" in answer.lower()
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        assert await gone(connections)
        writer.transport.abort()


async def test_a_connection_that_is_kept_for_nothing_goes() -> None:
    connections = Connections()
    connections.work_s, connections.idle_s = 60, 0.5
    async with served(connections, keep_alive_s=0.2) as port:
        client = deaf(port)
        client.sendall(b"GET /small HTTP/1.1\r\nHost: h\r\n\r\n")
        assert await gone(connections)
        client.close()


async def test_of_a_body_that_is_not_wanted_nothing_is_read() -> None:
    connections = Connections()
    async with served(connections, linger_s=30.0) as port:
        client = deaf(port)
        client.sendall(b"POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\nx")
        loop = asyncio.get_running_loop()
        client.setblocking(False)
        async with asyncio.timeout(5):
            answer = await loop.sock_recv(client, 4096)
            assert answer.startswith(b"HTTP/1.1 415 ")
            assert await gone(connections), "it lingers on the body"
        client.close()


@pytest.mark.parametrize("chunk", [1, 20])
async def test_a_body_in_tiny_chunks_is_cut_off_before_much_of_it_is_looked_at(chunk: int) -> None:
    connections = Connections()
    async with served(connections) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CHUNKED + (b"%x\r\n%s\r\n" % (chunk, b"x" * chunk)) * 20_000)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
        assert connections.cut == 1
        writer.transport.abort()


async def test_a_body_in_chunks_as_proxies_make_them_is_taken() -> None:
    connections = Connections()
    async with served(connections) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        few = b"1\r\nx\r\n" * 50
        writer.write(CHUNKED + few + (b"%x\r\n%s\r\n" % (1000, b"x" * 1000)) * 200 + b"0\r\n\r\n")
        async with asyncio.timeout(5):
            assert (await reader.read()).endswith(b"200050")
        assert not connections.cut
        writer.close()


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
async def test_who_sends_much_at_once_is_read_in_turns(
    secured: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: list[int] = []
    taken: list[int] = []

    def watched(cls: type, name: str, seen: list[int]) -> None:
        before = getattr(cls, name)

        def received(self: object, data: bytes) -> None:
            seen.append(len(data))
            before(self, data)

        monkeypatch.setattr(cls, name, received)

    watched(web.RequestHandler, "data_received", taken)
    watched(http_server._Protocol, "data_received", came)
    context = asking = None
    if secured:
        context = tls.context(*certify(tmp_path, "server.test"))
        asking = ssl.create_default_context(cafile=tmp_path / "tls.crt")
    async with served(Connections(), context) as port:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=asking, server_hostname="server.test" if secured else None
        )
        head = b"POST /read HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 500000\r\n\r\n"
        writer.write(head + b"x" * 500_000)
        async with asyncio.timeout(5):
            assert (await reader.read()).endswith(b"500000")
        assert sum(taken) == len(head) + 500_000
        assert max(taken) <= PARSED_BYTES
        # TLS hands out what completes a record of up to 16 KiB together with what came behind it.
        assert max(came[secured:]) <= (2 * AT_A_TIME_BYTES if secured else AT_A_TIME_BYTES)
        writer.close()


async def test_one_connection_more_than_there_may_be_costs_the_longest_idle_one() -> None:
    connections = Connections(at_most=2)
    async with served(connections) as port:
        first, second, third = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        async with asyncio.timeout(5):
            for reader, writer in (second, third):
                writer.write(b"GET /small HTTP/1.1\r\nHost: h\r\n\r\n")
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 ")
            try:
                assert await first[0].read() == b""
            except ConnectionResetError:
                pass
        for _, writer in (first, second, third):
            writer.close()


async def test_what_was_taken_is_answered_before_the_end_and_nothing_is_taken_after_it_began() -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        asked.set()
        await may_answer.wait()
        return Bare(204)

    app = web.Application()
    app.router.add_get("/slow", slow)
    server = HttpServer(app, Connections(), shutdown_s=5.0)
    port = int((await server.listen("127.0.0.1:0", "CALLSTREAM_WORKER_LISTEN")).rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
    await asked.wait()
    closing = asyncio.create_task(server.close(last_answers_s=1.0))
    await asyncio.sleep(0.05)
    try:
        _, other = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        pass
    else:
        other.close()
        raise AssertionError("a connection was taken while it closes")
    may_answer.set()
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"connection: close" in answer.lower()
    await closing
    writer.close()


async def test_tls_is_served_by_the_same_rules(tmp_path: Path) -> None:
    async def small(_: web.Request) -> web.Response:
        return Bare(204)

    app = web.Application()
    app.router.add_get("/small", small)
    server = HttpServer(app, Connections())
    secured = tls.context(*certify(tmp_path, "server.test"))
    url = await server.listen("127.0.0.1:0", "CALLSTREAM_GATEWAY_LISTEN", secured)
    assert url.startswith("https://127.0.0.1:")
    try:
        async with ClientSession() as client, client.get(f"{url}/small", ssl=False) as answer:
            assert (answer.status, "Server" in answer.headers) == (204, False)
    finally:
        await server.close()
