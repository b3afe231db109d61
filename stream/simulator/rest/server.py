"""The REST resources of both providers on one socket.

It decides nothing about the content of a response. It parses requests, applies the provider's rate limit, and
writes the responses as JSON, compressed if the client accepts that.
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

from stream.provider_api.http_types import ApiError, ApiRequest, ApiResponse, ErrorResponses, Route
from stream.provider_api.telnyx_api import TELNYX, TELNYX_ERRORS
from stream.provider_api.twilio_answers import TWILIO, TWILIO_ERRORS
from stream.service.http.connections import Connections
from stream.service.http.server import HttpServer
from stream.simulator.calls.wall_clock import wall_us
from stream.simulator.rest.credentials import ApiCredentials
from stream.simulator.rest.provider_resources import ProviderResources, provider_routes
from stream.simulator.rest.throttle import AnsweredRequest, ProviderLimits, RequestStats, Throttle

SETTING = "CALLSTREAM_SIMULATE_LISTEN"
_WORTH_COMPRESSING = 1024
_WORTH_A_THREAD = 65_536
_ERRORS = {TWILIO: TWILIO_ERRORS, TELNYX: TELNYX_ERRORS}
_GZIP = 31
"""zlib's window bits for its gzip format."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NO_LIMITS = ProviderLimits()

MOST_ROWS = 1000
"""A provider serves so many rows a page, and refuses a request for more."""

Refusal = Callable[[ErrorResponses], ApiResponse | None]
"""Asked for each request: the error that answers it, whatever it is; None: it is answered as usual."""

log = logging.getLogger("callstream.simulate.rest")


@asynccontextmanager
async def serving(
    resources: ProviderResources,
    credentials: ApiCredentials,
    listen: str,
    *,
    limits: ProviderLimits = NO_LIMITS,
    now_us: Callable[[], int] = wall_us,
    stats: RequestStats | None = None,
    refusal: Refusal | None = None,
) -> AsyncIterator[str]:
    """Serve while the block runs. Yields the base URL, which is Twilio's; Telnyx' is the same with `/v2`.

    `now_us` is the clock of the resources; `stats` counts the requests. Raises ListenError.
    """
    stats = stats or RequestStats()
    app = web.Application(middlewares=[_provider_errors])
    throttles = {
        TWILIO: Throttle(TWILIO, limits.twilio, stats),
        TELNYX: Throttle(TELNYX, limits.telnyx, stats),
    }
    for route in provider_routes(resources, credentials):
        handler = RouteHandler(route, throttles[route.provider], now_us, stats, refusal)
        app.router.add_get(route.path, handler.handle, allow_head=False)
    server = HttpServer(app, Connections())
    try:
        yield await server.listen(listen, SETTING)
    finally:
        await server.close()


class RouteHandler:
    def __init__(
        self,
        route: Route,
        throttle: Throttle,
        now_us: Callable[[], int],
        stats: RequestStats,
        refusal: Refusal | None,
    ) -> None:
        self._route = route
        self._throttle = throttle
        self._now_us = now_us
        self._stats = stats
        self._refusal = refusal

    async def handle(self, request: web.Request) -> web.Response:
        parsed = _parsed(request, self._now_us(), self._throttle.limit.page_rows)
        wait_s = self._throttle.enter()
        try:
            response = await self._respond(parsed, wait_s)
            if self._route.provider == TELNYX:
                response = response._replace(headers=response.headers + self._throttle.headers())
            about = parsed.names.get("call") or parsed.parameters.get("filter[leg_id]", "")
            route, now_s = self._route, time.monotonic()
            self._stats.answered(AnsweredRequest(now_s, route.provider, route.name, about, response.status))
            return await _written(request, response)
        finally:
            self._throttle.leave()

    async def _respond(self, request: ApiRequest, wait_s: int) -> ApiResponse:
        errors = _ERRORS[self._route.provider]
        if self._refusal is not None and (refused := self._refusal(errors)) is not None:
            return refused
        if wait_s:
            return errors.too_many(wait_s)
        if self._throttle.limit.latency_s:
            await asyncio.sleep(self._throttle.limit.latency_s)
        if self._throttle.fails():
            return errors.broken()
        try:
            return self._route.respond(request)
        except ApiError as error:
            return error.response
        except Exception as error:  # noqa: BLE001  # the last resort: the reader gets a provider's 500
            # Not the error's text, which may hold personal data.
            last, kind = traceback.extract_tb(error.__traceback__)[-1], type(error).__name__
            log.error("%s failed: %s in %s:%s", self._route.name, kind, last.filename, last.lineno)
            return errors.broken()


def _parsed(request: web.Request, now_us: int, page_rows: int | None) -> ApiRequest:
    parameters = dict(request.query.items())
    for name in parameters.keys() & {"PageSize", "page[size]"}:
        size = parameters[name]
        if page_rows is not None and size.isdecimal() and page_rows < int(size[:9]) <= MOST_ROWS:
            parameters[name] = str(page_rows)
    return ApiRequest(
        path=request.rel_url.raw_path,
        names=request.match_info,
        parameters=parameters,
        authorization=request.headers.get("Authorization", ""),
        origin=f"{request.scheme}://{request.host}",
        now_us=now_us,
    )


async def _written(request: web.Request, response: ApiResponse) -> web.Response:
    body = orjson.dumps(response.body)
    headers = dict(response.headers)
    if len(body) >= _WORTH_COMPRESSING and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        body = _gzip(body) if len(body) < _WORTH_A_THREAD else await asyncio.to_thread(_gzip, body)
    return web.Response(status=response.status, body=body, content_type="application/json", headers=headers)


def _gzip(body: bytes) -> bytes:
    """Fast rather than small: the reader is on this machine."""
    return zlib.compress(body, 1, _GZIP)


@web.middleware
async def _provider_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Words aiohttp's own errors (unknown path, wrong method) like the provider."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        errors = _ERRORS[TELNYX if request.path.startswith("/v2/") else TWILIO]
        if error.status == 405:
            return await _written(request, errors.not_allowed())
        return await _written(request, errors.not_found(request.path))
