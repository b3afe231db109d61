"""Connections: how many there may be, and how long one may take to ask for something.

The rule of this file: whoever holds a connection and sends nothing, or one byte a second, is cut off. The
server's own keep-alive time covers a connection between two requests, and nothing the time before its first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

FIRST_REQUEST_S = 10.0
"""A connection's first request must have all of its headers by then (TLS handshake included)."""

AT_MOST = 4096
EVERY_S = 1.0
LOOK_S = 0.02

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Connections:
    """The connections of one server. `cut` counts those that were ended here for what they did not do."""

    def __init__(
        self, *, at_most: int = AT_MOST, first_request_s: float = FIRST_REQUEST_S, every_s: float = EVERY_S
    ) -> None:
        self.cut = 0
        self.closing = False
        self._at_most = at_most
        self._first_request_s = first_request_s
        self._every_s = every_s
        self._since: dict[Any, float] = {}
        self._asked: set[Any] = set()

    @property
    def middleware(self) -> Any:
        """Notes which connections have asked for something, and says when an answer is its last."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._asked.add(request.protocol)
            response = await handler(request)
            if self.closing:
                response.force_close()
            return response

        return note

    async def close(self, server: web.Server, limit_s: float) -> None:
        """Answer on what is connected, and let each answer be the last of its connection.

        Who keeps a connection may be sending on it just now: closing it under them would leave a request that
        nobody answers.
        """
        self.closing = True
        for _ in range(round(limit_s / LOOK_S)):
            if not server.connections:
                return
            await asyncio.sleep(LOOK_S)

    async def watch(self, server: web.Server) -> None:
        """Cut off who is too slow, and the youngest of too many, until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            self.look(server.connections, time.monotonic())

    def look(self, connections: list[Any], now: float) -> None:
        self._asked.intersection_update(connections)
        silent = [one for one in connections if one not in self._asked]
        self._since = {one: self._since.get(one, now) for one in silent}
        for one, since in self._since.items():
            if now - since >= self._first_request_s:
                self._end(one)
        for one in connections[self._at_most :]:
            self._end(one)

    def _end(self, connection: Any) -> None:
        transport = connection.transport
        if transport is not None and not transport.is_closing():
            self.cut += 1
            transport.abort()
