"""Tokens for client credentials, from an endpoint that answers well or badly."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from stream.kafka.client.oauth import ClientCredentials, TokenError

INVALID = "the token URL answers without a valid access_token or expires_in"


class Endpoint:
    """Issues `token-1`, `token-2` and so on, or answers with `answer`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.life: Any = 100
        self.answer: Callable[[], web.Response] | None = None

    async def handle(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append((request.headers["Authorization"], form))
        if self.answer is not None:
            return self.answer()
        issued = {"access_token": f"token-{len(self.asked)}", "expires_in": self.life, "token_type": "Bearer"}
        return web.json_response(issued)


@asynccontextmanager
async def serving(endpoint: Endpoint) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/token", endpoint.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/token"
    finally:
        await runner.cleanup()


async def test_a_token_is_asked_for_once_and_again_before_it_expires() -> None:
    endpoint, now = Endpoint(), [0.0]
    async with serving(endpoint) as url:
        provider = ClientCredentials(url, "a b", "s%+", scope="kafka", clock=lambda: now[0])
        assert await asyncio.gather(*(provider.token() for _ in range(20))) == ["token-1"] * 20
        now[0] = 79.0
        assert await provider.token() == "token-1"
        now[0] = 81.0
        assert await provider.token() == "token-2"
    basic = "Basic " + base64.b64encode(b"a%20b:s%25%2B").decode()
    assert endpoint.asked == [(basic, {"grant_type": "client_credentials", "scope": "kafka"})] * 2


async def test_a_life_that_is_a_text_or_missing_is_taken() -> None:
    endpoint = Endpoint()
    async with serving(endpoint) as url:
        endpoint.life = "100"
        assert await ClientCredentials(url, "a", "b").token() == "token-1"
        endpoint.answer = lambda: web.json_response({"access_token": "other", "expires_in": None})
        provider = ClientCredentials(url, "a", "b")
        assert [await provider.token(), await provider.token()] == ["other", "other"]
    assert len(endpoint.asked) == 2
    assert endpoint.asked[0][1] == {"grant_type": "client_credentials"}


async def test_two_threads_with_their_own_loops_share_a_provider() -> None:
    endpoint = Endpoint()
    async with serving(endpoint) as url:
        provider = ClientCredentials(url, "a", "b")
        first = await provider.token()
        other = await asyncio.to_thread(lambda: asyncio.run(provider.token()))
    assert (first, other) == ("token-1", "token-1")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: web.json_response({"error": "hunter2"}, status=401), "the token URL answers 401"),
        (lambda: web.json_response({"error": 5}, status=400), "the token URL answers 400"),
        (
            lambda: web.json_response({"error": "invalid_scope", "error_description": "hunter2"}, status=400),
            "the token URL answers 400 (invalid_scope)",
        ),
        (
            lambda: web.Response(status=307, headers={"Location": "http://127.0.0.1:9/"}),
            "the token URL answers 307",
        ),
        (lambda: web.Response(text="<html>hunter2"), INVALID),
        (lambda: web.Response(body=b"\xff"), INVALID),
        (lambda: web.Response(body=b'{"access_token": "hunter2\xfc"}'), INVALID),
        (lambda: web.Response(body=b'{"error": "hunter2\xfc"}', status=401), "the token URL answers 401"),
        (lambda: web.Response(body=b'{"access_token": ' + b"[" * 60_000), INVALID),
        (lambda: web.Response(body=b'{"x": ' + b"[" * 60_000, status=401), "the token URL answers 401"),
        (
            lambda: web.json_response({"id_token": "hunter2"}),
            INVALID,
        ),
        (
            lambda: web.Response(text=json.dumps({"access_token": "x" * 100_000})),
            INVALID,
        ),
        (lambda: web.json_response({"access_token": ""}), INVALID),
        (lambda: web.json_response({"access_token": "hunter2", "expires_in": "nan"}), INVALID),
        (lambda: web.json_response({"access_token": "hunter2", "expires_in": "inf"}), INVALID),
        (lambda: web.json_response({"access_token": "hunter2", "expires_in": 0}), INVALID),
    ],
    ids=[
        "refused",
        "an odd reason",
        "a reason",
        "moved",
        "a page",
        "not a text",
        "a token that is not a text",
        "a reason that is not a text",
        "too deep",
        "a reason that is too deep",
        "no token",
        "too much",
        "empty",
        "no number",
        "no end",
        "no life",
    ],
)
async def test_a_refusal_says_what_happened_and_quotes_nothing(
    answer: Callable[[], web.Response], said: str
) -> None:
    endpoint = Endpoint()
    endpoint.answer = answer
    async with serving(endpoint) as url:
        with pytest.raises(TokenError) as raised:
            await ClientCredentials(url, "a", "hunter2").token()
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)


async def test_an_endpoint_that_is_away_is_an_error_of_kafka_s_kind() -> None:
    with pytest.raises(TokenError, match="the token URL does not answer"):
        await ClientCredentials("http://127.0.0.1:9/token", "a", "b").token()


async def test_an_answer_in_several_pieces_is_read_whole() -> None:
    said = json.dumps({"access_token": "x" * 5000, "expires_in": 100}).encode()

    async def in_pieces(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for piece in (said[:1000], said[1000:]):
            await answer.write(piece)
            await asyncio.sleep(0.05)
        return answer

    endpoint = Endpoint()
    endpoint.handle = in_pieces  # type: ignore[method-assign,assignment]
    async with serving(endpoint) as url:
        assert await ClientCredentials(url, "a", "b").token() == "x" * 5000


async def test_a_failing_endpoint_is_asked_once_for_all_that_wait_and_again_after_a_pause() -> None:
    endpoint, now = Endpoint(), [0.0]
    endpoint.answer = lambda: web.Response(status=503)
    async with serving(endpoint) as url:
        provider = ClientCredentials(url, "a", "b", clock=lambda: now[0])
        found = await asyncio.gather(*(provider.token() for _ in range(20)), return_exceptions=True)
        assert [type(one) for one in found] == [TokenError] * 20
        assert len(endpoint.asked) == 1
        endpoint.answer, now[0] = None, 1.0
        assert await provider.token() == "token-2"


async def test_a_token_is_used_to_its_end_while_no_other_is_issued() -> None:
    endpoint, now = Endpoint(), [0.0]
    async with serving(endpoint) as url:
        provider = ClientCredentials(url, "a", "b", clock=lambda: now[0])
        assert await provider.token() == "token-1"
        endpoint.answer, now[0] = lambda: web.Response(status=503), 90.0
        assert await provider.token() == "token-1"
        now[0] = 101.0
        with pytest.raises(TokenError, match="answers 503"):
            await provider.token()
