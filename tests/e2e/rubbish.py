"""A provider that answers rubbish: each kind of it below a path of its own.

A call whose number is at least GOOD gets a correct answer below every path, which shows whether the rubbish
did harm. No row echoes a secret, because rows are written to Kafka unchanged.
"""

from __future__ import annotations

import asyncio
import zlib
from functools import cache
from typing import Any

import orjson
from aiohttp import web

from tests.simulator.rest.resource_fakes import call, delivery, leg, logged, sid, telnyx_event

GOOD = 1000
HUGE_BYTES = 10 << 20
BOMB_BYTES = 1 << 30
_GZIP = 31

Row = dict[str, Any]


def call_id(provider: str, number: int) -> str:
    """The id of a call, which is part of the URL that reads it."""
    return leg(number) if provider == "telnyx" else sid(number)


_GOOD_IDS = frozenset(call_id(provider, GOOD + n) for provider in ("twilio", "telnyx") for n in range(200))


class Rubbish:
    """Answers `/<kind>/...` with that kind. `elsewhere`: URL of a server that must get no request."""

    def __init__(self, elsewhere: str) -> None:
        self._elsewhere = elsewhere
        self.forgiven: set[str] = set()
        """Kinds that are answered correctly from now on."""

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        kind = request.path.split("/")[1]
        if kind in self.forgiven or (kind != "refused" and _is_good(request)):
            return _json(request, [_row(request, 0)])
        answer: web.StreamResponse = await getattr(self, f"_{kind}")(request)
        return answer

    async def _plain(self, request: web.Request) -> web.Response:
        return _json(request, [_row(request, 0)])

    async def _circle(self, request: web.Request) -> web.Response:
        return _json(request, [_row(request, 0)], request.raw_path)

    async def _repeating(self, request: web.Request) -> web.Response:
        return _json(request, [_row(request, 0)], _next_link(request))

    async def _endless(self, request: web.Request) -> web.Response:
        return _json(request, [_row(request, _page(request))], _next_link(request))

    async def _elsewhere_next(self, request: web.Request) -> web.Response:
        return _json(request, [_row(request, 0)], self._elsewhere + request.raw_path)

    async def _html(self, request: web.Request) -> web.Response:
        return web.Response(text="<html><title>Down for maintenance</title></html>", content_type="text/html")

    async def _truncated(self, request: web.Request) -> web.Response:
        whole = orjson.dumps({_member(request): [_row(request, 0), _row(request, 1)]})
        return web.Response(body=whole[: len(whole) // 2], content_type="application/json")

    async def _huge(self, request: web.Request) -> web.Response:
        rows = [_row(request, number) for number in range(3)]
        rows[1]["more"] = "x" * HUGE_BYTES
        return _json(request, rows)

    async def _bomb(self, request: web.Request) -> web.Response:
        return web.Response(
            body=bomb(), headers={"Content-Encoding": "gzip"}, content_type="application/json"
        )

    async def _redirect(self, request: web.Request) -> web.Response:
        return web.Response(
            status=302, headers={"Location": self._elsewhere + request.raw_path, **_echo(request)}
        )

    async def _refused(self, request: web.Request) -> web.Response:
        return _echoing(request, 401)

    async def _failing(self, request: web.Request) -> web.Response:
        return _echoing(request, 500)

    async def _garbage(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        credentials = request.headers["Authorization"]
        request.transport.write(f"HTTP/9 {credentials}\r\n{credentials}\r\n\r\n{credentials}".encode())  # type: ignore[attr-defined]
        request.transport.close()
        return web.Response()

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        """Half a page of a call, then nothing."""
        return await self._plain(request) if _is_window(request) else await _dripping(request)

    async def _slow_window(self, request: web.Request) -> web.StreamResponse:
        return await _dripping(request) if _is_window(request) else await self._plain(request)


@cache
def bomb() -> bytes:
    """A list that decompresses to BOMB_BYTES."""
    packing = zlib.compressobj(1, wbits=_GZIP)
    parts = [
        packing.compress(b'{"events":['),
        *(packing.compress(b" " * (1 << 20)) for _ in range(BOMB_BYTES >> 20)),
    ]
    return b"".join([*parts, packing.compress(b"]}"), packing.flush()])


def _is_good(request: web.Request) -> bool:
    return any(part in _GOOD_IDS for part in [*request.path.split("/"), request.query.get("filter[leg_id]")])


def _is_window(request: web.Request) -> bool:
    return request.path.endswith("/Calls.json")


def _member(request: web.Request) -> str:
    if "/v2/" in request.path:
        return "data"
    return "calls" if _is_window(request) else "events"


def _row(request: web.Request, number: int) -> Row:
    if request.path.endswith("/webhook_deliveries"):
        return delivery(number, number)
    if "/v2/" in request.path:
        return telnyx_event(number, number)
    return call(number, 0, start_s=0, end_s=60) if _is_window(request) else logged(number)


def _page(request: web.Request) -> int:
    return int(request.query.get("Page") or request.query.get("page[number]") or 0)


def _next_link(request: web.Request) -> str:
    return str(request.rel_url.update_query({"Page": _page(request) + 1}))


def _json(request: web.Request, rows: list[Row], next_link: str | None = None) -> web.Response:
    """A page in the style of the path's provider. Telnyx has the number of pages instead of a link."""
    member = _member(request)
    pages = 1 if next_link is None else 100_000
    said = {"meta": {"total_pages": pages}} if member == "data" else {"next_page_uri": next_link}
    return web.Response(body=orjson.dumps({member: rows, **said}), content_type="application/json")


def _echo(request: web.Request) -> dict[str, str]:
    """Headers of a careless proxy that repeats the credentials."""
    credentials = request.headers["Authorization"]
    return {"X-Debug": credentials, "WWW-Authenticate": credentials, "Set-Cookie": f"session={credentials}"}


def _echoing(request: web.Request, status: int) -> web.Response:
    credentials = request.headers["Authorization"]
    return web.Response(
        status=status,
        reason=f"No {credentials}",
        text=f'{{"message":"{credentials}"}}',
        headers=_echo(request),
    )


async def _dripping(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    await answer.write(f'{{"{_member(request)}":['.encode())
    try:
        while True:
            await asyncio.sleep(1)
            await answer.write(b" ")
    except (ConnectionError, asyncio.CancelledError):
        return answer
