"""A role's own HTTP: `/metrics`, `/livez`, `/readyz`, the documents at `/schemas/`, and nothing else.

It needs no token, so it contains no personal data: reasons say what is wrong, never with whose call.
Each role passes its own checks of live and ready.
The answers come from the role's own event loop: a loop that hangs does not answer, which is a signal too.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import TypeVar

import msgspec
from aiohttp import hdrs, web

from stream.service.errors import describe
from stream.service.http import service_manager
from stream.service.http.connections import Connections, raise_limit
from stream.service.http.server import HttpServer

Health = tuple[bool, Sequence[str]]
"""Whether it is good and, if not, the reasons: short sentences for an operator."""

Check = Callable[[], Health | Awaitable[Health]]
"""Must not block."""

Scrape = tuple[bytes, str]
"""A scrape's body and its content type."""

Exposition = Callable[[str], Scrape | Awaitable[Scrape]]
"""From the `Accept` header to what is answered."""

CONNECTIONS_AT_MOST = 32
"""A role's own HTTP has one or two clients."""

Documents = Callable[[], Mapping[str, bytes]]
"""Published JSON documents by file name, made when the first is asked for."""

SCRAPE_S = 1.0
"""An exposition is cached for this long."""

READY_EVERY_S = 0.2
"""How often a role that systemd waits for looks whether it is ready."""

OPENMETRICS = "application/openmetrics-text"

_NO_GZIP = re.compile(r"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")

T = TypeVar("T")

log = logging.getLogger("callstream.http")


@asynccontextmanager
async def serve(
    listen: str,
    *,
    metrics: Exposition,
    live: Check,
    ready: Check,
    documents: Documents | None = None,
    setting: str = "CALLSTREAM_WORKER_LISTEN",
) -> AsyncIterator[str]:
    """Serve while the block runs; gives the base URL (port 0 in `listen` picks a free one).

    A systemd that waits for it is told when the role is ready for the first time.

    `setting` is named in the `ListenError` that a wrong or taken address raises.
    """
    raise_limit()
    server = HttpServer(application(metrics, live, ready, documents), Connections(CONNECTIONS_AT_MOST))
    watching = asyncio.create_task(server.watch())
    telling = asyncio.create_task(_tell_when_ready(ready))
    try:
        yield await server.listen(listen, setting)
    finally:
        watching.cancel()
        telling.cancel()
        await server.close()


def application(
    metrics: Exposition, live: Check, ready: Check, documents: Documents | None = None
) -> web.Application:
    """The paths. Any other request gets a bare status."""
    app = web.Application()
    app.router.add_get("/metrics", Scrapes(metrics).answer)
    app.router.add_get("/livez", _probe(live))
    app.router.add_get("/readyz", _probe(ready))
    if documents is not None:
        serve_document = _documents(cache(documents))
        app.router.add_get("/schemas/", serve_document)
        app.router.add_get("/schemas/{name}", serve_document)
    return app


def _documents(documents: Documents) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve_document(request: web.Request) -> web.Response:
        name = request.match_info.get("name")
        if name is None:
            found: bytes | None = msgspec.json.encode([f"/schemas/{one}" for one in documents()])
        else:
            found = documents().get(name)
        if found is None:
            return web.Response(status=404)
        return web.Response(body=found, content_type="application/json")

    return serve_document


class Scrapes:
    """Answers scrapes. Text and OpenMetrics are computed and compressed at most once a second each."""

    def __init__(self, exposition: Exposition, clock: Callable[[], float] = time.monotonic) -> None:
        self._exposition = exposition
        self._clock = clock
        self._computed_s = 0.0
        self._cached: dict[str, tuple[bytes, bytes, str]] = {}

    async def answer(self, request: web.Request) -> web.Response:
        plain, packed, content_type = await self.newest(request.headers.get(hdrs.ACCEPT, ""))
        headers = {hdrs.CONTENT_TYPE: content_type, hdrs.VARY: "Accept, Accept-Encoding"}
        if not takes_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
            return web.Response(body=plain, headers=headers)
        return web.Response(body=packed, headers={**headers, hdrs.CONTENT_ENCODING: "gzip"})

    async def newest(self, accept: str) -> tuple[bytes, bytes, str]:
        """(the exposition, the same compressed, its content type)."""
        accept = OPENMETRICS if OPENMETRICS in accept else ""
        now_s = self._clock()
        if now_s - self._computed_s >= SCRAPE_S:
            self._cached, self._computed_s = {}, now_s
        if accept not in self._cached:
            body, content_type = await _value(self._exposition(accept))
            self._cached[accept] = body, gzip.compress(body, 5, mtime=0), content_type
        return self._cached[accept]


def takes_gzip(accept_encoding: str) -> bool:
    """Whether the client with this `Accept-Encoding` reads gzip: with `gzip;q=0` it says that it does not."""
    said = accept_encoding.lower()
    return "gzip" in said and _NO_GZIP.search(said) is None


async def _tell_when_ready(ready: Check) -> None:
    """Tells systemd once, if it waits for that. Not at once: the role may have more ports to open."""
    if service_manager.waits():
        await asyncio.sleep(READY_EVERY_S)
        while not (await _outcome(ready))[0]:  # noqa: ASYNC110  a check has no event
            await asyncio.sleep(READY_EVERY_S)
        try:
            service_manager.notify("READY=1")
        except OSError as error:
            log.warning("systemd cannot be told that this role is ready: %s", describe(error))


async def _value(of: T | Awaitable[T]) -> T:
    return await of if isinstance(of, Awaitable) else of


async def _outcome(check: Check) -> Health:
    try:
        return await _value(check())
    except Exception as error:  # noqa: BLE001  # a check that fails is a reason, not a page with a traceback
        return False, [f"the check itself failed: {type(error).__name__}"]


def _probe(check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def probe(_: web.Request) -> web.Response:
        ok, reasons = await _outcome(check)
        body = msgspec.json.encode({"status": "ok" if ok else "unavailable", "reasons": reasons})
        headers = {"Cache-Control": "no-store", "Content-Type": "application/json"}
        return web.Response(status=200 if ok else 503, body=body, headers=headers)

    return probe
