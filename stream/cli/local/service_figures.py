"""How a running service does: rate, latency, backlog and the health of its roles. Unknown values are None."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import aiohttp

from stream.cli.local.figures import Figures, ProbedRole, WatchedRole
from stream.service.metrics import poller, worker_families
from stream.service.metrics.family import Family

STALE_S = 5.0
"""Figures that are older are not of now: a look was missed."""


class RoleHealth(NamedTuple):
    """`ready`: None if it does not answer."""

    role: str
    ready: bool | None


class ServiceFigures(NamedTuple):
    """One look at a service. The latency is from a callback's receipt to its commit.

    - `reasons`: what roles that are not well say of themselves.
    """

    events_per_s: float | None = None
    latency_p50_s: float | None = None
    latency_p99_s: float | None = None
    backlog_records: float | None = None
    backlog_reads: float | None = None
    roles: tuple[RoleHealth, ...] = ()
    reasons: tuple[str, ...] = ()


class ScrapedFigures:
    """Figures of the roles at these addresses (`host:port`, by role), each asked over HTTP.

    What cannot be known is None in them, and never an error.
    """

    def __init__(self, addresses: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        urls = {name: f"http://{at}" for name, at in addresses.items()}
        self.worker = WatchedRole(urls["worker"]) if "worker" in urls else None
        self.poller = WatchedRole(urls["poller"]) if "poller" in urls else None
        watched = {"worker": self.worker, "poller": self.poller}
        self.roles = {name: watched.get(name) or ProbedRole(url) for name, url in urls.items()}
        self._clock = clock
        self._client: aiohttp.ClientSession | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Of roles that are not ready. Worker and poller have some although they are, that matter as much."""
        shown = [one for one in self.roles.values() if isinstance(one, WatchedRole) or one.ready is False]
        return tuple(reason for role in shown for reason in role.reasons)

    async def look(self) -> ServiceFigures:
        self._client = self._client or aiohttp.ClientSession()
        now_s = self._clock()
        await asyncio.gather(*(role.look(self._client, now_s) for role in self.roles.values()))
        health = tuple(RoleHealth(name, role.ready) for name, role in self.roles.items())
        worker = self.worker
        if worker is None or _of_now(worker, now_s) is None:
            return ServiceFigures(roles=health, reasons=self.reasons)
        return ServiceFigures(
            worker.rate(worker_families.EVENTS_PROCESSED),
            worker.quantile(worker_families.CALLBACK_LATENCY, 0.5),
            worker.quantile(worker_families.CALLBACK_LATENCY, 0.99),
            _total(worker, worker_families.CONSUMER_LAG, now_s),
            _total(self.poller, poller.POLL_WAITING, now_s),
            health,
            self.reasons,
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


def _of_now(role: WatchedRole, now_s: float) -> Figures | None:
    return role.now if role.now is not None and now_s - role.now.at_s <= STALE_S else None


def _total(role: WatchedRole | None, family: Family, now_s: float) -> float | None:
    figures = _of_now(role, now_s) if role is not None else None
    return None if figures is None else figures.total(family)


def seconds(value: float | None, unknown: str = "-") -> str:
    """A latency to two digits."""
    return unknown if value is None else f"{value:.2g} s"
