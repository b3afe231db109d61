"""The figures of a service, from roles that answer, do not answer, or are not known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stream.broker.ports import free_port
from stream.cli.local.service_figures import RoleHealth, ScrapedFigures, ServiceFigures
from stream.service.http.health import application
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.poller import BudgetState, PollerMetrics
from stream.service.metrics.worker import WorkerMetrics

NOW_S = 1_800_000_000.0


@asynccontextmanager
async def answering(app: web.Application) -> AsyncIterator[str]:
    async with TestServer(app) as server:
        yield f"127.0.0.1:{server.port}"


def of_a_role(metrics: WorkerMetrics | PollerMetrics, ready: bool, *reasons: str) -> web.Application:
    return application(
        lambda accept: metrics.exposition(accept), lambda: (True, []), lambda: (ready, list(reasons))
    )


def committed(metrics: WorkerMetrics, number: int) -> None:
    """So many callbacks, each received 0.06 s ago."""
    counts = BatchCounts(0)
    counts[f.EVENTS_PROCESSED, "telnyx_webhook", "applied"] += number
    now_us = round(NOW_S * 1e6)
    counts.times_us["telnyx_webhook"] += (now_us - 1_000_000, now_us - 60_000) * number
    metrics.add(counts)


async def test_a_look_has_rate_latency_backlog_and_the_health_of_each_role(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream.service.http.health.SCRAPE_S", 0.0)
    worker, poller = WorkerMetrics(clock=lambda: NOW_S), PollerMetrics([])
    worker.lag("calls.callbacks.v1", 0, 7)
    poller.budgets(lambda: [BudgetState("twilio", "a", "running", 10, 5, 0, {"heal": 3, "terminal": 4})])
    times = iter((100.0, 110.0))
    async with (
        answering(of_a_role(worker, False, "it recovers")) as worker_at,
        answering(of_a_role(poller, True, "many reads wait")) as poller_at,
        answering(of_a_role(PollerMetrics([]), True, "a setting is not set")) as gateway_at,
    ):
        addresses = {"gateway": gateway_at, "worker": worker_at, "poller": poller_at}
        figures = ScrapedFigures({**addresses, "api": f"127.0.0.1:{free_port()}"}, lambda: next(times))
        committed(worker, 5)
        first = await figures.look()
        assert (first.events_per_s, first.latency_p50_s, first.backlog_records) == (None, None, 7)
        committed(worker, 40)
        second = await figures.look()
        await figures.close()
    assert second == ServiceFigures(
        events_per_s=4.0,
        latency_p50_s=pytest.approx(0.0625),
        latency_p99_s=pytest.approx(0.07475),
        backlog_records=7,
        backlog_reads=7,
        roles=(
            RoleHealth("gateway", True),
            RoleHealth("worker", False),
            RoleHealth("poller", True),
            RoleHealth("api", None),
        ),
        reasons=("it recovers", "many reads wait"),
    )


async def test_figures_of_a_worker_that_no_longer_answers_are_unknown() -> None:
    times = iter((100.0, 102.0, 112.0))
    metrics = WorkerMetrics(clock=lambda: NOW_S)
    async with TestServer(of_a_role(metrics, True)) as server:
        figures = ScrapedFigures({"worker": f"127.0.0.1:{server.port}"}, lambda: next(times))
        await figures.look()
        assert (await figures.look()).events_per_s == 0
    assert await figures.look() == ServiceFigures(roles=(RoleHealth("worker", None),))
    await figures.close()


async def test_of_a_service_without_known_addresses_nothing_is_known() -> None:
    figures = ScrapedFigures({})
    assert await figures.look() == ServiceFigures()
    await figures.close()
