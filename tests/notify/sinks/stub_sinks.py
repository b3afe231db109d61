"""Servers on loopback in place of the services: each checks what it gets against the documented shape."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import jsonschema
import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from stream.notify.sinks.webhook import signature
from stream.service.tables.notify_tables import SinkSetting
from tests.notify.sinks import shapes

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
SIGNING_KEY = "whsec_cGxhbnRlZC1zaWduaW5nLXNlY3JldC0w"
TYPES = ("alertmanager", "pagerduty", "slack", "webhook")


class StubSinks:
    """`received`: the payloads by type of sink, with the time of each. `away`: types that answer 503.

    `answers`: statuses that are given before all else, by type, with `texts`.
    """

    def __init__(self) -> None:
        self.received: dict[str, list[tuple[float, Any]]] = {kind: [] for kind in TYPES}
        self.headers: dict[str, list[dict[str, str]]] = {kind: [] for kind in TYPES}
        self.refused: list[str] = []
        self.away: set[str] = set()
        self.answers: dict[str, list[int]] = {}
        self.texts: dict[str, str] = {}
        self.url = ""

    def settings(self, **more: Any) -> list[SinkSetting]:
        """A sink of each type, named as it."""
        at = {
            "alertmanager": {"url": self.url},
            "pagerduty": {"url": f"{self.url}/v2/enqueue", "secret": ROUTING_KEY},
            "slack": {"url": f"{self.url}/services/T0/B0/planted"},
            "webhook": {"url": f"{self.url}/alerts", "secret": SIGNING_KEY},
        }
        return [SinkSetting(name=kind, type=kind, **at[kind], **more) for kind in TYPES]

    def payloads(self, kind: str) -> list[Any]:
        return [payload for _, payload in self.received[kind]]

    async def _take(self, request: web.Request, kind: str, schema: Any, *, ok: web.Response) -> web.Response:
        body = await request.read()
        if planned := self.answers.get(kind):
            return web.Response(status=planned.pop(0), text=self.texts.get(kind))
        if kind in self.away:
            return web.Response(status=503, headers={"Retry-After": "1"})
        payload = orjson.loads(body)
        try:
            jsonschema.validate(payload, schema)
            self._check_signature(kind, request, body)
        except (jsonschema.ValidationError, AssertionError, KeyError) as error:
            self.refused.append(f"{kind}: {error}")
            return web.Response(status=400)
        self.received[kind].append((time.monotonic(), payload))
        self.headers[kind].append(dict(request.headers))
        return ok

    @staticmethod
    def _check_signature(kind: str, request: web.Request, body: bytes) -> None:
        if kind != "webhook":
            return
        id_, stamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        assert abs(time.time() - int(stamp)) < 300
        assert request.headers["webhook-signature"] == signature(SIGNING_KEY, id_, stamp, body)

    def app(self) -> web.Application:
        app = web.Application()
        table = {
            "alertmanager": ("/api/v2/alerts", shapes.ALERTMANAGER, 200, ""),
            "pagerduty": ("/v2/enqueue", shapes.PAGERDUTY, 202, '{"status":"success"}'),
            "slack": ("/services/T0/B0/planted", shapes.SLACK, 200, "ok"),
            "webhook": ("/alerts", shapes.WEBHOOK, 204, ""),
        }
        for kind, (path, schema, status, text) in table.items():

            async def take(
                request: web.Request, kind: str = kind, of: Any = schema, code: int = status, said: str = text
            ) -> web.Response:
                return await self._take(request, kind, of, ok=web.Response(status=code, text=said))

            app.router.add_post(path, take)
        return app


@asynccontextmanager
async def stub_sinks() -> AsyncIterator[StubSinks]:
    stub = StubSinks()
    async with TestServer(stub.app(), host="127.0.0.1") as server:
        stub.url = str(server.make_url("")).rstrip("/")
        yield stub


async def until(condition: Any, what: str, limit_s: float = 30.0) -> None:
    """Wait until `condition()` is true."""
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s, what
        await asyncio.sleep(0.02)


def leaves(value: Any) -> Iterator[str]:
    """Every text in a payload, keys too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield str(value)
