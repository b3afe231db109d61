"""The doors that providers knock on: a request in, verified, landed, answered.

The rule of this file: it decides nothing about a request that a pure file next to it can decide. It holds the
bounds (how many at once, how large, how long) and says every outcome in an HTTP status: 204 after the
broker's acknowledgement, 503 where a repetition may fare better, 4xx where none will.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiohttp import hdrs, web

from stream.gateway.answers import answer, busy, come_again, empty
from stream.gateway.failed_verifications import FailedVerifications, network
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.envelope import WebhookRecord
from stream.gateway.receive.form_body import TooManyParametersError, as_object, pairs
from stream.gateway.receive.public_url import believed, clean_address, is_trusted, may_be_a_proxys
from stream.gateway.receive.records import deliveries
from stream.gateway.receive.refusal import Refusal
from stream.gateway.receive.request import WebhookRequest
from stream.gateway.receive.source_detection import source_of
from stream.gateway.receive.verification import FEW_KEYS, SMALL_BYTES, costs_little, verify
from stream.gateway.waiting_bodies import DisplacedError, WaitingBodies
from stream.kafka.acked_producer import BufferFullError, NotAcknowledgedError
from stream.service.errors import said
from stream.service.http.server import Bare
from stream.service.metrics.gateway import GatewayMetrics
from stream.service.metrics.label_values import CALLBACK_ROUTES, OTHER, UNKNOWN


class RequestLimits(NamedTuple):
    """How many at once, and how long: well within what the providers wait."""

    at_once: int = 1000
    """Requests in work, whose bodies are there; one more is told to come again."""
    twilio_s: float = 5.0
    """Time that the broker may take. Twilio waits 15 s for an answer."""
    telnyx_s: float = 1.5
    """Telnyx waits 2 s."""


class RecordSink(Protocol):
    """Where deliveries land: see `stream.kafka.acked_producer`."""

    async def send_all(self, deliveries: Sequence[WebhookRecord], limit_s: float) -> None: ...


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Offer = Callable[[WebhookRequest, str, Refusal, float], None]
"""Told of each request that was refused, by which route it came, and when (Unix time). Must not block."""

log = logging.getLogger("callstream.gateway")
access = logging.getLogger("callstream.gateway.access")


LIMITS = RequestLimits()

LOOKED_AT_BYTES = 8192
"""Of a refused form, whose source is only a label: a larger one than any provider sends is not read twice."""


class CallbackHandlers:
    """The callbacks' routes. `refused` is told of what was refused for its signature or account."""

    def __init__(
        self,
        credentials: GatewayCredentials,
        sink: RecordSink,
        metrics: GatewayMetrics,
        refused: Offer,
        limits: RequestLimits = LIMITS,
        *,
        bodies: WaitingBodies | None = None,
        failures: FailedVerifications | None = None,
    ) -> None:
        self._credentials = credentials
        self._sink = sink
        self._metrics = metrics
        self._refused = refused
        self._limits = limits
        self._bodies = WaitingBodies() if bodies is None else bodies
        self._failures = FailedVerifications() if failures is None else failures
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
        if asked.method not in ("GET", "POST") or (
            asked.method == "GET" and asked.path != "/callbacks/twilio"
        ):
            return empty(405)
        if is_packed(asked.headers):
            return self._unread(415, "malformed")
        address = self._address(asked)
        wait_s = self._failures.wait_s(address, time.monotonic())
        if wait_s and not _is_small(asked):
            return self._limited(wait_s)
        body = await self._body(asked, address)
        if not isinstance(body, bytes):
            return body
        if self._in_work >= self._limits.at_once:
            self._metrics.rejected(UNKNOWN, "overloaded")
            return busy()
        self._in_work += 1
        try:
            return await self._work(_request(asked, body), asked.path, address, wait_s)
        finally:
            self._in_work -= 1

    def turns_away(self, peer: str) -> bool:
        """Whether no connection of an address is taken: it holds as many bodies back as one address may."""
        address = self._peer(peer)
        return (
            bool(address)
            and self._bodies.is_full(network(address))
            and not self._failures.has_verified(address, time.monotonic())
        )

    def _peer(self, remote: str | None) -> str:
        """A connection's address; empty where it is or may be a proxy's, whose clients it does not tell."""
        trusted = self._credentials.trusted_proxies
        address = clean_address(remote)
        if address is None or (is_trusted(address, trusted) if trusted else may_be_a_proxys(address)):
            return ""
        return address

    def _address(self, asked: web.Request) -> str:
        """The client's address as far as it can be believed; empty where nobody knows it: also where it
        is or may be that of a proxy that does not tell its clients apart.
        """
        trusted = self._credentials.trusted_proxies
        return self._peer(believed(_request(asked, b""), trusted)[1].remote if trusted else asked.remote)

    async def _body(self, asked: web.Request, address: str) -> bytes | web.Response:
        """The body, or what its sender is answered."""
        try:
            if asked.content.is_eof():
                return await asked.read()  # all of it is here, as it mostly is: a timer would cost more
            return await self._bodies.read(asked.read(), network(address))
        except TimeoutError:
            return self._unread(408, "malformed")
        except DisplacedError:
            self._metrics.rejected(UNKNOWN, "overloaded")
            return come_again(503)
        except web.HTTPRequestEntityTooLarge:
            self._metrics.rejected(UNKNOWN, "too_large")
            return _last_of_its_connection(413)
        except (ConnectionError, web.RequestPayloadError):
            self._metrics.rejected(UNKNOWN, "malformed")
            return _last_of_its_connection(400)
        except RuntimeError:
            if asked.transport is not None:
                raise
            # aiohttp's word for a connection that was gone before anybody began to read from it.
            self._metrics.rejected(UNKNOWN, "malformed")
            return _last_of_its_connection(400)

    async def _work(self, request: WebhookRequest, endpoint: str, address: str, wait_s: int) -> web.Response:
        """`wait_s`: of an address that is limited. Whoever shares it with a provider does not shut it out:
        what costs little to verify is verified all the same, and only what fails is told to wait.
        """
        received_s, began_s = time.time(), time.monotonic()
        if wait_s and not costs_little(request):
            return self._limited(wait_s)
        verified = verify(
            request, self._credentials, received_s, keys_at_most=FEW_KEYS if wait_s else sys.maxsize
        )
        if wait_s and isinstance(verified, Refusal):
            return self._limited(wait_s)
        if isinstance(verified, Refusal):
            answered = self._refuse(request, endpoint, verified, received_s)
            now_s = time.monotonic()
            self._failures.failed(address, now_s, now_s - began_s)
            return answered
        if verified.verified:
            self._failures.verified(address, began_s)
        found = deliveries(verified, endpoint=endpoint, received_us=round(received_s * 1_000_000))
        if isinstance(found, Refusal):
            return self._refuse(request, endpoint, found, received_s)
        return await self._land(found, verified.provider, verified.verified)

    async def _land(self, found: list[WebhookRecord], provider: str, verified: bool) -> web.Response:
        try:
            limits = self._limits
            await self._sink.send_all(found, limits.telnyx_s if provider == "telnyx" else limits.twilio_s)
        except BufferFullError:
            self._metrics.rejected(_source(found), "overloaded")
            return busy()
        except NotAcknowledgedError:
            self._metrics.rejected(_source(found), "produce_failed")
            return busy()
        for one in found:
            self._metrics.landed(one, verified)
        return empty(204)

    def _limited(self, wait_s: int) -> web.Response:
        self._metrics.rejected(UNKNOWN, "rate_limited")
        return come_again(429, wait_s)

    def _unread(self, status: int, reason: str) -> web.Response:
        self._metrics.rejected(UNKNOWN, reason)
        return Bare(status, unread=True)

    def _refuse(self, request: WebhookRequest, endpoint: str, refused: Refusal, now_s: float) -> web.Response:
        self._metrics.rejected(looks_like(request, endpoint), refused.reason)
        if refused.status == 403:
            self._refused(request, endpoint, refused, now_s)
        return answer(refused)


