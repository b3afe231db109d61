"""One GET: what an answer tells, and what is said where there is none."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from stream.cli.checkup import http_probe
from stream.cli.checkup.http_probe import NoAnswer, ProbeAnswer, probe
from stream.service.http.client import session
from tests.cli.checkup.apis import Apis


async def test_an_answer_tells_its_status_and_the_time_there() -> None:
    async with Apis(ahead_s=100, status=418).serving() as apis, aiohttp.ClientSession() as client:
        answer = await probe(client, URL(f"http://127.0.0.1:{apis.port}/x"))
    assert isinstance(answer, ProbeAnswer)
    assert answer.status == 418
    assert answer.date_s is not None
    assert 98 < answer.date_s - answer.got_s < 101
    assert answer.body == b""


async def test_a_date_without_a_zone_is_utc_in_whatever_zone_this_machine_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def old(_: web.Request) -> web.Response:
        return web.Response(headers={"Date": "Mon Mar  2 10:00:10 2026"})

    app = web.Application()
    app.router.add_get("/", old)
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        async with TestServer(app) as server, session() as client:
            answer = await probe(client, server.make_url("/"))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert isinstance(answer, ProbeAnswer)
    assert answer.date_s == datetime(2026, 3, 2, 10, 0, 10, tzinfo=UTC).timestamp()


async def test_who_takes_a_connection_and_is_silent_is_left_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_probe, "TIMEOUT_S", 0.2)
    done = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    async with (
        await asyncio.start_server(silent, "127.0.0.1", 0) as server,
        aiohttp.ClientSession() as client,
    ):
        port = server.sockets[0].getsockname()[1]
        assert await probe(client, URL(f"http://127.0.0.1:{port}/")) == NoAnswer("no answer within 0.2 s")
        done.set()


async def test_who_speaks_no_http_is_there_and_not_shown() -> None:
    async def speaks(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-planted\r\n")
        writer.close()

    async with (
        await asyncio.start_server(speaks, "127.0.0.1", 0) as server,
        aiohttp.ClientSession() as client,
    ):
        port = server.sockets[0].getsockname()[1]
        found = await probe(client, URL(f"http://127.0.0.1:{port}/"))
    assert isinstance(found, NoAnswer)
    assert found.there
    assert "planted" not in found.why
