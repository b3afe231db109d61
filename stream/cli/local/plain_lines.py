"""What `callstream up` says every few seconds where there is no terminal. Unknown values are a -."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import NoReturn

from stream.cli.local.figures import Figures, WatchedRole
from stream.cli.local.notices import NewestAlerts, alert_line, read_notice
from stream.cli.local.service_figures import STALE_S, ScrapedFigures, seconds
from stream.cli.support.terminal import say
from stream.kafka import topics
from stream.kafka.client.connection import connection
from stream.kafka.errors import KafkaError
from stream.kafka.topic_reader import records
from stream.service.metrics import poller as poller_families
from stream.service.metrics import worker_families as f
from stream.service.metrics.family import DEAD_LETTERS
from stream.service.settings import Settings

EVERY_S = 5.0
MOST_AT_ONCE = 3
"""Alerts that are written as they come; later ones are only counted, and the newest is written."""


class PlainLines:
    """Writes figures, and the first alerts."""

    def __init__(self, chosen: Settings, figures: ScrapedFigures) -> None:
        self._settings = chosen
        self._figures = figures
        self._alerts = NewestAlerts()

    async def follow_alerts(self) -> NoReturn:
        topic = topics.names(self._settings.topic_prefix).alerts
        while True:
            with contextlib.suppress(KafkaError):
                async for record in records(connection(self._settings, "up"), topic):
                    if (notice := read_notice(record.value)) is None:
                        continue
                    if self._alerts.add(notice) and self._alerts.seen <= MOST_AT_ONCE:
                        say(f"alert: {alert_line(notice)}")
            await asyncio.sleep(1)

    async def write(self) -> NoReturn:
        figures = self._figures
        while True:
            await asyncio.sleep(EVERY_S)
            await figures.look()
            now = plain_line(figures.worker, figures.poller, time.monotonic())
            for said in (now, *(f"! {reason}" for reason in figures.reasons)):
                say(said)
            if self._alerts.seen > MOST_AT_ONCE:
                say(f"newest alert: {alert_line(next(iter(self._alerts)).newest)}")


def plain_line(worker: WatchedRole | None, poller: WatchedRole | None, now_s: float) -> str:
    """One line for a log. `poller`: None if nothing is polled. `now_s`: by the clock of the figures."""
    if worker is None or (figures := worker.now) is None:
        return "worker: not answering yet"
    return ", ".join(f"{name} {value}" for name, value in _rows(worker, poller, figures, now_s))


def _rows(
    worker: WatchedRole, poller: WatchedRole | None, figures: Figures, now_s: float
) -> list[tuple[str, str]]:
    age_s = now_s - figures.at_s
    states = figures.split(f.WORKER_STATE).items()
    known = ", ".join(name if on == 1 else f"{name} ({on:.0f})" for name, on in states if on) or "-"
    known += f", no answer for {age_s:.0f} s" if age_s > STALE_S else ""
    rate = worker.rate(f.EVENTS_PROCESSED)
    per_second = "-" if rate is None else f"{rate:,.0f}"
    outcomes, compared = figures.split(f.CALLS_ENDED), figures.split(f.RECONCILED_CALLS)
    p50, p99 = (worker.quantile(f.CALLBACK_LATENCY, share) for share in (0.5, 0.99))
    rows = [
        ("worker", known),
        ("deliveries", f"{per_second}/s, {_counts(figures.split(f.EVENTS_PROCESSED))}"),
        ("latency", f"p50 {seconds(p50)}, p99 {seconds(p99)} from receipt to commit"),
        ("backlog", _backlog(poller, figures)),
        ("calls", f"{figures.total(f.CALLS_ACTIVE):,.0f} active, {sum(outcomes.values()):,.0f} ended"),
        ("outcomes", _counts(outcomes)),
        ("alerts", _counts(figures.split(f.ALERTS_PUBLISHED))),
    ]
    if any(compared.values()):
        rows.append(("read whole", f"{sum(compared.values()):,.0f}: {_counts(compared)}"))
    if dead_letters := figures.total(DEAD_LETTERS):
        rows.append(("dead letters", f"{dead_letters:,.0f}"))
    return rows


def _backlog(poller: WatchedRole | None, figures: Figures) -> str:
    parts = [f"{figures.total(f.CONSUMER_LAG):,.0f} records"]
    if poller is not None:
        reads = poller.now
        said = f"{reads.total(poller_families.POLL_WAITING):,.0f} reads" if reads is not None else "- reads"
        if reads is not None and figures.at_s - reads.at_s > STALE_S:  # only the poller does not answer
            said += f" {figures.at_s - reads.at_s:.0f} s ago"
        parts.append(said)
    return ", ".join(parts)


def _counts(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {count:,.0f}" for name, count in sorted(counts.items()) if count) or "-"