def looks_like(request: WebhookRequest, endpoint: str) -> str:
    """The source that a request claims to be of, by its shape; `unknown` where it has none that can be read.

    For a counter's label: it says nothing of who sent it.
    """
    if not request.is_form:
        return {"/callbacks/telnyx": "telnyx_webhook"}.get(
            endpoint, "twilio_event_stream" if endpoint.endswith("/event-streams") else UNKNOWN
        )
    if len(request.body) > LOOKED_AT_BYTES:
        return UNKNOWN
    try:
        body, _ = as_object(pairs(request.body))
    except TooManyParametersError:
        return UNKNOWN
    return source_of("telnyx" if "telnyx" in endpoint else "twilio", endpoint, body, form=True)


def _is_small(asked: web.Request) -> bool:
    """Whether it says that its body is no larger than that of one event."""
    return not asked.body_exists or (asked.content_length or SMALL_BYTES + 1) <= SMALL_BYTES


def is_packed(headers: Mapping[str, str]) -> bool:
    """Whether the body is in another coding than its own. No provider packs its webhooks."""
    return any(
        coding.strip().lower() not in ("", plain)
        for name, plain in (("Content-Encoding", "identity"), ("Transfer-Encoding", "chunked"))
        for coding in headers.get(name, "").split(",")
    )


def _source(found: list[WebhookRecord]) -> str:
    return found[0].source if found else UNKNOWN


def _request(asked: web.Request, body: bytes) -> WebhookRequest:
    return WebhookRequest(
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
                route = asked.path if asked.path in CALLBACK_ROUTES else OTHER
                access.info("%s %s %d %.1f ms", asked.method, route, status, seconds * 1000)

    return observe
