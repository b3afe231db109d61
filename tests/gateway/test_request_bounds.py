"""Bodies, connections and requests in work: how much of each one client may take."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import http_parser

from stream.gateway.handlers import RequestLimits
from stream.gateway.receive.request import FORM
from stream.gateway.waiting_bodies import WaitingBodies
from tests.gateway import signing
from tests.gateway.running_gateway import raw, running_gateway


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused_and_its_connection_ended(chunked: bool) -> None:
    async def parts() -> object:
        for _ in range(80):
            yield b"x" * 1024

    async with running_gateway() as gateway:
        url = f"http://127.0.0.1:{gateway.port}/callbacks/twilio"
        data = parts() if chunked else b"x" * 80 * 1024
        async with gateway.client.post(url, data=data, headers={"Content-Type": FORM}) as answer:
            assert (answer.status, answer.headers["Connection"]) == (413, "close")
        rejected = gateway.counted("webhook_requests_rejected_total", source="unknown", reason="too_large")
        assert rejected == 1


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with running_gateway(bodies=WaitingBodies(limit_s=0.2)) as gateway:
        head = b"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
        answer = await raw(gateway, head + b"abc")
        assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "packed",
    ["Content-Encoding: gzip", "Content-Encoding: identity, br", "Transfer-Encoding: gzip, chunked"],
)
async def test_a_packed_body_is_refused_before_any_of_it_is_there(packed: str) -> None:
    async with running_gateway() as gateway:
        length = "" if "Transfer" in packed else "Content-Length: 1000000\r\n"
        head = f"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\n{packed}\r\n{length}\r\n"
        began = time.monotonic()
        answer = await raw(gateway, head.encode())
        assert answer.startswith(b"HTTP/1.1 415 ")
        assert answer.endswith(b"\r\n\r\n")
        assert time.monotonic() - began < 1, "its body was waited for"
        rejected = gateway.counted("webhook_requests_rejected_total", source="unknown", reason="malformed")
        assert rejected == 1


async def test_a_body_that_says_that_it_is_not_packed_is_taken() -> None:
    form = signing.twilio_form(headers=[("Content-Encoding", "identity")])
    async with running_gateway() as gateway:
        assert (await gateway.send(form)).status == 204


async def test_nothing_is_unpacked_also_where_no_route_is() -> None:
    bomb = gzip.compress(b"x" * (1 << 24))
    async with running_gateway() as gateway:
        sent = "POST /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Encoding: gzip\r\n"
        sent += f"Content-Length: {len(bomb)}\r\n\r\n"
        with unpacking_forbidden():
            assert (await raw(gateway, sent.encode() + bomb)).startswith(b"HTTP/1.1 404 ")


async def test_a_client_that_goes_before_its_body_is_read_is_not_a_fault_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    head = b"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\n"
    async with running_gateway() as gateway:
        for _ in range(5):
            await raw(gateway, head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 5000)
            with socket.create_connection(("127.0.0.1", gateway.port)) as one:
                one.sendall(head + b"Content-Length: 10\r\n\r\n")
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with asyncio.timeout(5):
            while (
                gateway.counted("webhook_requests_rejected_total", source="unknown", reason="malformed") < 10
            ):
                await asyncio.sleep(0.01)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_bodies_that_do_not_come_take_no_place_of_those_that_do() -> None:
    head = b"POST /callbacks/twilio HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
    async with running_gateway(limits=RequestLimits(at_once=2), bodies=WaitingBodies(at_most=3)) as gateway:
        stalled = [asyncio.create_task(raw(gateway, head)) for _ in range(5)]
        for displaced in asyncio.as_completed(stalled, timeout=5):
            answer = await displaced
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 1\r\n" in answer
            if sum(one.done() for one in stalled) == 2:
                break
        assert (await gateway.send(signing.twilio_form())).status == 204
        assert sum(one.done() for one in stalled) == 2, "only the oldest make room for those that come"
        for one in stalled:
            one.cancel()


async def test_a_connection_that_asks_for_nothing_is_cut() -> None:
    async with running_gateway() as gateway:
        assert await raw(gateway, b"POST /callbacks/twi") == b""
        assert gateway.connections.cut == 1


async def test_a_connection_between_two_requests_is_left_alone() -> None:
    async with running_gateway() as gateway:
        for wait_s in (0.5, 0.0):
            assert (await gateway.send(signing.twilio_form())).status == 204
            await asyncio.sleep(wait_s)  # longer than a new connection may be silent
        assert gateway.connections.cut == 0


async def test_who_is_connected_when_it_closes_gets_an_answer_and_is_told_that_it_is_the_last() -> None:
    async with running_gateway() as gateway:
        assert (await gateway.ask("GET", "/nothing")).headers.get("Connection") != "close"
        gateway.connections.closing = True
        answer = await gateway.send(signing.twilio_form())
        assert (answer.status, answer.headers["Connection"]) == (204, "close")


async def test_too_many_at_once_are_told_at_once_to_come_again() -> None:
    async with running_gateway(limits=RequestLimits(at_once=3)) as gateway:
        gateway.sink.open.clear()
        held = [asyncio.create_task(gateway.send(signing.twilio_form())) for _ in range(3)]
        while gateway.handlers._in_work < 3:
            await asyncio.sleep(0.01)
        answer = await gateway.send(signing.twilio_form())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert not any(one.done() for one in held)
        gateway.sink.open.set()
        assert [one.status for one in await asyncio.gather(*held)] == [204] * 3
        assert gateway.counted("webhook_requests_rejected_total", source="unknown", reason="overloaded") == 1
        assert (await gateway.send(signing.twilio_form())).status == 204, "those that are answered make room"


@contextmanager
def unpacking_forbidden() -> Iterator[None]:
    """Fails where a body was unpacked; that alone would only end its connection."""
    unpacked = []

    def seen(*_: object, **__: object) -> bool:
        unpacked.append(1)
        return True

    before = http_parser.DeflateBuffer.feed_data
    http_parser.DeflateBuffer.feed_data = seen  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        http_parser.DeflateBuffer.feed_data = before  # type: ignore[method-assign]
    assert not unpacked
