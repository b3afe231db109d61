"""A limiter for tests, its clock, and metrics that remember how long was waited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from stream.poller.limiter.rate_limiter import RateLimiter
from stream.poller.resources.account import Account
from stream.service.metrics.poller import BudgetState
from tests.poller.uncounted import Uncounted

NONE_WAITING = {"heal": 0, "terminal": 0, "freshness": 0, "backfill": 0}
FAST = 10_000.0
SOON_S = 10.0
"""Far longer than anything here takes: reached only where something hangs."""

ACCOUNT = Account(provider="twilio", id="AC1", alias="main", api_url="", secret="s")


class WaitMetrics(Uncounted):
    """`waits`: (source, seconds)."""

    def __init__(self) -> None:
        self.waits: list[tuple[str, float]] = []

    def waited(self, source: str, seconds: float) -> None:
        self.waits.append((source, seconds))


class Clock:
    """A clock that stands, and is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def limiter(
    rate: float = FAST, concurrency: int = 2, now: Callable[[], float] | None = None
) -> tuple[RateLimiter, WaitMetrics]:
    """One that is owned."""
    metrics = WaitMetrics()
    account = replace(ACCOUNT, rate=rate, concurrency=concurrency)
    more = {} if now is None else {"now": now}
    made = RateLimiter(account, metrics, random=lambda: 0.0, **more)
    made.own(after_s=0.0)
    return made, metrics


def state(
    name: str = "running",
    rate: float = FAST,
    concurrency: int = 2,
    in_flight: int = 0,
    **waiting: int,
) -> BudgetState:
    return BudgetState("twilio", "main", name, rate, concurrency, in_flight, NONE_WAITING | waiting)


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def send(limiter: RateLimiter, outcome: str = "success", retry_after_s: float | None = None) -> None:
    """One request."""
    async with limiter.permit("terminal", "twilio_call") as permit:
        permit.answered(outcome, retry_after_s)


async def hold(limiter: RateLimiter, priority: str, held: asyncio.Event, free: asyncio.Event) -> None:
    """One request that is in flight until it is `free`."""
    async with limiter.permit(priority, "twilio_call") as permit:
        held.set()
        await free.wait()
        permit.answered("success")
