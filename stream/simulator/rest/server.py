"""The REST resources of both providers on one socket.

The rule of this file: it decides nothing of what is answered. It takes requests in, one through its
provider's throttle, and writes the answers as JSON, compressed for who takes that.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from stream.service.http.connections import Connections
from stream.service.http.server import HttpServer
from stream.simulator.rest.credentials import ApiCredentials
from stream.simulator.rest.http_types import ApiError, ApiRequest, ApiResponse, Route
from stream.simulator.rest.resources import ProviderResources
from stream.simulator.rest.telnyx import errors
from stream.simulator.rest.telnyx.api import TELNYX, TelnyxApi
from stream.simulator.rest.throttle import AnsweredRequest, ProviderLimits, RequestStats, Throttle
from stream.simulator.rest.twilio import errors as twilio_errors
from stream.simulator.rest.twilio.api import TWILIO, TwilioApi

SETTING = "CALLSTREAM_SIMULATE_LISTEN"
_WORTH_COMPRESSING = 1024
_WORTH_A_THREAD = 65_536
_WORDS = {TWILIO: twilio_errors.WORDS, TELNYX: errors.WORDS}
_GZIP = 31
"""zlib's window bits for its gzip format."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LIMITS = ProviderLimits()

log = logging.getLogger("callstream.simulate.rest")


def _now_us() -> int:
    return time.time_ns() // 1000


@asynccontextmanager
async def serving(
    shelf: ProviderResources,
    keys: ApiCredentials,
    listen: str,
    *,
    limits: ProviderLimits = LIMITS,
    now_us: Callable[[], int] = _now_us,
    seen: RequestStats | None = None,
) -> AsyncIterator[str]:
    """Serve while the block runs; gives the base URL, which is Twilio's; Telnyx' is the same with `/v2`.

    `now_us` is the time that the shelf is asked for. `seen` is told of each request. Raises ListenError.
    """
    app = application(shelf, keys, limits=limits, now_us=now_us, seen=seen or RequestStats())
    server = HttpServer(app, Connections())
    try:
        yield await server.listen(listen, SETTING)
    finally:
        await server.close()


def application(
    shelf: ProviderResources,
    keys: ApiCredentials,
    *,
    limits: ProviderLimits,
    now_us: Callable[[], int],
    seen: RequestStats,
) -> web.Application:
    """All paths of both providers; whatever else is asked for is told so in the provider's words."""
    app = web.Application(middlewares=[_in_the_providers_words])
    throttles = {
        TWILIO: Throttle(TWILIO, limits.twilio, seen),
        TELNYX: Throttle(TELNYX, limits.telnyx, seen),
    }
    for route in [*TwilioApi(shelf, keys).routes(), *TelnyxApi(shelf, keys).routes()]:
        door = RouteHandler(route, throttles[route.provider], now_us, seen)
        app.router.add_get(route.path, door.handle, allow_head=False)
    app.on_response_prepare.append(_anonymous)
    return app


class RouteHandler:
    """One resource's path."""

    def __init__(
        self, route: Route, throttle: Throttle, now_us: Callable[[], int], seen: RequestStats
    ) -> None:
        self._route = route
        self._throttle = throttle
        self._now_us = now_us
        self._seen = seen

    async def handle(self, request: web.Request) -> web.Response:
        """One request."""
        asked = _asked(request, self._now_us())
        wait_s = self._throttle.come()
        try:
            answer = await self._answer(asked, wait_s)
            if self._route.provider == TELNYX:
                answer = answer._replace(headers=answer.headers + self._throttle.headers())
            self._count(asked, answer.status)
            return await _written(request, answer)
        finally:
            self._throttle.go()

    async def _answer(self, asked: ApiRequest, wait_s: int) -> ApiResponse:
        words = _WORDS[self._route.provider]
        if wait_s:
            return words.too_many(wait_s)
        if self._throttle.limit.latency_s:
            await asyncio.sleep(self._throttle.limit.latency_s)
        if self._throttle.fails():
            return words.broken()
        try:
            return self._route.decide(asked)
        except ApiError as refused:
            return refused.answer
        except Exception as error:  # noqa: BLE001  # the last resort: the reader gets a provider's 500
            _say(self._route, error)
            return words.broken()

    def _count(self, asked: ApiRequest, status: int) -> None:
        about = asked.names.get("call") or asked.parameters.get("filter[leg_id]", "")
        route = self._route
        self._seen.answered(AnsweredRequest(time.monotonic(), route.provider, route.name, about, status))


def _say(route: Route, error: Exception) -> None:
    """Where it went wrong, without what the error says: that may be a number of somebody's."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    log.error("%s failed: %s in %s:%s", route.name, type(error).__name__, last.filename, last.lineno)


def _asked(request: web.Request, now_us: int) -> ApiRequest:
    return ApiRequest(
        path=request.rel_url.raw_path,
        names=request.match_info,
        parameters=dict(request.query.items()),
        authorization=request.headers.get("Authorization", ""),
        origin=f"{request.scheme}://{request.host}",
        now_us=now_us,
    )


async def _written(request: web.Request, answer: ApiResponse) -> web.Response:
    body = orjson.dumps(answer.body)
    headers = dict(answer.headers)
    if len(body) >= _WORTH_COMPRESSING and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        body = _gzip(body) if len(body) < _WORTH_A_THREAD else await asyncio.to_thread(_gzip, body)
    return web.Response(status=answer.status, body=body, content_type="application/json", headers=headers)


def _gzip(body: bytes) -> bytes:
    """Quickly rather than well: who reads is near."""
    return zlib.compress(body, 1, _GZIP)


@web.middleware
async def _in_the_providers_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """An unknown path, another method."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        words = _WORDS[TELNYX if request.path.startswith("/v2/") else TWILIO]
        if error.status == 405:
            return await _written(request, words.not_allowed())
        return await _written(request, words.not_found(request.path))


async def _anonymous(_: web.Request, response: web.StreamResponse) -> None:
    """The providers do not say that they are aiohttp."""
    response.headers.pop("Server", None)
