"""A gateway's doors on a real socket, and a shore behind them that a test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import ClientResponse, ClientSession, web
from yarl import URL

from stream.gateway.connections import Connections
from stream.gateway.envelope import Delivery
from stream.gateway.refusal import Refused
from stream.gateway.request import Request
from stream.gateway.role import application, live, quiet, ready
from stream.gateway.server import LIMITS, Doors, Limits
from stream.gateway.trust import Trust
from stream.runtime.metrics.gateway import GatewayMetrics
from stream.runtime.metrics.vocabulary import Vocabulary
from tests.gateway import signing

TRUST = Trust(
    public_url=f"https://{signing.HOST}",
    twilio_tokens={signing.ACCOUNT: (signing.TOKEN,)},
)


class Shore:
    """Keeps what lands; `error` is raised instead, and nothing ends before `open` is set."""

    def __init__(self) -> None:
        self.landed: list[Delivery] = []
        self.limits_s: list[float] = []
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def land(self, deliveries: Sequence[Delivery], limit_s: float) -> None:
        self.limits_s.append(limit_s)
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.landed += deliveries


class House:
    """A gateway's doors, and who knocks at them."""

    def __init__(self, trust: Trust, limits: Limits) -> None:
        self.shore = Shore()
        self.metrics = GatewayMetrics(Vocabulary())
        self.refused: list[tuple[str, str]] = []
        self.connections = Connections(first_request_s=0.3, every_s=0.05)
        self.trouble: str | None = None
        self.beside: list[asyncio.Task[None]] = []
        self.doors = Doors(trust, self.shore, self.metrics, self._note, limits)
        self.app = application(
            self.doors,
            self.metrics,
            self.connections,
            live=lambda: live(self.beside),
            ready=lambda: ready(self.trouble, trust),
            body_limit_bytes=65_536,
        )
        self.port = 0
        self.client: ClientSession

    def _note(self, request: Request, refused: Refused, now_s: float) -> None:
        self.refused.append((refused.reason, request.path))

    async def send(self, request: Request) -> ClientResponse:
        """The request as its sender would send it, byte for byte."""
        url = URL(f"http://127.0.0.1:{self.port}{request.target}", encoded=True)
        response = await self.client.request(
            request.method, url, headers=list(request.headers), data=request.body
        )
        await response.read()
        return response

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> ClientResponse:
        response = await self.client.request(
            method, f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers
        )
        await response.read()
        return response

    def counted(self, family: str, **labels: str) -> float:
        """A sample of the exposition."""
        value = self.metrics.board.registry.get_sample_value(f"callstream_{family}", labels)
        assert value is not None, f"no series {family} {labels}"
        return value


@asynccontextmanager
async def house(trust: Trust = TRUST, limits: Limits = LIMITS) -> AsyncIterator[House]:
    one = House(trust, limits)
    runner = web.AppRunner(
        one.app, access_log=None, logger=quiet(one.metrics), lingering_time=0.1, shutdown_timeout=1
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    assert runner.server is not None
    watching = asyncio.create_task(one.connections.watch(runner.server))
    try:
        async with ClientSession(auto_decompress=False) as client:
            one.client = client
            yield one
    finally:
        one.shore.open.set()
        watching.cancel()
        await runner.cleanup()
