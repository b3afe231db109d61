"""A gateway on a real socket, with a sink that a test controls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import ClientResponse, ClientSession
from yarl import URL

from stream.gateway.failed_verifications import FailedVerifications
from stream.gateway.handlers import LIMITS, CallbackHandlers, Offer, RequestLimits
from stream.gateway.receive.credentials import GatewayCredentials
from stream.gateway.receive.records import WebhookRecord
from stream.gateway.receive.request import ParsedRequest, WebhookRequest
from stream.gateway.service import application, live, quiet, ready
from stream.gateway.waiting_bodies import WaitingBodies
from stream.service.http import health
from stream.service.http.connections import Connections
from stream.service.http.server import HttpServer
from stream.service.metrics.gateway import GatewayMetrics
from tests.gateway import signing

CREDENTIALS = GatewayCredentials(
    public_url=f"https://{signing.HOST}",
    twilio_tokens={signing.ACCOUNT: (signing.TOKEN,)},
)


class RecordingSink:
    """Keeps what lands; `error` is raised instead, and nothing ends before `open` is set."""

    def __init__(self) -> None:
        self.landed: list[WebhookRecord] = []
        self.limits_s: list[float] = []
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def send_all(self, records: Sequence[WebhookRecord], limit_s: float) -> None:
        self.limits_s.append(limit_s)
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.landed += records


class RunningGateway:
    """A gateway and its HTTP client."""

    def __init__(
        self,
        credentials: GatewayCredentials,
        limits: RequestLimits,
        bodies: WaitingBodies,
        offer: Offer | None = None,
    ) -> None:
        self.credentials = credentials
        self.sink = RecordingSink()
        self.metrics = GatewayMetrics()
        self.refused: list[tuple[str, str]] = []
        self.connections = Connections()
        self.connections.first_request_s = 0.3
        self.trouble: str | None = None
        self.background_tasks: list[asyncio.Task[None]] = []
        self.bodies = bodies
        self.failures = FailedVerifications()
        self.handlers = CallbackHandlers(
            credentials,
            self.sink,
            self.metrics,
            self._note if offer is None else offer,
            limits,
            bodies=bodies,
            failures=self.failures,
        )
        self.app = application(self.handlers, self.metrics, body_limit_bytes=65_536)
        self.own_url = ""
        self.port = 0
        self.client: ClientSession

    def _note(self, parsed: ParsedRequest, route: str, reason: str, now_s: float) -> None:
        self.refused.append((reason, route))

    async def send(self, request: WebhookRequest) -> ClientResponse:
        """Sends the request byte for byte."""
        url = URL(f"http://127.0.0.1:{self.port}{request.target}", encoded=True)
        response = await self.client.request(
            request.method, url, headers=list(request.headers.items()), data=request.body
        )
        await response.read()
        return response

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> ClientResponse:
        response = await self.client.request(
            method, f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers
        )
        await response.read()
        return response

    async def own(self, path: str) -> ClientResponse:
        """The answer of the role's own HTTP."""
        response = await self.client.get(f"{self.own_url}{path}")
        await response.read()
        return response

    def counted(self, family: str, **labels: str) -> float:
        """A sample of the exposition."""
        value = self.metrics.registry.get_sample_value(f"callstream_{family}", labels)
        assert value is not None, f"no series {family} {labels}"
        return value


@asynccontextmanager
async def running_gateway(
    credentials: GatewayCredentials = CREDENTIALS,
    limits: RequestLimits = LIMITS,
    bodies: WaitingBodies | None = None,
    refused: Offer | None = None,
) -> AsyncIterator[RunningGateway]:
    one = RunningGateway(credentials, limits, WaitingBodies() if bodies is None else bodies, refused)
    server = HttpServer(
        one.app, one.connections, logger=quiet(one.metrics), linger_s=0.1, rejects=one.handlers.turns_away
    )
    url = await server.listen("127.0.0.1:0", "CALLSTREAM_GATEWAY_LISTEN")
    one.port = int(url.rpartition(":")[2])
    watching = asyncio.create_task(server.watch(every_s=0.05))
    try:
        async with (
            ClientSession(auto_decompress=False) as client,
            health.serve(
                "127.0.0.1:0",
                metrics=one.metrics.exposition,
                live=lambda: live(one.background_tasks),
                ready=lambda: ready(one.trouble, credentials),
            ) as one.own_url,
        ):
            one.client = client
            yield one
    finally:
        one.sink.open.set()
        watching.cancel()
        await server.close()


async def raw(gateway: RunningGateway, sent: bytes) -> bytes:
    """What a client of raw bytes is sent until its connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
