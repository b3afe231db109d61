"""A fake provider on a real socket, a limiter that is always open, and recorders of pages and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from aiohttp import web

from stream.poller.pages.records import DeadLetter, PageRecords, PolledRow

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Reply(NamedTuple):
    """One answer; of a list the last one is repeated for ever."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012  never written to

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=self.status, body=self.body, headers=self.headers)


NOT_FOUND = Reply(404, b'{"code":20404}')


@dataclass
class FakeProvider:
    """`pages`: what is answered at a path with its query, else `otherwise`. `seen`: each request."""

    pages: dict[str, list[Answering]] = field(default_factory=dict)
    otherwise: Answering = NOT_FOUND
    seen: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]

    def at(self, path: str, *answers: Answering) -> None:
        self.pages[path] = list(answers)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.raw_path, request.headers.get("Authorization", "")))
        self.headers.append(dict(request.headers))
        answers = self.pages.get(request.raw_path, [self.otherwise])
        return await (answers.pop(0) if len(answers) > 1 else answers[0])(request)


@asynccontextmanager
async def fake_provider() -> AsyncIterator[FakeProvider]:
    provider = FakeProvider()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", provider._answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.port = runner.addresses[0][1]
    try:
        yield provider
    finally:
        await runner.cleanup()


async def endless(request: web.Request) -> web.StreamResponse:
    """A body that never ends."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    try:
        while True:
            await answer.write(b" " * 65_536)
    except (ConnectionError, asyncio.CancelledError):
        return answer


async def silent(request: web.Request) -> web.StreamResponse:
    """Headers, half a page, and nothing more."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    await answer.write(b'{"events":[')
    await asyncio.sleep(60)
    return answer


async def hung_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


class OpenLimiter:
    """Grants every permit at once, and records the answers."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str, str, float | None]] = []
        self.inside = self.most_inside = 0

    @asynccontextmanager
    async def permit(self, priority: str, source: str) -> AsyncIterator[OpenPermit]:
        self.inside += 1
        self.most_inside = max(self.inside, self.most_inside)
        permit = OpenPermit()
        try:
            yield permit
        finally:
            self.inside -= 1
        assert len(permit.reported) <= 1
        self.answers += [(priority, source, *reported) for reported in permit.reported]


class OpenPermit:
    def __init__(self) -> None:
        self.reported: list[tuple[str, float | None]] = []

    def answered(self, outcome: str, retry_after_s: float | None) -> None:
        self.reported.append((outcome, retry_after_s))


class RecordingWriter:
    """Records the pages that are written."""

    def __init__(self) -> None:
        self.pages: list[PageRecords] = []

    async def write(self, page: PageRecords) -> None:
        self.pages.append(page)

    @property
    def rows(self) -> list[PolledRow]:
        return [row for page in self.pages for row in page.rows]

    @property
    def dead_letters(self) -> list[DeadLetter]:
        return [letter for page in self.pages for letter in page.dead_letters]


class RecordingMetrics:
    """Records the metrics."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.seconds: list[float] = []
        self.rows: list[tuple[str, int]] = []
        self.left_outs: list[tuple[str, int]] = []
        self.waits: list[tuple[str, float]] = []
        self.dead_letters: list[tuple[str, str]] = []

    def requested(self, source: str, outcome: str, seconds: float) -> None:
        self.requests.append((source, outcome))
        self.seconds.append(seconds)

    def landed(self, source: str, rows: int) -> None:
        self.rows.append((source, rows))

    def left_out(self, source: str, rows: int) -> None:
        self.left_outs.append((source, rows))

    def waited(self, source: str, seconds: float) -> None:
        self.waits.append((source, seconds))

    def window(self, source: str, alias: str, read_at_s: float, watermark_s: float) -> None:
        raise AssertionError("a read knows no window")

    def dead_letter(self, source: str, reason: str) -> None:
        self.dead_letters.append((source, reason))

    def pending(self, source: str, change: int) -> None:
        raise AssertionError("a read knows no queue")
