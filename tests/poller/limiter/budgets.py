"""A budget that is owned, and requests that are sent from it and answered, in virtual time."""

from __future__ import annotations

from stream.poller.limiter.budget import LATE_S, Budget, Grant

INTERVAL_S = (1 + LATE_S) / 10
"""Between two requests at 10 a second."""


def busy(rate: float = 10.0, concurrency: int = 5, waiters: int = 1000) -> Budget[int]:
    """A budget that is owned, with many waiters."""
    budget: Budget[int] = Budget(rate, concurrency)
    budget.own(0.0)
    for waiter in range(waiters):
        budget.queue.join(waiter, "terminal")
    return budget


def send(budget: Budget[int], now_s: float) -> Grant:
    taken = budget.take(now_s)
    assert taken is not None
    return taken[1]


def answer(budget: Budget[int], grant: Grant, outcome: str, now_s: float, **more: float) -> None:
    budget.answered(grant, outcome, more.get("retry_after_s"), now_s, more.get("jitter", 0.0))


def once(budget: Budget[int], outcome: str, now_s: float, **more: float) -> None:
    """A request that is answered at once."""
    answer(budget, send(budget, now_s), outcome, now_s, **more)


def paused_s(budget: Budget[int], now_s: float) -> float:
    ready_at_s = budget.ready_at_s()
    assert ready_at_s is not None
    return ready_at_s - now_s
