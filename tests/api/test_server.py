"""The server on real sockets: what a client can do to it, and how it stops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stream.api import server, service
from stream.archive.reader import Archive, open_archive
from stream.service.http.listening import ListenError
from stream.service.settings import Settings
from stream.service.tables.api_tokens import read_tokens
from tests.api.clients import ALL, TOKENS


def settings(folder: Path, **more: object) -> Settings:
    return Settings(
        kafka="127.0.0.1:9",
        data_dir=folder,
        api_listen="127.0.0.1:0",
        api_health_listen="127.0.0.1:0",
        **more,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer(url: str, request: str, within_s: float = 10) -> str:
    """All that the server sends until it closes the connection."""
    async with connected(url) as (reader, writer), asyncio.timeout(within_s):
        writer.write(request.encode("latin-1"))
        return (await reader.read()).decode()


def get(path: str, host: str = "localhost", method: str = "GET", **headers: str) -> str:
    lines = [f"{name.replace('_', '-')}: {said}\r\n" for name, said in headers.items()]
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{''.join(lines)}\r\n"


async def test_without_a_token_this_machine_alone_may_ask_and_only_under_its_own_name(tmp_path: Path) -> None:
    async with service.serving(settings(tmp_path)) as api:
        assert (await answer(api.url, get("/v1/calls"))).startswith("HTTP/1.1 503")  # there is no archive
        rebound = await answer(api.url, get("/v1/calls", host="rebound.example"))
        assert rebound.startswith("HTTP/1.1 401")
        assert "server:" not in rebound.lower()


async def test_each_thread_that_reads_has_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def noted(*where: str, readers: int) -> Archive:
        opened.append(readers)
        return open_archive(*where, readers=readers)

    monkeypatch.setattr(service, "open_archive", noted)
    async with service.serving(settings(tmp_path, api_threads=40)):
        assert opened == [40]


async def test_with_a_token_nobody_asks_without_one(tmp_path: Path) -> None:
    chosen = settings(tmp_path, api_tokens=read_tokens("\n".join(TOKENS)))
    async with service.serving(chosen) as api:
        assert (await answer(api.url, get("/v1/calls"))).startswith("HTTP/1.1 401")
        found = await answer(api.url, get("/v1/calls", Authorization=f"Bearer {ALL}"))
        assert found.startswith("HTTP/1.1 503")
        ready = await answer(api.health_url, get("/readyz"))
        assert ready.startswith("HTTP/1.1 200")
        assert "the archive cannot be read" in ready


@pytest.mark.parametrize(
    "request_",
    [
        "GARBAGE\r\n\r\n",
        get("/" + "a" * 40_000),
        get("/v1/calls", Large="x" * 40_000),
        "GET /v1/calls HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        "GET /v1/calls HTTP/9.9\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET http://[ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        get("/v1/calls/%ff%fe%00"),
        get("/v1/calls?%ff=%fe&&=&status"),
        get("/v1/calls", Range="bytes=0-1", If_None_Match="*" * 2000),
        get("/v1/calls", Authorization="Basic " + "A" * 20_000),
        get("/v1/calls", Cookie="callstream_session=" + "\xff" * 100),
        get("//v1//calls/../../etc/passwd"),
    ],
)
async def test_whatever_a_client_sends_it_gets_no_server_error_and_the_server_goes_on(
    tmp_path: Path, request_: str, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = settings(tmp_path, api_tokens=read_tokens("\n".join(TOKENS)))
    async with service.serving(chosen) as api:
        status = (await answer(api.url, request_)).split(" ", 2)[1]
        assert 400 <= int(status) < 500
        assert (await answer(api.url, get("/openapi.json"))).startswith("HTTP/1.1 200")
    assert "failed" not in caplog.text
    assert "Exception" not in caplog.text


async def test_a_client_that_sends_no_request_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.3)
    async with service.serving(settings(tmp_path)) as api:
        for sent in ("", "GET /v1/calls HTTP/1.1\r\nHost: "):
            async with connected(api.url) as (reader, writer), asyncio.timeout(5):
                writer.write(sent.encode())
                assert await _rest(reader) == b""


@pytest.mark.parametrize("first", ["", "Content-Length: 9\r\n"])
async def test_a_client_that_begins_another_request_and_does_not_end_it_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.3)
    async with (
        service.serving(settings(tmp_path)) as api,
        connected(api.url) as (reader, writer),
        asyncio.timeout(5),
    ):
        writer.write(f"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n{first}\r\n".encode())
        assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 200 OK\r\n"
        await asyncio.sleep(0.4)
        writer.write(b"G")
        await _rest(reader)


async def test_a_client_may_rest_between_two_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    async with (
        service.serving(settings(tmp_path)) as api,
        connected(api.url) as (reader, writer),
        asyncio.timeout(5),
    ):
        for _ in range(3):
            writer.write(b"HEAD /openapi.json HTTP/1.1\r\nHost: ")
            await asyncio.sleep(0.05)
            writer.write(b"localhost\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
            await asyncio.sleep(0.3)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_a_client_that_does_not_read_its_answer_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "UNREAD_S", 0.3)
    async with service.serving(settings(tmp_path, api_rate=1e6)) as api:
        host, port = api.url.removeprefix("http://").split(":")
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            silent.connect((host, int(port)))
            silent.setblocking(False)
            request = get("/openapi.json").replace("Connection: close\r\n", "").encode()
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await asyncio.wait_for(_ask_without_end(silent, request), 20)


async def _ask_without_end(silent: socket.socket, request: bytes) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await loop.sock_sendall(silent, request)
        await asyncio.sleep(0.001)


async def test_head_of_a_stream_ends(tmp_path: Path) -> None:
    async with service.serving(settings(tmp_path, api_timeout_s=0.5)) as api:
        found = await answer(api.url, get("/v1/live", method="HEAD"), 20)
        assert found.split(" ", 2)[1] in ("200", "503")
        assert found.endswith("\r\n\r\n")


async def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match="CALLSTREAM_API_LISTEN"):
            async with service.serving(
                Settings(
                    kafka="127.0.0.1:9",
                    data_dir=tmp_path,
                    api_listen=f"127.0.0.1:{port}",
                    api_health_listen="127.0.0.1:0",
                )
            ):
                pass
