"""What a person watches of a role: whether it is ready, and figures of its /metrics."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from stream.service.metrics import poller, worker_families
from stream.service.metrics.family import DEAD_LETTERS, PREFIX, Family

TIMEOUT_S = 5.0
"""A worker with a process that hangs takes 2 s for its metrics, and 2 s to say so in `/readyz`."""
READY_EVERY_S = 0.2
WINDOW_S = 15.0
"""Rates and latencies are of this time: long enough for a steady number, short enough to be of now."""

SPLIT_BY: dict[Family, str] = {
    worker_families.EVENTS_PROCESSED: "result",
    worker_families.WORKER_STATE: "state",
    worker_families.CONSUMER_LAG: "topic",
    worker_families.CALLS_ACTIVE: "direction",
    worker_families.CALLS_ENDED: "outcome",
    worker_families.ALERTS_PUBLISHED: "rule",
    worker_families.RECONCILED_CALLS: "result",
    worker_families.CALLBACK_LATENCY: "le",
    DEAD_LETTERS: "reason",
    poller.POLL_WAITING: "priority",
}
"""Families that are read, and the label that they are split by."""

_READ = {PREFIX + family.name.removesuffix("_total"): (family, label) for family, label in SPLIT_BY.items()}
_LINES = tuple(f"{begin}{PREFIX}{family.name}" for family in SPLIT_BY for begin in ("# TYPE ", ""))


class Figures(NamedTuple):
    """Sums at one moment of the reader's clock; counters count since the role's start.

    `sums`: by family, then by the value of its label. Those of a histogram are the counts up to each bound.
    """

    at_s: float
    sums: Mapping[Family, Mapping[str, float]]

    def split(self, family: Family) -> Mapping[str, float]:
        return self.sums.get(family, {})

    def total(self, family: Family) -> float:
        return sum(self.split(family).values())


def parse(exposition: str, at_s: float) -> Figures:
    """The figures in an exposition. To parse all of its lines would cost more than the worker that idles."""
    lines = [line for line in exposition.split("\n") if line.startswith(_LINES)]
    sums: dict[Family, dict[str, float]] = {}
    for found in text_string_to_metric_families("\n".join(lines)):
        if found.name not in _READ:
            continue
        family, label = _READ[found.name]
        split = sums.setdefault(family, {})
        for sample in found.samples:
            if (value := sample.labels.get(label)) is not None:  # a histogram's sum has none
                split[value] = split.get(value, 0.0) + sample.value
    return Figures(at_s, sums)


class ProbedRole:
    """What a role last said of itself in `/readyz`; `ready` is None if it does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ready: bool | None = None
        self.reasons: list[str] = []

    async def look(self, client: aiohttp.ClientSession, at_s: float) -> None:
        """Ask it. `at_s`: by the reader's clock."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._ask(client, at_s)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
            self.ready, self.reasons = None, []

    async def _ask(self, client: aiohttp.ClientSession, at_s: float) -> None:
        async with client.get(f"{self.url}/readyz") as answer:
            said: dict[str, Any] = await answer.json()
            self.reasons = [str(reason) for reason in said["reasons"]]
            self.ready = answer.status == 200


class WatchedRole(ProbedRole):
    """A role whose figures are watched, too. A look that fails changes none of them, so `now` ages."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._seen: deque[Figures] = deque()

    @property
    def now(self) -> Figures | None:
        return self._seen[-1] if self._seen else None

    def saw(self, figures: Figures) -> None:
        if self._seen and _restarted(self._seen[-1], figures):
            self._seen.clear()
        self._seen.append(figures)
        while len(self._seen) > 2 and self._seen[1].at_s <= figures.at_s - WINDOW_S:
            self._seen.popleft()

    def rate(self, family: Family) -> float | None:
        """A second, over the last WINDOW_S; None after one look."""
        if len(self._seen) < 2:
            return None
        first, last = self._seen[0], self._seen[-1]
        return (last.total(family) - first.total(family)) / (last.at_s - first.at_s)

    def quantile(self, family: Family, share: float) -> float | None:
        """Of a histogram's observations in the last WINDOW_S, in seconds; None if there were none.

        Within a bucket it is estimated, as Prometheus does.
        """
        if len(self._seen) < 2:
            return None
        first, last = self._seen[0].split(family), self._seen[-1].split(family)
        up_to = sorted((float(bound), count - first.get(bound, 0)) for bound, count in last.items())
        wanted = share * up_to[-1][1] if up_to else 0
        if not wanted:
            return None
        below_s, below = 0.0, 0.0
        for bound_s, count in up_to[:-1]:  # the last has no bound
            if count >= wanted:
                return below_s + (bound_s - below_s) * (wanted - below) / (count - below)
            below_s, below = bound_s, count
        return below_s

    async def _ask(self, client: aiohttp.ClientSession, at_s: float) -> None:
        async with client.get(f"{self.url}/metrics") as answer:
            if answer.status == 200:
                self.saw(parse(await answer.text(), at_s))
        await super()._ask(client, at_s)


def _restarted(before: Figures, after: Figures) -> bool:
    events = worker_families.EVENTS_PROCESSED
    return after.at_s <= before.at_s or after.total(events) < before.total(events)


async def wait_answer(url: str, status: int | None = None) -> None:
    """Wait until it answers: with this status, or (None) with any."""
    limit = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=limit) as client:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with client.get(url) as answer:
                    if status in (None, answer.status):
                        return
            await asyncio.sleep(READY_EVERY_S)
