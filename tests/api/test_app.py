"""What holds for every route: who is answered, how errors look, headers, limits, compression."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import threading
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest
from litestar import Request, get, post
from litestar.params import FromQuery
from litestar.response import Response, Stream

from stream.api.access.authentication import OPEN, caller_of
from stream.api.access.caller import SESSION_COOKIE
from stream.api.parts import parts_of
from stream.api.problems import Refused
from tests.api.clients import ACCOUNT_A, ACCOUNT_B, ALL, NUMBERS_A, READ_A, basic, bearer, client


@get("/who")
async def who(request: Request[Any, Any, Any]) -> dict[str, Any]:
    caller = caller_of(request)
    return {
        "name": caller.name,
        "accounts": sorted(caller.accounts) if caller.accounts is not None else None,
        "numbers": caller.reads_numbers,
    }


@get("/open", opt=OPEN)
async def opened() -> str:
    return "open"


@get("/broken")
async def broken() -> str:
    raise KeyError("+14155550123")


@get("/refused")
async def refused() -> str:
    raise Refused(404, "There is no such call.")


@get("/slow")
async def slow() -> str:
    await asyncio.sleep(60)
    return ""


@get("/large")
async def large() -> Response[str]:
    return Response("x" * 100_000, media_type="text/plain")


@get("/typed")
async def typed(limit: FromQuery[int]) -> int:
    return limit


@post("/form")
async def form(request: Request[Any, Any, Any]) -> int:
    return len(await request.body())


@get("/cut")
async def cut() -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        raise KeyError("+14155550123")

    return Stream(chunks(), media_type="text/event-stream")


ROUTES = [cut, who, opened, broken, refused, slow, large, typed, form]
LOCAL = {"api_tokens": ()}


def asked(path: str, headers: dict[str, str] | None = None, **settings: Any) -> Any:
    with client(routes=ROUTES, **settings) as http:
        return http.get(path, headers=headers)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        (bearer(READ_A), "a"),
        ({"Authorization": f"bearer  {READ_A} "}, "a"),
        (basic(ACCOUNT_A, READ_A), "a"),
        (basic("a", READ_A), "a"),
        (basic("", READ_A), "a"),
        (basic(ACCOUNT_B, ALL), "all"),
        ({"Cookie": f"x=1; {SESSION_COOKIE}={READ_A}"}, "a"),
    ],
)
def test_a_token_is_accepted_however_it_is_sent(headers: dict[str, str], name: str) -> None:
    answer = asked("/who", headers)
    assert (answer.status_code, answer.json()["name"]) == (200, name)


def test_a_token_brings_its_accounts_and_its_scopes() -> None:
    assert asked("/who", bearer(NUMBERS_A)).json() == {
        "name": "a-numbers",
        "accounts": [ACCOUNT_A],
        "numbers": True,
    }
    assert asked("/who", bearer(READ_A)).json() == {"name": "a", "accounts": [ACCOUNT_A], "numbers": False}
    assert asked("/who", bearer(ALL)).json() == {"name": "all", "accounts": None, "numbers": True}


def test_the_token_of_one_setting_reads_all_accounts_but_no_numbers() -> None:
    answer = asked("/who", bearer("hunter2"), api_token="hunter2", api_tokens=())
    assert answer.json() == {"name": "callstream-api-token", "accounts": None, "numbers": False}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        (bearer("guessed"), "unknown"),
        (bearer(""), "unknown"),
        (bearer(READ_A + "\x00"), "unknown"),
        (bearer("x" * 5000), "unknown"),
        ({"Authorization": "Basic !!!"}, "unknown"),
        ({"Authorization": READ_A}, "unknown"),
        ({"Authorization": f"Digest {READ_A}"}, "unknown"),
        (basic(ACCOUNT_B, READ_A), "other_account"),
        ({"Cookie": f"{SESSION_COOKIE}=guessed"}, "unknown"),
        ({"Cookie": f"other={READ_A}"}, "missing"),
        # A cookie is not asked where there is an Authorization.
        ({"Authorization": "Bearer no", "Cookie": f"{SESSION_COOKIE}={READ_A}"}, "unknown"),
    ],
)
def test_a_request_without_a_known_token_is_refused_and_counted(headers: dict[str, str], reason: str) -> None:
    with client(routes=ROUTES) as http:
        answer = http.get("/who", headers=headers)
        counted = http.app.state.parts.metrics.exposition()[0].decode()
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.json()["title"] == "Unauthorized"
    assert f'callstream_api_tokens_refused_total{{reason="{reason}"}} 1.0' in counted
    assert 'callstream_api_requests_total{code="401",route="/who"} 1.0' in counted


def test_a_cookie_changes_nothing() -> None:
    with client(routes=ROUTES) as http:
        assert http.post("/form", headers={"Cookie": f"{SESSION_COOKIE}={READ_A}"}).status_code == 401
        assert http.post("/form", headers=bearer(READ_A)).status_code == 201


def test_a_public_route_needs_no_token_and_an_unknown_path_tells_nothing() -> None:
    assert asked("/open").text == "open"
    answer = asked("/none")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json() == {
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing under this path.",
    }


def test_an_error_of_ours_tells_the_client_and_the_log_nothing_of_the_data(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = asked("/broken", bearer(READ_A))
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    said = answer.text + caplog.text
    assert "4155550123" not in said
    assert "/broken failed: KeyError" in caplog.text


def test_an_error_behind_the_beginning_of_a_stream_is_logged_and_cuts_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with contextlib.suppress(Exception):  # as the server does with it
        asked("/cut", bearer(READ_A))
    assert "/cut failed: " in caplog.text
    assert "caused by" in caplog.text or "KeyError" in caplog.text
    assert "4155550123" not in caplog.text


def test_a_refusal_is_a_problem() -> None:
    answer = asked("/refused", bearer(READ_A))
    assert answer.json() == {"title": "Not Found", "status": 404, "detail": "There is no such call."}


def test_a_parameter_that_cannot_be_used_is_named_and_not_repeated() -> None:
    answer = asked("/typed?limit=+14155550123x", bearer(READ_A))
    assert answer.status_code == 400
    assert answer.json()["invalid"][0]["name"] == "limit"
    assert "4155550123" not in answer.text


def test_a_request_that_takes_too_long_is_refused() -> None:
    answer = asked("/slow", bearer(READ_A), api_timeout_s=0.1)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["detail"] == "The request took too long."


def test_a_large_body_is_refused() -> None:
    with client(routes=ROUTES) as http:
        answer = http.post("/form", content=b"x" * 70_000, headers=bearer(READ_A))
        assert (answer.status_code, answer.json()["title"]) == (413, HTTPStatus(413).phrase)


@pytest.mark.parametrize("path", ["/who", "/none", "/open", "/broken"])
def test_every_answer_has_the_headers_of_security_and_none_of_the_server(path: str) -> None:
    headers = asked(path).headers
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "private, no-cache"
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_pages_of_other_origins_may_call_only_where_the_settings_name_them() -> None:
    origin = "https://ops.example.com"
    headers = {**bearer(READ_A), "Origin": origin}
    allowed = asked("/who", headers, api_cors_origins=(origin,)).headers
    assert allowed["access-control-allow-origin"] == origin
    other = asked("/who", {**headers, "Origin": "https://evil.example"}, api_cors_origins=(origin,)).headers
    assert "access-control-allow-origin" not in other


def test_an_answer_that_the_client_has_is_not_sent_again() -> None:
    with client(routes=ROUTES) as http:
        first = http.get("/who", headers=bearer(READ_A))
        tag = first.headers["etag"]
        again = http.get("/who", headers={**bearer(READ_A), "If-None-Match": f'"other", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        other = http.get("/who", headers={**bearer(ALL), "If-None-Match": tag})
        assert (other.status_code, other.json()["name"]) == (200, "all")
        assert {"Authorization", "Cookie"} <= {*other.headers["vary"].split(", ")}


def test_a_large_answer_is_compressed_for_those_that_take_it() -> None:
    with client(routes=ROUTES) as http:
        plain = http.get("/large", headers={**bearer(READ_A), "Accept-Encoding": "gzip;q=0"})
        with http.stream("GET", "/large", headers={**bearer(READ_A), "Accept-Encoding": "gzip"}) as packed:
            raw = b"".join(packed.iter_raw())
    assert "content-encoding" not in plain.headers
    assert (len(plain.content), int(plain.headers["content-length"])) == (100_000, 100_000)
    assert packed.headers["content-encoding"] == "gzip"
    assert (gzip.decompress(raw), int(packed.headers["content-length"])) == (plain.content, len(raw))
    assert packed.headers["etag"] == plain.headers["etag"]


def test_head_is_get_without_a_body() -> None:
    with client(routes=ROUTES) as http:
        got, head = (http.request(how, "/who", headers=bearer(READ_A)) for how in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (200, b"")
    assert {**head.headers} == {**got.headers}


def test_a_token_that_sends_too_much_is_told_when_to_come_again() -> None:
    with client(routes=ROUTES, api_rate=0.5) as http:
        codes = [http.get("/who", headers=bearer(READ_A)).status_code for _ in range(3)]
        refused = http.get("/who", headers=bearer(READ_A))
        other = http.get("/who", headers=bearer(ALL))
    assert codes == [200, 200, 429]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 2
    assert other.status_code == 200


class Hanging:
    """An archive whose database does not answer, until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def calls(self) -> str:
        self.let_go.wait(10)
        return "calls"


