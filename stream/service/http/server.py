"""A role's HTTP server: aiohttp's, hardened.

Whatever a client does: an answer discloses nothing about the software, no body is ever decompressed, and no
idle client keeps a connection (`stream.service.http.connections`).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import hdrs, web
from aiohttp.log import server_logger

from stream.service.http.connections import PAUSE_S, Connections
from stream.service.http.listening import Listening, bound, no_address

KEEP_ALIVE_S = 30.0
LINGER_S = 1.0
"""How long the rest of a refused body is read, so that its sender receives the answer."""

READ_BYTES = 65_536
"""Of a body that is not read yet, at most twice as much is buffered."""

AT_A_TIME_BYTES = 16_384
"""How much is read of a connection before another one's turn: the largest TLS record."""

PARSED_BYTES = 2048
"""How much of that is parsed before the chunks are checked: at most 340 chunks, a millisecond or two."""

TINY_CHUNKS = 100
TINY_CHUNK_BYTES = 64
"""A body with more chunks than that, of fewer bytes on average, costs more than it carries: its connection is
cut. Proxies pass on what they read, which is never so little so often.
"""

LOOK_EVERY_S = 1.0
_CLOSING_S = 0.02

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Bare(web.Response):
    """A bare status, also to invalid HTTP, which no application sees: no body, and no `Server` header.

    `unread`: nothing more is read of its connection, which ends with it.
    """

    def __init__(self, status: int, *, unread: bool = False) -> None:
        super().__init__(status=status)
        self.unread = unread
        if unread:
            self.force_close()

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop(hdrs.SERVER, None)


async def _anonymous(_: web.Request, response: web.StreamResponse) -> None:
    """Remove the `Server` header, which would disclose versions."""
    response.headers.pop(hdrs.SERVER, None)


class _Protocol(web.RequestHandler):
    """One connection, which is reported to `known`."""

    def __init__(self, known: Connections, server: web.Server) -> None:
        self._known = known
        super().__init__(server, loop=asyncio.get_running_loop(), **server._kwargs)

    def connection_made(self, transport: Any) -> None:
        self._known.connected(self, transport.abort, time.monotonic())
        _limit_reads(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._known.disconnected(self)
        super().connection_lost(exc)

    def handle_error(self, request: web.BaseRequest, status: int = 500, *more: Any) -> web.StreamResponse:
        """Invalid HTTP or an error of our own: logged as aiohttp does, and answered with a bare status."""
        super().handle_error(request, status, *more)
        answer = Bare(status)
        answer.force_close()
        return answer

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException):
            resp = Bare(resp.status)
        pipelined = bool(self._messages)
        if pipelined or self._known.closing:
            resp.force_close()
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            pause_s = self._known.request_ended(self, time.monotonic(), good=200 <= resp.status < 300)
            if isinstance(resp, Bare) and resp.unread:
                self.force_close()
            elif pipelined:
                self._drop_pipelined()
                await asyncio.sleep(PAUSE_S)
            elif pause_s and resp.keep_alive and not self._known.closing:
                await asyncio.sleep(pause_s)

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), PARSED_BYTES):
            super().data_received(data[at : at + PARSED_BYTES])
            if self._has_tiny_chunks():
                self._known.abort(self)
                return

    def _has_tiny_chunks(self) -> bool:
        """Whether the unread part of the newest body consists of many tiny chunks."""
        if self._messages:
            payload = self._messages[-1][1]
        elif self._current_request is not None:
            payload = self._current_request.content
        else:
            return False
        chunks = len(getattr(payload, "_http_chunk_splits", None) or ())
        return chunks > TINY_CHUNKS and payload._size < chunks * TINY_CHUNK_BYTES

    def _drop_pipelined(self) -> None:
        """End a connection whose client sends requests without waiting for answers.

        No provider and no proxy does that, and the requests behind the first would be held in memory.
        """
        self._messages.clear()
        self.close()
        if self.transport is not None:
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._known.write_blocked(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._known.write_unblocked(self)


def _limit_reads(transport: Any) -> None:
    """Limit how much asyncio reads at once. It reads 256 KiB and has no setting for it.

    In TLS the TLS layer reads. Its first read, at the end of the handshake, cannot be limited.
    """
    below = getattr(transport, "_ssl_protocol", None)
    if below is None:
        transport.max_size = AT_A_TIME_BYTES
    elif hasattr(below, "_ssl_buffer_view"):
        below.max_size = AT_A_TIME_BYTES
        below._ssl_buffer = bytearray(AT_A_TIME_BYTES)
        below._ssl_buffer_view = memoryview(below._ssl_buffer)


class HttpServer:
    """One application at one address."""

    def __init__(
        self,
        app: web.Application,
        connections: Connections,
        *,
        logger: logging.Logger = server_logger,
        keep_alive_s: float = KEEP_ALIVE_S,
        linger_s: float = LINGER_S,
        shutdown_s: float = 1.0,
        rejects: Callable[[str], bool] = no_address,
    ) -> None:
        """`shutdown_s`: limit for answering accepted requests at the end. `rejects`: as in `Listening`."""
        app.on_response_prepare.append(_anonymous)
        app.middlewares.insert(0, self._request_started)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=shutdown_s,
            keepalive_timeout=keep_alive_s,
            lingering_time=linger_s,
            auto_decompress=False,
            read_bufsize=READ_BYTES,
            logger=logger,
        )
        self._connections = connections
        self._rejects = rejects
        self._listening: Listening | None = None

    async def listen(self, listen: str, setting: str, tls: ssl.SSLContext | None = None) -> str:
        """Accept connections. Returns the base URL; port 0 picks a free one. Raises ListenError."""
        sockets = await bound(listen, setting)
        await self._runner.setup()
        assert self._runner.server is not None
        protocol = partial(_Protocol, self._connections, self._runner.server)
        self._listening = Listening(sockets, protocol, self._connections, tls, self._rejects)
        host, port = self._listening.addresses[0][:2]
        name = f"[{host}]" if ":" in host else host
        return f"{'http' if tls is None else 'https'}://{name}:{port}"

    @web.middleware
    async def _request_started(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._connections.request_started(request.protocol, time.monotonic())
        return await handler(request)

    async def watch(self, every_s: float = LOOK_EVERY_S) -> None:
        """Enforce the time limits of connections, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            self._connections.enforce_limits(time.monotonic())

    async def close(self, last_answers_s: float = 0.0) -> None:
        """Stop accepting, answer accepted requests, and close each connection with its answer.

        A client may be sending a request on an open connection just now. Connections stay open for
        `last_answers_s`, so that such a request is still answered.
        """
        if self._listening is not None:
            await self._listening.close()
        self._connections.closing = True
        for _ in range(round(last_answers_s / _CLOSING_S)):
            if not len(self._connections):
                break
            await asyncio.sleep(_CLOSING_S)
        await self._runner.cleanup()
