"""A role's own HTTP: `/metrics`, `/livez`, `/readyz`, and nothing else.

No token is needed, so no personal data is in it: reasons say what is wrong, never with whose call.
A role passes what live and ready mean for it; `worker_live` and `worker_ready` are the worker's.
The answers come from the role's own event loop: a loop that hangs does not answer, and that is an answer too.
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from stream.runtime.errors import said

if TYPE_CHECKING:
    from stream.runtime.lanes.progress import Progress

log = logging.getLogger("callstream")

Check = Callable[[], tuple[bool, Sequence[str]]]
"""Whether it is so, and if not, why: short sentences for an operator. Must not block."""

Exposition = Callable[[str], tuple[bytes, str]]
"""From the `Accept` header to a scrape's body and its content type."""

_SHUTDOWN_S = 1.0
_BROKER_SILENT_S = 10.0
_STALLED_S = 60.0
_STALLED_WITHOUT_BROKER_S = 600.0
_PHASE_S = 300.0


def worker_live(progress: Progress) -> tuple[bool, list[str]]:
    """Whether a worker makes progress or has nothing to do. If not, a restart may help.

    A stall while the broker is silent is the broker's: a restart would not help, so it may last longer.
    """
    reasons = []
    patience_s = _STALLED_S if _hears(progress) else _STALLED_WITHOUT_BROKER_S
    if progress.waiting_s > patience_s:
        reasons.append(f"a lane has had records for {progress.waiting_s:.0f} s and committed none")
    if progress.phase in {"starting", "rebalancing"} and progress.phase_s > _PHASE_S:
        reasons.append(f"{progress.phase} for {progress.phase_s:.0f} s")
    return not reasons, reasons


def worker_ready(progress: Progress) -> tuple[bool, list[str]]:
    """Whether a worker is recovered, has partitions, and has heard from the broker in the last 10 s."""
    reasons = []
    if progress.phase != "running":
        reasons.append(f"the worker is {progress.phase}")
    if not progress.assigned:
        reasons.append("no partition is assigned")
    elif not progress.recovered:
        reasons.append("the table is not recovered")
    if progress.parked:
        reasons.append(f"another worker has taken over partitions {', '.join(map(str, progress.parked))}")
    if progress.broker_heard_s is None:
        reasons.append("the broker has not answered yet")
    elif not _hears(progress):
        reasons.append(f"the broker has been silent for {progress.broker_heard_s:.0f} s")
    reasons += progress.waits
    return not reasons, reasons


def _hears(progress: Progress) -> bool:
    return progress.broker_heard_s is not None and progress.broker_heard_s <= _BROKER_SILENT_S


class ListenError(Exception):
    """The address cannot be listened on; the message says why, and which setting to change."""


@asynccontextmanager
async def serve(
    listen: str, *, metrics: Exposition, live: Check, ready: Check, setting: str = "CALLSTREAM_WORKER_LISTEN"
) -> AsyncIterator[str]:
    """Serve while the block runs; gives the base URL (port 0 in `listen` picks a free one).

    `setting` is named in the `ListenError` that a wrong or taken address raises.
    """
    runner = web.AppRunner(
        application(metrics, live, ready), access_log=None, shutdown_timeout=_SHUTDOWN_S, handle_signals=False
    )
    await runner.setup()
    try:
        yield await listen_on(runner, listen, setting)
    finally:
        await runner.cleanup()


async def listen_on(
    runner: web.BaseRunner, listen: str, setting: str, tls: ssl.SSLContext | None = None
) -> str:
    """Take connections at `listen` for a runner that is set up; gives the base URL. Raises ListenError."""
    host, port = address(listen, setting)
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
    except OSError as error:
        raise ListenError(_why(listen, setting, error)) from error
    bound = runner.addresses[0]
    name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return f"{'http' if tls is None else 'https'}://{name}:{bound[1]}"


def address(listen: str, setting: str) -> tuple[str, int]:
    """(host, port) of `host:port` or `[v6]:port`. Raises ListenError."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ListenError(f"{setting}: {listen!r} is not host:port")
    return host, int(port)


def _why(listen: str, setting: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{listen} is in use by another program: stop it, or set {setting} to another address"
    if error.errno == errno.EACCES:
        return f"{listen} may not be used by this user: set {setting} to a port above 1023"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{listen} is no address of this machine: set {setting} to one that is"
    return f"cannot listen on {listen} ({said(error)}): see {setting}"


def application(metrics: Exposition, live: Check, ready: Check) -> web.Application:
    """The three paths. Whatever else is asked for gets a bare status."""
    app = web.Application(middlewares=[bare_errors])
    add_routes(app, metrics, live, ready)
    return app


def add_routes(app: web.Application, metrics: Exposition, live: Check, ready: Check) -> None:
    """The three paths, for a role whose HTTP has others beside them."""

    async def scrape(request: web.Request) -> web.Response:
        body, content_type = metrics(request.headers.get("Accept", ""))
        response = web.Response(body=body, headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    app.router.add_get("/metrics", scrape)
    app.router.add_get("/livez", _probe(live))
    app.router.add_get("/readyz", _probe(ready))
    app.on_response_prepare.append(_anonymous)


def _probe(check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def probe(_: web.Request) -> web.Response:
        ok, reasons = _ask(check)
        body = msgspec.json.encode({"status": "ok" if ok else "unavailable", "reasons": list(reasons)})
        headers = {"Cache-Control": "no-store"}
        return web.Response(
            status=200 if ok else 503, body=body, content_type="application/json", headers=headers
        )

    return probe


def _ask(check: Check) -> tuple[bool, Sequence[str]]:
    try:
        return check()
    except Exception as error:  # noqa: BLE001  # a check that fails is a reason, not a page with a traceback
        return False, (f"the check itself failed: {type(error).__name__}",)


@web.middleware
async def bare_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Whoever asks for something else learns a status and nothing more."""
    try:
        return await handler(request)
    except web.HTTPException as answer:
        return web.Response(status=answer.status)
    except Exception:  # aiohttp's own answer would have the error in it where the loop is debugged
        log.exception("a question for health or metrics failed")
        return web.Response(status=500)


async def _anonymous(_: web.Request, response: web.StreamResponse) -> None:
    """The `Server` header would tell versions to whoever asks."""
    response.headers.pop("Server", None)
