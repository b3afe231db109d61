"""The figures of a worker's /metrics that a person watches, read as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 2.0


@dataclass(frozen=True)
class WorkerSnapshot:
    """A worker's metrics at one moment. `at_s`: the reader's clock; counters count since the worker's start.

    `compared`: calls that were read completely, by how callbacks and resources agree.
    """

    at_s: float
    state: str | None
    deliveries: float
    results: dict[str, float] = field(default_factory=dict)
    lag: float = 0.0
    active: float = 0.0
    outcomes: dict[str, float] = field(default_factory=dict)
    alerts: dict[str, float] = field(default_factory=dict)
    dead_letters: float = 0.0
    compared: dict[str, float] = field(default_factory=dict)

    def rate_since(self, earlier: WorkerSnapshot | None) -> float | None:
        """Deliveries a second since an earlier snapshot; None without one or after a restart."""
        if earlier is None or self.at_s <= earlier.at_s or self.deliveries < earlier.deliveries:
            return None
        return (self.deliveries - earlier.deliveries) / (self.at_s - earlier.at_s)


async def scrape(client: aiohttp.ClientSession, url: str, at_s: float) -> WorkerSnapshot | None:
    """Scrape the worker at `url`; None if it does not answer."""
    try:
        async with client.get(f"{url}/metrics", timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as answer:
            if answer.status != 200:
                return None
            return parse(await answer.text(), at_s)
    except (aiohttp.ClientError, TimeoutError):
        return None


def parse(exposition: str, at_s: float) -> WorkerSnapshot:
    """The figures in an exposition."""
    sums: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(exposition):
        label = LABELS.get(family.name)
        if label is not None:
            sums[family.name] = _sum((s.labels.get(label, ""), s.value) for s in family.samples)
    results = sums.get("callstream_events_processed", {})
    states = [state for state, on in sums.get("callstream_worker_state", {}).items() if on]
    return WorkerSnapshot(
        at_s,
        states[0] if states else None,
        sum(results.values()),
        results,
        sum(sums.get("callstream_consumer_lag_messages", {}).values()),
        sum(sums.get("callstream_calls_active", {}).values()),
        sums.get("callstream_calls_ended", {}),
        sums.get("callstream_alerts_published", {}),
        sum(sums.get("callstream_dead_letters", {}).values()),
        sums.get("callstream_reconciled_calls", {}),
    )


LABELS: dict[str, str] = {
    "callstream_events_processed": "result",
    "callstream_worker_state": "state",
    "callstream_consumer_lag_messages": "topic",
    "callstream_calls_active": "direction",
    "callstream_calls_ended": "outcome",
    "callstream_alerts_published": "rule",
    "callstream_dead_letters": "reason",
    "callstream_reconciled_calls": "result",
}
"""Families that are read (counters without `_total`), and the label that they are split by."""


def _sum(samples: Iterable[tuple[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for value, amount in samples:
        sums[value] = sums.get(value, 0.0) + amount
    return sums
