"""The doors of the accounts: where a request waits for its turn.

The rule of this file: it waits, and the budget decides. One timer for each door, which runs only while
somebody waits for a time; whoever is cancelled holds no slot.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

from stream.poller.limiter.budget import Budget, Grant
from stream.poller.limiter.metrics_protocol import PollMetrics
from stream.poller.limiter.shares import rate_share, slots_share
from stream.poller.resources.account import Account

HANDOVER_S = 1.0
"""So long a new share is left alone: then no second has requests of the old shares and of the new."""

Waiter = asyncio.Future[Grant]


class RefusedError(Exception):
    """The account's credentials are refused, and whoever asked does not wait for better ones."""


class LimiterState(NamedTuple):
    """How an account stands, for metrics.

    - `state`: one of `budget.STATES`; `allowed_rate` in requests a second, as learned.
    - `waiting`: by priority; `paused_s`: for how long nothing will be sent.
    """

    state: str
    allowed_rate: float
    allowed_concurrency: int
    in_flight: int
    waiting: dict[str, int]
    paused_s: float


class Permit:
    """Leave to send one request. Its slot is free again with its outcome, or when its block is left."""

    def __init__(self, limiter: RateLimiter, sent: Grant) -> None:
        self._limiter = limiter
        self._sent: Grant | None = sent

    def answered(self, outcome: str, retry_after_s: float | None = None) -> None:
        """The request came to one of OUTCOMES; `retry_after_s`: what its answer named, in seconds.

        Raises RuntimeError the second time, ValueError for another outcome.
        """
        if self._sent is None:
            raise RuntimeError("a turn is answered once")
        self._limiter.answered(self._sent, outcome, retry_after_s)
        self._sent = None

    def end(self) -> None:
        """The block is left: without an outcome the request counts for nothing."""
        if self._sent is not None:
            self._limiter.given_back(self._sent)
            self._sent = None


class RateLimiter:
    """The door of one account, called by the account's name.

    `now` counts seconds as the event loop does, from anywhere; `random` is from 0 to 1.
    """

    def __init__(
        self,
        budget: Budget[Waiter],
        name: str,
        metrics: PollMetrics,
        *,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._budget = budget
        self._metrics = metrics
        self._now = now
        self._random = random
        self._timer: asyncio.TimerHandle | None = None
        self._hasty: set[Waiter] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @asynccontextmanager
    async def permit(self, priority: str, source: str, *, patient: bool = True) -> AsyncIterator[Permit]:
        """Wait for a turn. Who is not patient gets RefusedError where credentials are or become refused."""
        turn = Permit(self, await self._wait(priority, source, patient))
        try:
            yield turn
        finally:
            turn.end()

    def fail_fast(self) -> FailFast:
        """The same door, for those who are not patient."""
        return FailFast(self)

    def refused(self) -> bool:
        """Whether credentials are refused and a request would only wait.

        False for one request at each time at which they are tried again: somebody has to.
        """
        return self._budget.refused(self._now())

    def share(self, rate: float, concurrency: int, after_s: float = 0.0) -> None:
        """New ceilings, at once, of which nothing is used for `after_s`."""
        self._budget.share(rate, concurrency, self._now() + after_s)
        self._go_on()

    def state(self) -> LimiterState:
        """How the account stands now."""
        budget, now_s = self._budget, self._now()
        return LimiterState(
            budget.state(now_s),
            budget.allowed_rate,
            budget.allowed_concurrency,
            budget.in_flight,
            budget.waiting(),
            budget.paused_s(now_s),
        )

    async def idle(self, limit_s: float) -> bool:
        """Wait until no request is on its way, for so long at most; whether it is so."""
        try:
            async with asyncio.timeout(limit_s):
                while self._budget.in_flight:
                    await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    def answered(self, sent: Grant, outcome: str, retry_after_s: float | None) -> None:
        """For Permit."""
        self._budget.answered(sent, outcome, retry_after_s, self._now(), self._random())
        self._go_on()

    def given_back(self, sent: Grant) -> None:
        """For Permit."""
        self._budget.given_back(sent)
        self._go_on()

    async def _wait(self, priority: str, source: str, patient: bool) -> Grant:
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._budget.ask(waiter, priority)
        if not patient:
            self._hasty.add(waiter)
        since_s = self._now()
        self._go_on()
        if waiter.done():
            return waiter.result()
        try:
            return await waiter
        except asyncio.CancelledError:
            self._give_up(waiter)
            raise
        finally:
            self._metrics.waited(source, self._now() - since_s)

    def _give_up(self, waiter: Waiter) -> None:
        """Who waited was cancelled: maybe just after its turn had come, and before it knew."""
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self._budget.given_back(waiter.result())
        self._hasty.discard(waiter)
        self._budget.leave(waiter)
        self._go_on()

    def _go_on(self) -> None:
        """Something has happened: whoever may go now goes, and the timer is set for the next."""
        now_s = self._now()
        while (served := self._budget.serve(now_s)) is not None:
            self._let_go(*served)
        if self._hasty and self._budget.state(now_s) == "refused":
            self._send_away()
        self._note_quiet()
        self._set_timer(self._budget.ready_at_s())

    def _let_go(self, waiter: Waiter, sent: Grant) -> None:
        self._hasty.discard(waiter)
        if waiter.done():  # Cancelled, and has not come to say so.
            self._budget.given_back(sent)
        else:
            waiter.set_result(sent)

    def _send_away(self) -> None:
        """Those who are not patient, except for the one that now tries the credentials."""
        for waiter in self._hasty:
            self._budget.leave(waiter)
            if not waiter.done():
                waiter.set_exception(RefusedError(self.name))
        self._hasty.clear()

    def _note_quiet(self) -> None:
        if self._budget.in_flight:
            self._quiet.clear()
        else:
            self._quiet.set()

    def _set_timer(self, at_s: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if at_s is not None:
            delay_s = max(0.0, at_s - self._now())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._go_on)


class FailFast:
    """The door of an account for those who rather know that its credentials are refused than wait."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter

    def permit(self, priority: str, source: str) -> AbstractAsyncContextManager[Permit]:
        """As RateLimiter's, and RefusedError."""
        return self._limiter.permit(priority, source, patient=False)


class RateLimiters:
    """The doors of all accounts. Until they get their shares, nothing goes through any."""

    def __init__(
        self,
        accounts: Iterable[Account],
        metrics: PollMetrics,
        *,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._accounts = {_key(account): account for account in accounts}
        self._limiters = {
            key: RateLimiter(Budget(0.0, 0), account.name, metrics, now=now, random=random)
            for key, account in self._accounts.items()
        }

    def __iter__(self) -> Iterator[RateLimiter]:
        return iter(self._limiters.values())

    def of(self, account: Account) -> RateLimiter:
        """An account's door. Raises KeyError for an account that was not given."""
        return self._limiters[_key(account)]

    def share(self, rank: int, active: int) -> None:
        """This poller is of this rank among so many that own partitions; -1: it owns none."""
        for key, account in self._accounts.items():
            self._limiters[key].share(
                rate_share(account.rate, account.concurrency, rank, active),
                slots_share(account.concurrency, rank, active),
                HANDOVER_S,
            )


def _key(account: Account) -> tuple[str, str]:
    """Several accounts may have one alias, and so one name: each has its own budget all the same."""
    return account.provider, account.id
