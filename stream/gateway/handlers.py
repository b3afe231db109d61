"""The handlers of the callback routes: a request in, verified, written to Kafka, answered.

The pure files of `receive` decide about a request. Here are the bounds (how many at once, how large, how
long) and the HTTP status of each outcome: 204 after the broker's acknowledgement, 503 where a retry may
succeed, 4xx where none will.

No answer has a body. A voice webhook's answer could be read as instructions for the call (TwiML), and a
refused sender learns nothing. (Twilio: "204 with an empty body" is the best answer to a status callback.)
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from aiohttp import hdrs, web

from stream.gateway.delivery_tokens import DeliveryTokens
from stream.gateway.failed_verifications import FailedVerifications, network
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.public_url import clean_address, client_of, is_trusted, may_be_a_proxy
from stream.gateway.receive.records import as_object, records_of
from stream.gateway.receive.request import (
    GET_PATH,
    SMALL_BYTES,
    TELNYX_SIGNATURE,
    TWILIO_SIGNATURE,
    Client,
    ParsedRequest,
    RequestRefusedError,
    WebhookRequest,
    is_cheap_to_verify,
    is_packed,
    parse,
)
from stream.gateway.receive.source_detection import source_of
from stream.gateway.receive.verification import FEW_KEYS, verify
from stream.gateway.waiting_bodies import DisplacedError, WaitingBodies
from stream.kafka.acked_producer import BufferFullError, NotAcknowledgedError
from stream.kafka.oversized_records import DeadLetteringProducer
from stream.service.errors import describe
from stream.service.http.server import Bare
from stream.service.metrics.gateway import GatewayMetrics
from stream.service.metrics.label_values import CALLBACK_ROUTES, OTHER, UNKNOWN


class RequestLimits(NamedTuple):
    """How many at once, and how long: well within the providers' time-outs."""

    at_once: int = 1000
    """Requests in work, whose bodies have arrived. One more is answered with 503."""
    twilio_s: float = 5.0
    """The time that the broker may take. Twilio waits 15 s for an answer."""
    telnyx_s: float = 1.5
    """Telnyx waits 2 s."""


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Offer = Callable[[ParsedRequest, str, str, float], None]
"""Receives each request refused with 403, and signed GETs refused with 405: its route, the reason, and when
(Unix time). Must not block."""

log = logging.getLogger("callstream.gateway")
access = logging.getLogger("callstream.gateway.access")


LIMITS = RequestLimits()

RETRY_AFTER_S = 1

TOKEN_REUSED = (
    "webhooks with different contents came with one idempotency token: each is its own event. "
    "Does a proxy set the header? Further ones are counted, not logged"
)

LABELLED_BYTES = 8192
"""A refused form's source is only a label. It is not worked out for a form larger than any provider sends."""


