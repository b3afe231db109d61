"""The doors that providers knock on: a request in, verified, landed, answered.

The rule of this file: it decides nothing about a request that a pure file next to it can decide. It holds the
bounds (how many at once, how large, how long) and says every outcome in an HTTP status: 204 after the
broker's acknowledgement, 503 where a repetition may fare better, 4xx where none will.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol

from aiohttp import hdrs, web

from stream.gateway.answers import answer, busy, empty
from stream.gateway.envelope import Delivery
from stream.gateway.form_body import TooManyParametersError, as_object, pairs
from stream.gateway.landing import deliveries
from stream.gateway.refusal import Refused
from stream.gateway.request import Request
from stream.gateway.shapes import source_of
from stream.gateway.trust import Trust
from stream.gateway.verification import verify
from stream.runtime.errors import said
from stream.runtime.lander import NoRoomError, NotLandedError
from stream.runtime.metrics.gateway import GatewayMetrics
from stream.runtime.metrics.vocabulary import CALLBACK_ROUTES, OTHER, ROUTES, UNKNOWN


class Limits(NamedTuple):
    """How many at once, and how long: well within what the providers wait."""

    at_once: int = 1000
    """Requests in work; one more is told to come again."""
    body_s: float = 10.0
    """Time that a body may take to arrive. A provider's takes milliseconds."""
    twilio_s: float = 5.0
    """Time that the broker may take. Twilio waits 15 s for an answer."""
    telnyx_s: float = 1.5
    """Telnyx waits 2 s."""


class Shore(Protocol):
    """Where deliveries land: see `stream.runtime.lander`."""

    async def land(self, deliveries: Sequence[Delivery], limit_s: float) -> None: ...


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Offer = Callable[[Request, Refused, float], None]
"""Told of each request that was refused, and when (Unix time). Must not block."""

log = logging.getLogger("callstream.gateway")
access = logging.getLogger("callstream.gateway.access")


LIMITS = Limits()


class Doors:
    """The callbacks' routes. `refused` is told of what was refused for its signature or account."""

    def __init__(
        self, trust: Trust, shore: Shore, metrics: GatewayMetrics, refused: Offer, limits: Limits = LIMITS
    ) -> None:
        self._trust = trust
        self._shore = shore
        self._metrics = metrics
        self._refused = refused
        self._limits = limits
        self._in_work = 0

    @property
    def in_work(self) -> int:
        """Requests that are not answered yet."""
        return self._in_work

    def add_routes(self, app: web.Application) -> None:
        for path in CALLBACK_ROUTES:
            app.router.add_route(hdrs.METH_ANY, path, self.callback)

    async def callback(self, asked: web.Request) -> web.Response:
        """One webhook."""
        if self._in_work >= self._limits.at_once:
            self._metrics.rejected(UNKNOWN, "overloaded")
            return busy()
        self._in_work += 1
        try:
            return await self._callback(asked)
        finally:
            self._in_work -= 1

    async def _callback(self, asked: web.Request) -> web.Response:
        endpoint = asked.path
        if asked.method not in ("GET", "POST") or (asked.method == "GET" and endpoint != "/callbacks/twilio"):
            return empty(405)
        try:
            if asked.content.is_eof():
                body = await asked.read()  # all of it is here, as it mostly is: a timer would cost more
            else:
                async with asyncio.timeout(self._limits.body_s):
                    body = await asked.read()
        except TimeoutError:
            return self._malformed(408)
        except web.HTTPRequestEntityTooLarge:
            self._metrics.rejected(UNKNOWN, "too_large")
            return _last_of_its_connection(413)
        except (ConnectionError, web.RequestPayloadError):
            return self._malformed(400)
        request = _request(asked, body)
        received_s = time.time()
        verified = verify(request, self._trust, received_s)
        if isinstance(verified, Refused):
            return self._refuse(request, endpoint, verified, received_s)
        found = deliveries(verified, endpoint=endpoint, received_us=round(received_s * 1_000_000))
        if isinstance(found, Refused):
            return self._refuse(request, endpoint, found, received_s)
        return await self._land(found, verified.provider, verified.verified)

    async def _land(self, found: list[Delivery], provider: str, verified: bool) -> web.Response:
        try:
            limits = self._limits
            await self._shore.land(found, limits.telnyx_s if provider == "telnyx" else limits.twilio_s)
        except NoRoomError:
            self._metrics.rejected(_source(found), "overloaded")
            return busy()
        except NotLandedError:
            self._metrics.rejected(_source(found), "produce_failed")
            return busy()
        for one in found:
            self._metrics.landed(one, verified)
        return empty(204)

    def _malformed(self, status: int) -> web.Response:
        self._metrics.rejected(UNKNOWN, "malformed")
        return _last_of_its_connection(status)

    def _refuse(self, request: Request, endpoint: str, refused: Refused, now_s: float) -> web.Response:
        self._metrics.rejected(looks_like(request, endpoint), refused.reason)
        if refused.status == 403:
            self._refused(request, refused, now_s)
        return answer(refused)


def looks_like(request: Request, endpoint: str) -> str:
    """The source that a request claims to be of, by its shape; `unknown` where it has none that can be read.

    For a counter's label: it says nothing of who sent it.
    """
    if not request.is_form:
        return {"/callbacks/telnyx": "telnyx_webhook"}.get(
            endpoint, "twilio_event_stream" if endpoint.endswith("/event-streams") else UNKNOWN
        )
    try:
        body, _ = as_object(pairs(request.body))
    except TooManyParametersError:
        return UNKNOWN
    return source_of("telnyx" if "telnyx" in endpoint else "twilio", endpoint, body, form=True)


def _source(found: list[Delivery]) -> str:
    return found[0].source if found else UNKNOWN


def _request(asked: web.Request, body: bytes) -> Request:
    return Request(
        method=asked.method,
        target=asked.raw_path,
        headers=tuple(asked.headers.items()),
        body=body,
        remote=asked.remote,
        secure=asked.secure,
    )


def _last_of_its_connection(status: int) -> web.Response:
    """What is left of the body is not read: the connection is of no more use."""
    response = empty(status)
    response.force_close()
    return response


def observing(metrics: GatewayMetrics) -> Any:
    """A middleware that counts each request and, where the log asks for it, says it without personal data."""

    @web.middleware
    async def observe(asked: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        status = 500
        try:
            response = await handler(asked)
            status = response.status
            return response
        except Exception as error:  # the last resort: our own fault must not cost the provider's time-out
            log.exception("a request failed: %s", said(error))
            return empty(500)
        finally:
            seconds = time.perf_counter() - began
            metrics.answered(asked.path, asked.method, status, seconds)
            if access.isEnabledFor(logging.INFO):
                route = asked.path if asked.path in ROUTES else OTHER
                access.info("%s %s %d %.1f ms", asked.method, route, status, seconds * 1000)

    return observe
