"""A real Chromium on the page, served by the role's own HTTP server. What a page must never do is watched."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from litestar import get
from litestar.params import FromQuery
from litestar.response import Stream
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from stream.api.app import make_app
from stream.api.server import serving
from stream.api.ui.routes import routes
from stream.archive.reader import Archive
from tests.api.clients import parts
from tests.api.ui.stored_calls import stored

WATCH = """
addEventListener("securitypolicyviolation", found =>
  console.error("CSP", found.violatedDirective, found.blockedURI));
"""


def message(event: str, said: dict[str, Any]) -> bytes:
    """A server-sent event, as `/v1/live` sends them."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), json.dumps(said).encode())


@get("/v1/live", media_type="text/event-stream")
async def live_events(kind: FromQuery[str], status: FromQuery[str] = "") -> Stream:
    """Three events and the end of the stream, in place of what comes from Kafka."""

    async def sent() -> AsyncIterator[bytes]:
        yield b"retry: 60000\n\n"
        for number, name in enumerate(("initiated", "<img src=x onerror=alert(1)>", "completed")):
            yield message(kind, {
                "key": f"twilio:CA{number}", "call_id": f"CA{number}", "name": name, "status": status,
                "level": "error" if number == 2 else None, "late": number == 1, "sip_response_code": 503,
                "error_code": "11200", "source": "twilio_status_callback",
                "received_at": "2026-03-02T10:00:02.500000Z",
            })  # fmt: skip
        yield message("end", {"reason": "slow", "detail": "Too many records wait for this client."})

    return Stream(sent(), media_type="text/event-stream")


class Site(NamedTuple):
    """Two servers of one archive: with tokens, and without any."""

    with_tokens: str
    local: str


def chromium() -> str:
    """Its path. Only a developer's machine may go without it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("CALLSTREAM_REQUIRE_TOOLS"):
            pytest.fail(
                "chromium is missing and CALLSTREAM_REQUIRE_TOOLS is set: install Debian's `chromium`"
            )
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    return found


@contextmanager
def served(archive: Archive, *settings: dict[str, Any]) -> Iterator[Sequence[str]]:
    """The addresses of an app for each of `settings`, in a thread with an event loop of its own."""
    loop = asyncio.new_event_loop()
    started, urls = threading.Event(), []
    stop = asyncio.Event()

    async def serve(more: list[dict[str, Any]]) -> None:
        if not more:
            started.set()
            await stop.wait()
            return
        app = make_app(parts(archive, api_rate=1000.0, **more[0]), [*routes(), live_events])
        async with serving(app, "127.0.0.1:0", "CALLSTREAM_API_LISTEN") as (url, _):
            urls.append(url)
            await serve(more[1:])

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(list(settings)),))
    thread.start()
    try:
        assert started.wait(20)
        yield urls
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    chromium()
    with (
        stored(tmp_path_factory.mktemp("archive"), datetime.now(UTC), times=2) as archive,
        served(archive, {}, {"api_tokens": ()}) as urls,
    ):
        yield Site(*urls)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


class Visitor:
    """A browser's window, and what it must not see: errors, violations of the policy, foreign requests."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        context.add_init_script(WATCH)
        self.page: Page = context.new_page()
        self.origin = origin
        self.requested: list[str] = []
        self.wrong: list[str] = []
        self.page.on("console", lambda one: one.type == "error" and self.wrong.append(one.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda one: self.requested.append(one.url))
        self.page.on("dialog", lambda one: self.wrong.append(f"dialog: {one.message}"))

    def goto(self, path: str) -> Page:
        self.page.goto(self.origin + path)
        return self.page

    def check(self) -> None:
        assert self.wrong == []
        assert [url for url in self.requested if not url.startswith(self.origin + "/")] == []


@contextmanager
def visiting(browser: Browser, origin: str, **options: Any) -> Iterator[Visitor]:
    """A window of its own. At the end nothing must have been wrong."""
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
    try:
        visitor = Visitor(context, origin)
        yield visitor
        visitor.check()
    finally:
        context.close()