class CallbackHandlers:
    """The callback routes. `refused` is an `Offer`."""

    def __init__(
        self,
        credentials: GatewayCredentials,
        sink: DeadLetteringProducer,
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
        self._tokens = DeliveryTokens()
        self._in_work = 0

    def add_routes(self, app: web.Application) -> None:
        for path in CALLBACK_ROUTES:
            app.router.add_route(hdrs.METH_ANY, path, self.callback)

    async def callback(self, asked: web.Request) -> web.Response:
        if asked.method != "POST" and (asked.method != "GET" or asked.path != GET_PATH):
            return self._wrong_method(asked)
        if is_packed(asked.headers):
            return self._reject("malformed", answer(415, unread=True))
        client = client_of(asked.remote, asked.headers, self._credentials.trusted_proxies)
        address = self._limited_as(client.remote)
        wait_s = self._failures.wait_s(address, time.monotonic())
        if wait_s and not _is_small(asked):
            return self._wait(wait_s)
        body = await self._body(asked, address)
        if not isinstance(body, bytes):
            return body
        if self._in_work >= self._limits.at_once:
            return self._reject("overloaded", answer(503, retry_after_s=RETRY_AFTER_S))
        self._in_work += 1
        try:
            request = WebhookRequest(
                method=asked.method,
                target=asked.raw_path,
                headers=asked.headers,
                body=body,
                remote=asked.remote,
                secure=asked.secure,
            )
            return await self._process(request, client, asked.path, address, wait_s)
        finally:
            self._in_work -= 1

    def turns_away(self, peer: str) -> bool:
        """Whether no connection of an address is accepted: it already holds back all the bodies it may."""
        address = self._limited_as(clean_address(peer))
        return (
            bool(address)
            and self._bodies.is_full(network(address))
            and not self._failures.has_verified(address, time.monotonic())
        )

    def _limited_as(self, address: str | None) -> str:
        """The address that limits apply to; empty where it is or may be a proxy's."""
        trusted = self._credentials.trusted_proxies
        if address is None or (is_trusted(address, trusted) if trusted else may_be_a_proxy(address)):
            return ""
        return address

    async def _body(self, asked: web.Request, address: str) -> bytes | web.Response:
        """The body, or the answer to its sender."""
        try:
            if asked.content.is_eof():
                return await asked.read()  # all of it has arrived, as it mostly has: a timer would cost more
            return await self._bodies.read(asked.read(), network(address))
        except TimeoutError:
            return self._reject("malformed", answer(408, unread=True))
        except DisplacedError:
            return self._reject("overloaded", answer(503, unread=True, retry_after_s=RETRY_AFTER_S))
        except web.HTTPRequestEntityTooLarge:
            return self._reject("too_large", answer(413, last=True))
        except (ConnectionError, web.RequestPayloadError):
            return self._reject("malformed", answer(400, last=True))
        except RuntimeError:
            if asked.transport is not None:
                raise
            # aiohttp's error for a connection that was gone before its body was read.
            return self._reject("malformed", answer(400, last=True))

    async def _process(
        self, request: WebhookRequest, client: Client, endpoint: str, address: str, wait_s: int
    ) -> web.Response:
        """`wait_s`: of a limited address. A provider may share it, so what is cheap to verify is verified all
        the same, and only a failure is answered with 429.
        """
        received_s, began_s = time.time(), time.monotonic()
        if wait_s and not is_cheap_to_verify(request):
            return self._wait(wait_s)
        parsed = None
        try:
            parsed = parse(request, client)
            keys_at_most = FEW_KEYS if wait_s else sys.maxsize
            verified = verify(parsed, self._credentials, received_s, keys_at_most=keys_at_most)
        except RequestRefusedError as error:
            if wait_s:
                return self._wait(wait_s)
            answered = self._refuse(parsed, endpoint, error, received_s)
            now_s = time.monotonic()
            self._failures.record_failure(address, now_s, now_s - began_s)
            return answered
        if verified.variant is not None:
            self._failures.record_success(address, began_s)
            self._note_token(verified.token, request)
        try:
            records = records_of(verified, endpoint=endpoint, received_us=round(received_s * 1_000_000))
        except RequestRefusedError as error:
            return self._refuse(parsed, endpoint, error, received_s)
        written = [record for record in records if record.ignored is None]
        limit_s = self._limits.telnyx_s if verified.provider == "telnyx" else self._limits.twilio_s
        try:
            await self._sink.send_all(written, limit_s)
        except (BufferFullError, NotAcknowledgedError) as error:
            reason = "overloaded" if isinstance(error, BufferFullError) else "produce_failed"
            source = records[0].source if records else UNKNOWN
            return self._reject(reason, answer(503, retry_after_s=RETRY_AFTER_S), source)
        for record in records:
            if record.ignored is not None:
                self._metrics.ignored(record.ignored)
            else:
                self._metrics.landed(record.source, record.delay_us, verified.variant is not None)
        return web.Response(status=204)

    def _note_token(self, token: str | None, request: WebhookRequest) -> None:
        """Count a token that came with other content before. It is logged once: senders make tokens."""
        content = request.body or request.target.partition("?")[2].encode()
        if self._tokens.is_reused(token, content) and self._metrics.token_reused() == 1:
            log.warning(TOKEN_REUSED)

    def _wrong_method(self, asked: web.Request) -> web.Response:
        """A GET that a provider signed shows that a webhook is set up with the wrong method."""
        if asked.method == "GET" and (TWILIO_SIGNATURE in asked.headers or TELNYX_SIGNATURE in asked.headers):
            remote, headers = asked.remote, asked.headers
            request = WebhookRequest(
                method="GET", target=asked.raw_path, headers=headers, remote=remote, secure=asked.secure
            )
            if is_cheap_to_verify(request):
                parsed = parse(request, client_of(remote, headers, self._credentials.trusted_proxies))
                self._refused(parsed, asked.path, "wrong_method", time.time())
        return answer(405)

    def _wait(self, wait_s: int) -> web.Response:
        return self._reject("rate_limited", answer(429, unread=True, retry_after_s=wait_s))

    def _refuse(
        self, parsed: ParsedRequest | None, endpoint: str, error: RequestRefusedError, now_s: float
    ) -> web.Response:
        if parsed is not None and error.status == 403:
            self._refused(parsed, endpoint, error.reason, now_s)
        return self._reject(error.reason, answer(error.status), claimed_source(parsed, endpoint))

    def _reject(self, reason: str, response: web.Response, source: str = UNKNOWN) -> web.Response:
        self._metrics.rejected(source, reason)
        return response


def claimed_source(parsed: ParsedRequest | None, endpoint: str) -> str:
    """The source that a refused request claims by its shape; `unknown` where the shape says nothing.

    For a counter's label: it does not show who sent it.
    """
    if parsed is None:
        return UNKNOWN
    if not parsed.is_form or parsed.content.parameters is None:
        return {"/callbacks/telnyx": "telnyx_webhook"}.get(
            endpoint, "twilio_event_stream" if endpoint.endswith("/event-streams") else UNKNOWN
        )
    if len(parsed.request.body) > LABELLED_BYTES:
        return UNKNOWN
    body, _ = as_object(parsed.content.parameters)
    return source_of("telnyx" if "telnyx" in endpoint else "twilio", endpoint, body, form=True)


def _is_small(asked: web.Request) -> bool:
    """Whether the announced body is at most as large as one event."""
    return not asked.body_exists or (asked.content_length or SMALL_BYTES + 1) <= SMALL_BYTES


def answer(
    status: int, *, retry_after_s: int | None = None, unread: bool = False, last: bool = False
) -> web.Response:
    """A bare status. `unread`: what is left of the request is not read; `last`: its connection ends."""
    response = Bare(status, unread=True) if unread else web.Response(status=status)
    if retry_after_s is not None:
        response.headers[hdrs.RETRY_AFTER] = str(retry_after_s)
    if last:
        response.force_close()
    return response


def request_observer(metrics: GatewayMetrics) -> Any:
    """A middleware that counts each request and, where the log level asks for it, logs it without personal
    data.
    """

    @web.middleware
    async def observe(asked: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        status = 500
        try:
            response = await handler(asked)
            status = response.status
            return response
        except web.HTTPException as error:
            status = error.status
            raise
        except Exception as error:  # the last resort: our own fault must not cost the provider's time-out
            log.exception("a request failed: %s", describe(error))
            return answer(500)
        finally:
            seconds = time.perf_counter() - began
            metrics.answered(asked.path, asked.method, status, seconds)
            if access.isEnabledFor(logging.INFO):
                route = asked.path if asked.path in CALLBACK_ROUTES else OTHER
                access.info("%s %s %d %.1f ms", asked.method, route, status, seconds * 1000)

    return observe