@get("/read")
async def read(request: Request[Any, Any, Any]) -> str:
    parts = parts_of(request)
    return await parts.reads.run(parts.archive.calls)


class Away:
    """An archive whose database refuses."""

    def calls(self) -> str:
        raise ConnectionRefusedError(111, "Connection refused")


def test_an_archive_that_is_away_is_a_503_that_says_when_to_try_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with client(Away(), [read]) as http:
        answers = [http.get("/read", headers=bearer(ALL)) for _ in range(3)]
    assert [one.status_code for one in answers] == [503] * 3
    assert answers[0].headers["retry-after"] == "5"
    assert answers[0].json()["detail"] == "The archive does not answer."
    assert caplog.text.count("the archive cannot be read") == 1


def test_reads_that_hang_keep_neither_the_loop_nor_more_than_their_threads() -> None:
    archive = Hanging()
    with client(archive, [read, opened], api_archive_timeout_s=0.2) as http:
        began_s = time.monotonic()
        answers = [http.get("/read", headers=bearer(ALL)) for _ in range(3)]
        assert {one.status_code for one in answers} == {503}
        assert time.monotonic() - began_s < 5
        assert http.get("/open").status_code == 200
        archive.let_go.set()
        time.sleep(0.1)
        assert http.get("/read", headers=bearer(ALL)).text == "calls"
