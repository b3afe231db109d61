"""What a person watches of a role, read from its exposition and its `/readyz`."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from stream.cli.local.figures import WINDOW_S, Figures, WatchedRole, parse
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.family import DEAD_LETTERS
from stream.service.metrics.poller import POLL_WAITING, BudgetState, PollerMetrics
from stream.service.metrics.worker import WorkerMetrics

NOW_US = 1_800_000_000_000_000


def test_a_worker_that_has_done_nothing_shows_zeros() -> None:
    figures = parse(WorkerMetrics().exposition()[0].decode(), 1.0)
    assert figures.total(DEAD_LETTERS) == 0
    assert figures.split(f.EVENTS_PROCESSED) == dict.fromkeys(
        ("applied", "late", "duplicate", "dead_lettered", "forgotten"), 0
    )


def test_counts_are_summed_over_every_label_but_the_one_shown() -> None:
    metrics = WorkerMetrics(clock=lambda: NOW_US / 1_000_000)
    counts = BatchCounts(0)
    counts[f.EVENTS_PROCESSED, "twilio_call", "applied"] += 3
    counts[f.EVENTS_PROCESSED, "telnyx_webhook", "applied"] += 4
    counts[f.EVENTS_PROCESSED, "telnyx_webhook", "duplicate"] += 1
    counts[DEAD_LETTERS, "unknown", "not_json"] += 2
    counts[f.CALLS_ENDED, "twilio", None, "inbound", "busy"] += 5
    counts[f.ALERTS_PUBLISHED, "call.failed", "warning", "firing"] += 6
    counts[f.RECONCILED_CALLS, "twilio", "match"] += 3
    counts[f.RECONCILED_CALLS, "telnyx", "match"] += 4
    counts.times_us["telnyx_webhook"] += (NOW_US - 1_000_000, NOW_US - 80_000)
    metrics.add(counts)
    figures = parse(metrics.exposition()[0].decode(), 1.0)
    assert figures.split(f.EVENTS_PROCESSED)["applied"] == 7
    assert figures.total(f.EVENTS_PROCESSED) == 8
    assert figures.total(DEAD_LETTERS) == 2
    assert figures.split(f.CALLS_ENDED)["busy"] == 5
    assert figures.split(f.ALERTS_PUBLISHED)["call.failed"] == 6
    assert figures.split(f.RECONCILED_CALLS)["match"] == 7
    latency = figures.split(f.CALLBACK_LATENCY)
    assert (latency["0.075"], latency["0.1"], latency["+Inf"]) == (0, 1, 1)


def test_the_requests_that_wait_at_a_poller_are_read() -> None:
    metrics = PollerMetrics([])
    metrics.budgets(lambda: [BudgetState("twilio", "a", "running", 10, 5, 0, {"heal": 3, "terminal": 4})])
    assert parse(metrics.exposition()[0].decode(), 1.0).total(POLL_WAITING) == 7


def figures(at_s: float, events: float, latency: tuple[float, ...] = (0, 0, 0)) -> Figures:
    """`latency`: how many observations were up to 0.1 s, up to 0.3 s, and in all."""
    split = dict(zip(("0.1", "0.3", "+Inf"), latency, strict=True))
    return Figures(at_s, {f.EVENTS_PROCESSED: {"applied": events}, f.CALLBACK_LATENCY: split})


def test_the_rate_is_unknown_after_one_look_and_after_a_restart() -> None:
    role = WatchedRole("")
    assert (role.now, role.rate(f.EVENTS_PROCESSED)) == (None, None)
    role.saw(figures(8.0, 300))
    assert role.rate(f.EVENTS_PROCESSED) is None
    role.saw(figures(10.0, 500))
    assert role.rate(f.EVENTS_PROCESSED) == 100
    role.saw(figures(12.0, 20))
    assert role.rate(f.EVENTS_PROCESSED) is None
    assert role.now == figures(12.0, 20)


def test_a_rate_is_that_of_the_last_seconds_and_the_looks_are_bounded() -> None:
    role = WatchedRole("")
    for second in range(100):
        role.saw(figures(float(second), 1000.0 * min(second, 50)))
    assert role.rate(f.EVENTS_PROCESSED) == 0
    assert len(role._seen) <= WINDOW_S + 2


def test_a_quantile_is_of_the_observations_between_the_looks() -> None:
    role = WatchedRole("")
    role.saw(figures(1.0, 1, (40, 40, 40)))
    assert role.quantile(f.CALLBACK_LATENCY, 0.5) is None
    role.saw(figures(2.0, 2, (40, 40, 40)))
    assert role.quantile(f.CALLBACK_LATENCY, 0.5) is None
    role.saw(figures(3.0, 3, (44, 49, 50)))
    # Four of ten within 0.1 s, five more within 0.3 s.
    assert role.quantile(f.CALLBACK_LATENCY, 0.2) == pytest.approx(0.05)
    assert role.quantile(f.CALLBACK_LATENCY, 0.5) == pytest.approx(0.14)
    assert role.quantile(f.CALLBACK_LATENCY, 0.99) == 0.3, "more is not known of what is above the last bound"


async def test_a_look_that_fails_keeps_what_was_seen_and_its_time() -> None:
    role = WatchedRole("http://127.0.0.1:1")
    role.saw(figures(8.0, 300))
    role.ready, role.reasons = False, ["it waits"]
    async with aiohttp.ClientSession() as client:
        await role.look(client, 9.0)
    assert (role.now, role.ready, role.reasons) == (figures(8.0, 300), None, [])


async def test_a_look_reads_the_figures_and_the_reasons_of_a_role_that_is_not_ready() -> None:
    async def scraped(_: web.Request) -> web.Response:
        return web.Response(body=WorkerMetrics().exposition()[0])

    async def asked(_: web.Request) -> web.Response:
        return web.json_response({"status": "unavailable", "reasons": ["it recovers"]}, status=503)

    app = web.Application()
    app.router.add_get("/metrics", scraped)
    app.router.add_get("/readyz", asked)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    role = WatchedRole(f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        async with aiohttp.ClientSession() as client:
            await role.look(client, 9.0)
    finally:
        await runner.cleanup()
    assert role.now is not None
    assert (role.now.at_s, role.now.total(f.EVENTS_PROCESSED)) == (9.0, 0)
    assert (role.ready, role.reasons) == (False, ["it recovers"])
