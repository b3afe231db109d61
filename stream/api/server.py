"""The HTTP server of the API: uvicorn's, in the role's own event loop, on sockets that the role has opened.

Bounded: connections, the size of a request's head, the time for it, the time between two requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from stream.service.http.listening import bound

CONNECTIONS_AT_MOST = 1000
HEAD_BYTES = 32_768
KEEP_ALIVE_S = 30
HEAD_S = 10.0
"""For all headers of a request, from its first byte; of a connection's first one, from the connection."""

UNREAD_S = 30.0
"""For a client that does not read its answer, or its live stream."""

CLOSE_S = 3
"""For answers that are under way when the role stops. Live streams end at once."""


class BoundedProtocol(H11Protocol):
    """One connection, which is closed if a request that was begun does not come in time."""

    _unread: asyncio.TimerHandle | None = None
    _head: asyncio.TimerHandle | None = None
    """Runs while a request is to come."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head = self.loop.call_later(HEAD_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_ended()
        if self._unread is not None:
            self._unread.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # With the first byte, uvicorn ends its own limit on the time between two requests.
        if self._head is None and not self._is_answering:
            self._head = self.loop.call_later(HEAD_S, self.transport.abort)

    def handle_events(self) -> None:
        super().handle_events()
        if self._is_answering:
            self._head_ended()

    def pause_writing(self) -> None:
        """The client does not read its answer."""
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    @property
    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _head_ended(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


class _Server(Server):
    """The role has its own handlers of signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: Any, listen: str, setting: str) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Serve while the block runs; gives the base URL and the server's task. Raises ListenError."""
    sockets = await bound(listen, setting)
    host, port = sockets[0].getsockname()[:2]
    config = Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_AT_MOST,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=CLOSE_S,
    )
    # It would log each invalid request. Errors of the app are logged by the app.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets), name="the HTTP server")
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}", task
    finally:
        server.should_exit = True
        await asyncio.wait([task], timeout=CLOSE_S + 2)
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
