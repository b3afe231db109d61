"""What Alertmanager is told when, by a stub that answers as a test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stream.core.timestamps import iso8601
from stream.notify import alertmanager_worker
from stream.notify.alertmanager_worker import AlertmanagerWorker
from stream.notify.sinks.alertmanager import EXPIRES_S
from stream.service.http import client
from stream.service.metrics.notify import NotifyMetrics
from stream.service.tables.notify_tables import RouteSetting, SinkSetting
from tests.notify.alerts import condition
from tests.notify.sinks.stub_sinks import until


class Alertmanager:
    """`posted`: the alerts of each POST. `answers`: statuses that are given before 200.

    `ahead_s`: of its clock.
    """

    def __init__(self, *answers: int, ahead_s: float = 0.0) -> None:
        self.answers = [*answers]
        self.ahead_s = ahead_s
        self.posted: list[list[dict[str, Any]]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.posted.append(await request.json())
        if self.answers:
            return web.Response(status=self.answers.pop(0), headers={"Retry-After": "3600"})
        return web.Response(headers={"Date": formatdate(time.time() + self.ahead_s, usegmt=True)})


@asynccontextmanager
async def working(stub: Alertmanager) -> AsyncIterator[AlertmanagerWorker]:
    app = web.Application()
    app.router.add_post("/api/v2/alerts", stub.take)
    async with TestServer(app, host="127.0.0.1") as server, client.session() as http:
        setting = SinkSetting(name="s", type="alertmanager", url=str(server.make_url("")))
        route = RouteSetting(sink="s", name="r", per_minute=60)
        worker = AlertmanagerWorker(setting, [route], http, metrics=NotifyMetrics([("s", "r")]))
        one = condition()
        worker.observe(one.fingerprint, one)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            running.cancel()


async def test_what_fires_is_posted_within_a_minute_however_long_alertmanager_wants_peace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is not posted for five minutes ends there, although it fires."""
    monkeypatch.setattr(alertmanager_worker, "REPOST_S", 0.05)
    monkeypatch.setattr(alertmanager_worker, "RETRY_S", 0.01)
    stub = Alertmanager(503, 429)
    async with working(stub) as worker:
        await until(lambda: worker.trouble is not None, "it was not taken")
        await until(lambda: len(stub.posted) > 2, "it was posted again", 5)
        await until(lambda: worker.trouble is None, "and taken", 5)


async def test_an_end_is_posted_until_alertmanager_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("COLLECT_S", 0.01), ("REPOST_S", 0.1), ("RETRY_S", 0.01)):
        monkeypatch.setattr(alertmanager_worker, name, seconds)
    stub = Alertmanager()
    async with working(stub) as worker:
        await until(lambda: bool(stub.posted), "its beginning is posted")
        stub.answers = [503]
        worker.observe(condition().fingerprint, None)
        await until(lambda: len(stub.posted) > 2, "its end is posted twice", 5)
        await until(lambda: worker.trouble is None, "and taken", 5)
        posts = len(stub.posted)
        await asyncio.sleep(0.3)
    began, *ended = (one["endsAt"] for (one,) in stub.posted)
    assert ended == ended[:1] * 2
    assert ended[0] < began
    assert len(stub.posted) == posts


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
async def test_alerts_end_by_alertmanagers_own_clock(ahead_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends in its past is over at once, and what ends in its future fires until then."""
    monkeypatch.setattr(alertmanager_worker, "COLLECT_S", 0.01)
    stub = Alertmanager(ahead_s=ahead_s)
    async with working(stub) as worker:
        await until(lambda: len(stub.posted) > 1, "it is posted again at once", 5)
        worker.observe(condition().fingerprint, None)
        await until(lambda: len(stub.posted) > 2, "its end is posted", 5)
    now_s = time.time() + ahead_s
    left_s = [(iso8601(one["endsAt"]) or 0) / 1e6 - now_s for (one,) in stub.posted]
    assert left_s == pytest.approx([EXPIRES_S - ahead_s, EXPIRES_S, 0.0], abs=10)


async def test_what_ends_just_after_our_clock_stepped_is_over_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its end lies in Alertmanager's future: it would fire there for an hour more."""
    for name, seconds in (("COLLECT_S", 0.01), ("REPOST_S", 0.1), ("RETRY_S", 0.01)):
        monkeypatch.setattr(alertmanager_worker, name, seconds)
    stub = Alertmanager()
    async with working(stub) as worker:
        await until(lambda: bool(stub.posted), "its beginning is posted", 5)
        monkeypatch.setattr(alertmanager_worker, "REPOST_S", 60.0)
        await asyncio.sleep(0.2)
        posts, stub.ahead_s = len(stub.posted), -3600.0  # as if ours had gone ahead
        worker.observe(condition().fingerprint, None)
        await until(lambda: len(stub.posted) > posts, "its end is posted", 5)
        await asyncio.sleep(0.3)
    ended = [(iso8601(one["endsAt"]) or 0) / 1e6 - time.time() for (one,) in stub.posted[posts:]]
    assert ended == pytest.approx([0.0, -3600.0], abs=10)
