"""What holds for every answer, whichever route gives it, and for those that no route gives.

Time limit, security headers, `HEAD`, `ETag` and `If-None-Match`, gzip, metrics.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType

from stream.api.problems import PROBLEM_JSON, encoded
from stream.service.errors import safe_traceback
from stream.service.http.health import takes_gzip

if TYPE_CHECKING:
    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Set where a route has not set them itself. `no-cache`: a client may keep an answer, and asks each time
whether it is still the same."""

VARIES = "Accept-Encoding, Authorization, Cookie"

SMALLEST_PACKED = 1024
"""Bytes of the smallest body that is compressed."""

PACKED_HERE = 65_536
"""Bytes of the largest body that is compressed in the event loop: a larger one is in a thread."""

PACKED_TYPES = ("application/json", "application/vnd.oai.openapi+json", "text/", "image/svg+xml")
STREAM_TYPE = "text/event-stream"

log = logging.getLogger("callstream.api")

Answered = Callable[[str, int, float | None], None]
"""Is told of each answer: its route, as a template (or ""), its status, its seconds (None of a stream)."""


class Edge:
    """The outermost part of the app. `timeout_s`: for a request, unless its answer is a stream."""

    def __init__(self, app: ASGIApp, timeout_s: float, answered: Answered) -> None:
        self._app = app
        self._timeout_s = timeout_s
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                answer.streams = lambda: limit.reschedule(None)
                await self._app(scope, receive, answer.send)
        except TimeoutError:
            if answer.is_stream:
                return  # of a stream, whose answer to HEAD is complete
            if answer.started:
                raise  # the server cuts the connection: a part of an answer must not look like all of it
            await answer.refuse(503, "The request took too long.", {"Retry-After": "5"})
        except Exception as error:
            # Behind the beginning of an answer. The server says nothing of it, and cuts the connection.
            log.error("%s failed: %s", scope.get("path_template", "a request"), safe_traceback(error))
            raise
        finally:
            seconds = None if answer.is_stream else time.monotonic() - began_s
            self._answered(scope.get("path_template", "") or "", answer.status, seconds)


class _Answer:
    """The answer of one request, on its way to the client."""

    def __init__(self, scope: HTTPScope, send: Send) -> None:
        headers = dict(scope["headers"])
        self._scope = scope
        self._send = send
        self._bodiless = scope["method"] == "HEAD"
        if self._bodiless:
            scope["method"] = "GET"
        self._if_none_match = headers.get(b"if-none-match", b"").decode("latin-1")
        self._takes_gzip = takes_gzip(headers.get(b"accept-encoding", b"").decode("latin-1"))
        self._start: Any = None
        self._body: list[bytes] = []
        self.started = False
        self.is_stream = False
        self.status = 0
        self.streams: Callable[[], None] = lambda: None
        """Is called when the answer turns out to be a stream."""

    async def refuse(self, status: int, detail: str, headers: dict[str, str]) -> None:
        """A problem in place of an answer that has not begun."""
        named = {"Content-Type": PROBLEM_JSON, **headers}
        raw = [(name.lower().encode(), said.encode()) for name, said in named.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": encoded(status, detail), "more_body": False})

    async def send(self, message: Message) -> None:
        """An answer is held until it is whole, unless it is a stream."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableScopeHeaders.from_message(message)
            for name, said in SECURITY_HEADERS.items():
                headers.setdefault(name, said)
            if headers.get("content-type", "").startswith(STREAM_TYPE):
                self.started = self.is_stream = True
                await self._send(message)
                if self._bodiless:
                    await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                else:
                    self.streams()
            else:
                self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body.append(message["body"])
            if not message.get("more_body"):
                await self._finish(b"".join(self._body))
        elif not self._bodiless:
            await self._send(message)

    async def _finish(self, body: bytes) -> None:
        start, self._start = self._start, None
        headers = MutableScopeHeaders.from_message(start)
        if self._scope["method"] == "GET" and start["status"] == 200:
            _vary(headers)
            # Weak: it is the same for the body as it is and compressed.
            tag = headers.setdefault("ETag", f'W/"{hashlib.sha256(body).hexdigest()[:32]}"')
            if _matches(self._if_none_match, tag):
                start["status"] = self.status = 304
                body = b""
                headers.pop("content-length", None)
                headers.pop("content-type", None)
            elif self._takes_gzip and "content-encoding" not in headers and _is_packed(headers, body):
                body = await _packed(body)
                headers["content-encoding"] = "gzip"
        if start["status"] not in (204, 304):
            headers["content-length"] = str(len(body))
        self.started = True
        await self._send(start)
        await self._send(
            {"type": "http.response.body", "body": b"" if self._bodiless else body, "more_body": False}
        )


def _vary(headers: MutableScopeHeaders) -> None:
    said = headers.get("vary")
    headers["vary"] = f"{said}, {VARIES}" if said else VARIES


def _matches(if_none_match: str, tag: str) -> bool:
    """Whether the client has this body already. The comparison is weak. (RFC 9110 13.1.2)"""
    if if_none_match.strip() == "*":
        return True
    tags = (one.strip().removeprefix("W/") for one in if_none_match.split(","))
    return tag.removeprefix("W/") in tags


def _is_packed(headers: MutableScopeHeaders, body: bytes) -> bool:
    return len(body) >= SMALLEST_PACKED and headers.get("content-type", "").startswith(PACKED_TYPES)


async def _packed(body: bytes) -> bytes:
    """Compressed; the same bytes for the same body."""
    if len(body) <= PACKED_HERE:
        return gzip.compress(body, 5, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, 5, mtime=0)
