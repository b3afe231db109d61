"""A role's HTTP server: aiohttp's, without what it tells and allows by itself.

The rule of this file: whatever a client does, an answer says nothing of the software behind it, no body is
ever unpacked, and no connection is held by who does nothing with it (`stream.service.http.connections`).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import hdrs, web

from stream.service.http.connections import PAUSE_S, Connections
from stream.service.http.listening import Listening, bound, nobody

KEEP_ALIVE_S = 30.0
LINGER_S = 1.0
"""What is left of a refused body is read for so long, so that its sender hears the answer."""

READ_BYTES = 65_536
"""Of a body that nobody reads yet, twice as much is kept at most."""

AT_A_TIME_BYTES = 16_384
"""What is read of a connection before another one's turn: as much as a record of TLS has at most."""

PARSED_BYTES = 2048
"""Of that so much is parsed before its chunks are looked at: 340 of them at most, a millisecond or two."""

TINY_CHUNKS = 100
TINY_CHUNK_BYTES = 64
"""Of a body more than so many chunks with fewer bytes than that, on average, cost more than what they carry:
their connection is cut. Proxies pass on what they read, and that is never so little so often.
"""

LOOK_EVERY_S = 1.0
_CLOSING_S = 0.02

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Bare(web.Response):
    """A bare status: no body, and no `Server`, which would tell versions to whoever asks.

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


class _Protocol(web.RequestHandler):
    """One connection."""

    __slots__ = ("_known",)

    def __init__(self, manager: _Server, **settings: Any) -> None:
        self._known = manager.known
        super().__init__(manager, **settings)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP, or an error of our own: logged as aiohttp does, and answered without a word."""
        super().handle_error(request, status, exc, message)
        answer = Bare(status)
        answer.force_close()
        return answer

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException):
            resp = Bare(resp.status)
        impatient = bool(self._messages)
        if impatient:
            resp.force_close()
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            pause_s = self._known.ended(self, time.monotonic(), good=200 <= resp.status < 300)
            if isinstance(resp, Bare) and resp.unread:
                self.force_close()
            elif impatient:
                self._forget_the_rest()
                await asyncio.sleep(PAUSE_S)
            elif pause_s and resp.keep_alive and not self._known.closing:
                await asyncio.sleep(pause_s)

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), PARSED_BYTES):
            super().data_received(data[at : at + PARSED_BYTES])
            if self._comes_in_crumbs():
                self._known.cut_off(self)
                return

    def _comes_in_crumbs(self) -> bool:
        """Whether what has come of the newest body and is unread is in many chunks of next to nothing."""
        if self._messages:
            payload = self._messages[-1][1]
        elif self._current_request is not None:
            payload = self._current_request.content
        else:
            return False
        chunks = len(getattr(payload, "_http_chunk_splits", None) or ())
        return chunks > TINY_CHUNKS and payload._size < chunks * TINY_CHUNK_BYTES

    def _forget_the_rest(self) -> None:
        """End a connection whose client sends requests without waiting for answers.

        No provider and no proxy does, and what waits behind a request, bodies and all, would be held for it.
        """
        self._messages.clear()
        self.close()
        if self.transport is not None:
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._known.stuck(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._known.reads(self)


class _Server(web.Server):
    """Tells of each connection and request."""

    def __init__(self, handler: Handler, known: Connections, settings: dict[str, Any], **more: Any) -> None:
        super().__init__(self._asked, **more)
        self.known = known
        self._handler = handler
        self._settings = settings

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=asyncio.get_running_loop(), **self._settings)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self.known.made(handler, transport, time.monotonic())
        _take_little_at_a_time(transport)
        super().connection_made(handler, transport)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        self.known.lost(handler)
        super().connection_lost(handler, exc)

    async def _asked(self, request: web.BaseRequest) -> web.StreamResponse:
        self.known.began(request.protocol, time.monotonic())
        response = await self._handler(request)
        if self.known.closing:
            response.force_close()
        return response


def _take_little_at_a_time(transport: Any) -> None:
    """asyncio reads a quarter of a mebibyte at once and has no setting for it. In TLS it is TLS that reads:
    the first time, with the end of the handshake, it has read before anybody can tell it.
    """
    below = getattr(transport, "_ssl_protocol", None)
    if below is None:
        transport.max_size = AT_A_TIME_BYTES
    elif hasattr(below, "_ssl_buffer_view"):
        below.max_size = AT_A_TIME_BYTES
        below._ssl_buffer = bytearray(AT_A_TIME_BYTES)
        below._ssl_buffer_view = memoryview(below._ssl_buffer)


class _Runner(web.AppRunner):
    """aiohttp's, with a server of ours."""

    def __init__(self, app: web.Application, known: Connections, **settings: Any) -> None:
        super().__init__(app, access_log=None, handle_signals=False, **settings)
        self._known = known

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler, self._known, {**made._kwargs}, request_factory=made.request_factory
        )


class HttpServer:
    """One application at one address."""

    def __init__(
        self,
        app: web.Application,
        connections: Connections,
        *,
        logger: logging.Logger | None = None,
        keep_alive_s: float = KEEP_ALIVE_S,
        linger_s: float = LINGER_S,
        shutdown_s: float = 1.0,
        turned_away: Callable[[str], bool] = nobody,
    ) -> None:
        """`shutdown_s`: what was taken has so long to be answered. `turned_away`: as in `Listening`."""
        more = {} if logger is None else {"logger": logger}
        self._runner = _Runner(
            app,
            connections,
            shutdown_timeout=shutdown_s,
            keepalive_timeout=keep_alive_s,
            lingering_time=linger_s,
            auto_decompress=False,
            read_bufsize=READ_BYTES,
            **more,
        )
        self._connections = connections
        self._turned_away = turned_away
        self._listening: Listening | None = None

    async def listen(self, listen: str, setting: str, tls: ssl.SSLContext | None = None) -> str:
        """Take connections; gives the base URL (port 0 in `listen` picks a free one). Raises ListenError."""
        sockets = await bound(listen, setting)
        await self._runner.setup()
        assert self._runner.server is not None
        self._listening = Listening(sockets, self._runner.server, self._connections, tls, self._turned_away)
        host, port = self._listening.addresses[0][:2]
        name = f"[{host}]" if ":" in host else host
        return f"{'http' if tls is None else 'https'}://{name}:{port}"

    async def watch(self, every_s: float = LOOK_EVERY_S) -> None:
        """Cut off who is too slow, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            self._connections.look(time.monotonic())

    async def close(self, last_answers_s: float = 0.0) -> None:
        """Take no more, answer what was taken, and let each answer be the last of its connection.

        Who keeps a connection may be sending on it just now: for `last_answers_s` it is not closed under
        them, which would leave a request that nobody answers.
        """
        if self._listening is not None:
            await self._listening.close()
        self._connections.closing = True
        for _ in range(round(last_answers_s / _CLOSING_S)):
            if not len(self._connections):
                break
            await asyncio.sleep(_CLOSING_S)
        await self._runner.cleanup()
