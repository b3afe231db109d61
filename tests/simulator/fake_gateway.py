"""A small gateway on a real port: verifies and lands with the program's own rules, answers as it is told."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.public_url import client_of
from stream.gateway.receive.records import records_of
from stream.gateway.receive.request import RequestRefusedError, WebhookRequest, parse
from stream.gateway.receive.telnyx_signature import public_key
from stream.gateway.receive.verification import verify
from stream.simulator.accounts import public_key_of
from stream.simulator.calls.call import SourceRecord
from stream.simulator.delivery.webhooks import SigningKeys

TOKEN = "0123456789abcdef0123456789abcdef"
PRIVATE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

StatusOf = Callable[[WebhookRequest, int], int]
"""The status of the n-th request (from 1). Only what gets 2xx or 599 lands."""

WRITTEN_BUT_FAILED = 599


def accept_all(request: WebhookRequest, number: int) -> int:
    return 204


@dataclass
class FakeGateway:
    """What it was sent, and what it landed."""

    credentials: GatewayCredentials
    status_of: StatusOf = accept_all
    delay_s: float = 0.0
    url: str = ""
    requests: list[WebhookRequest] = field(default_factory=list)
    written: list[SourceRecord] = field(default_factory=list)
    refused: list[RequestRefusedError] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0

    async def handle(self, arrived: web.Request) -> web.Response:
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            return await self._answer(arrived)
        finally:
            self._now -= 1

    async def _answer(self, arrived: web.Request) -> web.Response:
        request = WebhookRequest(
            method=arrived.method,
            target=arrived.raw_path,
            headers=arrived.headers,
            body=await arrived.read(),
            remote=arrived.remote,
        )
        self.requests.append(request)
        status = self.status_of(request, len(self.requests))
        if 200 <= status < 300 or status == WRITTEN_BUT_FAILED:
            try:
                self._write(request)
            except RequestRefusedError as refused:
                self.refused.append(refused)
                status = refused.status
        await asyncio.sleep(self.delay_s)
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else None)

    def _write(self, request: WebhookRequest) -> None:
        now_s = time.time()
        client = client_of(request.remote, request.headers, self.credentials.trusted_proxies)
        parsed = parse(request, client)
        verified = verify(parsed, self.credentials, now_s)
        for one in records_of(verified, endpoint=parsed.path, received_us=int(now_s * 1e6)):
            assert one.key is not None
            self.written.append(SourceRecord("calls.callbacks.v1", one.key, one.value, int(now_s * 1e6)))


def signing_keys() -> SigningKeys:
    """The providers' side of it."""
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(PRIVATE))
    return SigningKeys(twilio_token=TOKEN, telnyx_key=key)


def credentials(public_url: str = "") -> GatewayCredentials:
    return GatewayCredentials(
        public_url=public_url,
        twilio_tokens={"": (TOKEN,)},
        telnyx_keys=(public_key(public_key_of(PRIVATE)),),
    )


@asynccontextmanager
async def running_gateway(
    status_of: StatusOf = accept_all, *, delay_s: float = 0.0, public_url: str = ""
) -> AsyncIterator[FakeGateway]:
    """One on a free port of this machine."""
    gateway = FakeGateway(credentials(public_url), status_of, delay_s)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", gateway.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield gateway
    finally:
        await runner.cleanup()
