"""The rate limiters of the accounts: HTTP requests wait here for their permits.

`Budget` decides; this waits. Each limiter has one timer, which runs only while something waits for a time.
A request that is cancelled leaves no permit behind.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from stream.poller.limiter.budget import Budget, Grant
from stream.poller.resources.account import Account
from stream.service.metrics.poller import BudgetState, PollerMetrics

HANDOVER_S = 1.0
"""A new owner of an account waits this long, so that no second has requests of two owners."""


class NoPermitError(Exception):
    """An impatient request is not to be sent. `outcome`: what it comes to."""

    def __init__(self, problem: str, outcome: str) -> None:
        super().__init__(f"{problem} ({outcome})")
        self.outcome = outcome


class Permit:
    """Permission to send one HTTP request, in flight until its outcome is known or it is released."""

    def __init__(self, limiter: RateLimiter, grant: Grant) -> None:
        self._limiter = limiter
        self._grant: Grant | None = grant

    def answered(self, outcome: str, retry_after_s: float | None = None) -> None:
        """The request came to one of OUTCOMES; `retry_after_s` is what the provider asked for.

        Raises RuntimeError the second time, ValueError for another outcome.
        """
        if self._grant is None:
            raise RuntimeError("a permit is answered once")
        limiter = self._limiter
        limiter._budget.answered(self._grant, outcome, retry_after_s, limiter._now(), limiter._random())
        self._grant = None
        limiter._proceed()

    def release(self, *, unsent: bool = False) -> None:
        """The request has ended, if need be without an outcome. `unsent`: it was never made."""
        grant, self._grant = self._grant, None
        if grant is not None:
            self._limiter._budget.released(grant, unsent=unsent)
            self._limiter._proceed()


class _Waiter(NamedTuple):
    """A coroutine that waits for a permit. `impatient`: it fails where the account is closed for long."""

    impatient: bool
    permit: asyncio.Future[Permit]


class RateLimiter:
    """The limiter of one account. All calls from the event loop's thread.

    `now` counts seconds as the event loop does, from anywhere; `random` is from 0 to 1.
    """

    def __init__(
        self,
        account: Account,
        metrics: PollerMetrics,
        *,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._account = account
        self._budget: Budget[_Waiter] = Budget(account.rate, account.concurrency)
        self._metrics = metrics
        self._now = now
        self._random = random
        self._timer: asyncio.TimerHandle | None = None

    def own(self, after_s: float = HANDOVER_S) -> None:
        """This poller owns the account. The first request is sent after `after_s`."""
        self._budget.own(self._now() + after_s)
        self._proceed()

    def disown(self) -> None:
        """This poller does not own the account: nothing is sent."""
        self._budget.own(None)
        self._proceed()

    def lease(self, until_s: float) -> None:
        """No other poller owns the account before `until_s`: nothing is sent from then on."""
        self._budget.leased_until_s = until_s
        self._proceed()

    def state(self) -> BudgetState:
        budget = self._budget
        return BudgetState(
            self._account.provider,
            self._account.alias,
            budget.state(self._now()),
            budget.allowed_rate,
            budget.allowed_concurrency,
            len(budget.in_flight),
            budget.queue.waiting(),
        )

    @asynccontextmanager
    async def permit(self, priority: str, source: str, *, impatient: bool = False) -> AsyncIterator[Permit]:
        """Wait for a permit. Raises NoPermitError where the caller is impatient."""
        waiter = _Waiter(impatient, asyncio.get_running_loop().create_future())
        self._budget.queue.join(waiter, priority)
        since_s = self._now()
        self._proceed()
        if not waiter.permit.done():
            try:
                await asyncio.wait([waiter.permit])
            except asyncio.CancelledError:
                if waiter.permit.done() and waiter.permit.exception() is None:
                    waiter.permit.result().release(unsent=True)  # cancelled between the grant and its use
                self._budget.queue.remove(lambda one: one is waiter)
                self._proceed()
                raise
            finally:
                self._metrics.waited(source, self._now() - since_s)
        permit = waiter.permit.result()
        try:
            yield permit
        finally:
            permit.release()

    def _proceed(self) -> None:
        """Something changed: grant what may be sent, fail what is impatient, set the timer for the next."""
        now_s, budget = self._now(), self._budget
        while (taken := budget.take(now_s)) is not None:
            waiter, grant = taken
            waiter.permit.set_result(Permit(self, grant))
        outcome = budget.failure(now_s)
        if outcome is not None:
            for waiter in budget.queue.remove(lambda one: one.impatient):
                problem = f"{self._account.name} is closed for now"
                waiter.permit.set_exception(NoPermitError(problem, outcome))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ready_at_s = budget.ready_at_s()
        if ready_at_s is not None and now_s < budget.leased_until_s:
            delay_s = max(0.0, ready_at_s - self._now())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._proceed)


class Impatient:
    """A limiter for a caller that does not wait for a closed account. `is_stale`: waiting took too long."""

    def __init__(self, limiter: RateLimiter, is_stale: Callable[[], bool] = lambda: False) -> None:
        self._limiter = limiter
        self._is_stale = is_stale

    @asynccontextmanager
    async def permit(self, priority: str, source: str) -> AsyncIterator[Permit]:
        async with self._limiter.permit(priority, source, impatient=True) as permit:
            if self._is_stale():
                permit.release(unsent=True)
                raise NoPermitError("the request waited for too long", "deferred")
            yield permit


class RateLimiters:
    """The limiters of all accounts. Until an account is owned, nothing of it is sent."""

    def __init__(
        self,
        accounts: Iterable[Account],
        metrics: PollerMetrics,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limiters = {account: RateLimiter(account, metrics, now=now) for account in accounts}

    def __iter__(self) -> Iterator[RateLimiter]:
        return iter(self._limiters.values())

    def of(self, account: Account) -> RateLimiter:
        """An account's limiter. Raises KeyError for an account that was not given."""
        return self._limiters[account]

    def own(self, is_ours: Callable[[Account], bool]) -> None:
        """After a rebalance: which accounts this poller owns."""
        for account, limiter in self._limiters.items():
            if is_ours(account):
                limiter.own()
            else:
                limiter.disown()

    def lease(self, until_s: float) -> None:
        """The group has confirmed this member: no account goes to another one before `until_s`."""
        for limiter in self:
            limiter.lease(until_s)
