"""The rate limiters of the accounts: HTTP requests wait here for their permits.

`Budget` decides; this waits and calls back. Each limiter has one timer, which runs only while something waits
for a time. A request that is cancelled leaves no permit behind.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from stream.poller.limiter.budget import Budget, Grant
from stream.poller.limiter.fair_queue import ROOM, PutResult
from stream.poller.limiter.metrics_protocol import PollMetrics
from stream.poller.resources.account import Account
from stream.service.metrics.poller import BudgetState

HANDOVER_S = 1.0
"""A new owner of an account waits this long, so that no second has requests of two owners.

It does not help against a former owner that was frozen and has not yet learned that it lost the account.
"""

ROOM_OF_ALL = 15_000
"""Fetch requests that may wait for all accounts together, in equal parts. It is fewer than the consumer takes
(`fetch_consumer.UNFINISHED`), or accounts that do not answer would hold up the requests of those that do.
"""


class AccountUnavailableError(Exception):
    """The account is closed, and the request is impatient. `outcome`: what it comes to."""

    def __init__(self, name: str, outcome: str) -> None:
        super().__init__(f"{name} is closed for now ({outcome})")
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
        self._limiter._answered(self._grant, outcome, retry_after_s)
        self._grant = None

    def release(self, *, unsent: bool = False) -> None:
        """The request has ended, if need be without an outcome. `unsent`: it was never made."""
        grant, self._grant = self._grant, None
        if grant is not None:
            self._limiter._released(grant, unsent)


class Queued(Protocol):
    """What waits in a limiter's queue. `impatient`: it fails where the account is closed for long."""

    impatient: bool

    def granted(self, permit: Permit) -> bool:
        """It may send one request now. False: it was cancelled."""

    def failed(self, outcome: str) -> None:
        """It is impatient, and the account is closed."""


class _Waiter:
    """A coroutine that waits for a permit."""

    def __init__(self, name: str, impatient: bool) -> None:
        self.impatient = impatient
        self.permit: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._name = name

    def granted(self, permit: Permit) -> bool:
        if self.permit.done():  # cancelled, and its task has not run since
            return False
        self.permit.set_result(permit)
        return True

    def failed(self, outcome: str) -> None:
        if not self.permit.done():
            self.permit.set_exception(AccountUnavailableError(self._name, outcome))


class RateLimiter:
    """The limiter of one account. All calls from the event loop's thread.

    `now` counts seconds as the event loop does, from anywhere; `random` is from 0 to 1.
    """

    def __init__(
        self,
        account: Account,
        metrics: PollMetrics,
        *,
        room: int = ROOM,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._account = account
        self._budget: Budget[Queued] = Budget(account.rate, account.concurrency, room)
        self._queue = self._budget.queue
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

    def state(self) -> BudgetState:
        budget = self._budget
        return BudgetState(
            self._account.provider,
            self._account.alias,
            budget.state(self._now()),
            budget.allowed_rate,
            budget.allowed_concurrency,
            len(budget.in_flight),
            self._queue.waiting(),
        )

    # -- reads in progress

    @asynccontextmanager
    async def permit(self, priority: str, source: str, *, impatient: bool = False) -> AsyncIterator[Permit]:
        """Wait for a permit. Raises AccountUnavailableError where the caller is impatient."""
        permit = await self._wait(priority, source, impatient)
        try:
            yield permit
        finally:
            permit.release()

    def fail_fast(self, first: Permit | None = None) -> FailFast:
        """The same limiter for an impatient caller. `first`: a permit that it has already."""
        return FailFast(self, first)

    async def _wait(self, priority: str, source: str, impatient: bool) -> Permit:
        waiter = _Waiter(self._account.name, impatient)
        self._queue.join(waiter, priority)
        since_s = self._now()
        self._proceed()
        if waiter.permit.done():
            return waiter.permit.result()
        try:
            return await waiter.permit
        except asyncio.CancelledError:
            self._cancelled(waiter)
            raise
        finally:
            self._metrics.waited(source, self._now() - since_s)

    def _cancelled(self, waiter: _Waiter) -> None:
        """Its task was cancelled, maybe between the grant and its use."""
        permit = waiter.permit
        if permit.done() and not permit.cancelled() and permit.exception() is None:
            permit.result().release(unsent=True)
        self._queue.remove(lambda queued: queued is waiter)
        self._proceed()

    # -- requests whose read has not begun

    def submit(self, key: Hashable, request: Queued, priority: str) -> PutResult[Queued]:
        """Queue a request, which is called back with its first permit. See `FairPriorityQueue.put`."""
        result = self._queue.put(key, request, priority)
        self._proceed()
        return result

    def withdraw(self) -> list[Queued]:
        """Remove all requests that were submitted and have no permit yet."""
        return self._queue.remove(lambda queued: not isinstance(queued, _Waiter))

    def admit(self, priority: str, admitted: bool) -> None:
        """Whether requests of this priority get permits. Reads in progress get theirs anyway."""
        self._queue.admit(priority, admitted)
        self._proceed()

    # -- how it proceeds

    def _answered(self, grant: Grant, outcome: str, retry_after_s: float | None) -> None:
        self._budget.answered(grant, outcome, retry_after_s, self._now(), self._random())
        self._proceed()

    def _released(self, grant: Grant, unsent: bool) -> None:
        self._budget.released(grant, unsent=unsent)
        self._proceed()

    def _proceed(self) -> None:
        """Something changed: grant what may be sent, fail what is impatient, set the timer for the next."""
        now_s = self._now()
        while (taken := self._budget.take(now_s)) is not None:
            queued, grant = taken
            if not queued.granted(Permit(self, grant)):
                self._budget.released(grant, unsent=True)
        outcome = self._budget.failure(now_s)
        if outcome is not None:
            for queued in self._queue.remove(lambda queued: queued.impatient):
                queued.failed(outcome)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ready_at_s = self._budget.ready_at_s()
        if ready_at_s is not None:
            delay_s = max(0.0, ready_at_s - self._now())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._proceed)


class FailFast:
    """A limiter for an impatient caller. `end` releases a first permit that it did not use."""

    def __init__(self, limiter: RateLimiter, first: Permit | None) -> None:
        self._limiter = limiter
        self._first = first

    def permit(self, priority: str, source: str) -> AbstractAsyncContextManager[Permit]:
        """As RateLimiter's. Raises AccountUnavailableError."""
        first, self._first = self._first, None
        return self._limiter.permit(priority, source, impatient=True) if first is None else _held(first)

    def end(self) -> None:
        if self._first is not None:
            self._first.release(unsent=True)
            self._first = None


@asynccontextmanager
async def _held(permit: Permit) -> AsyncIterator[Permit]:
    try:
        yield permit
    finally:
        permit.release()


class RateLimiters:
    """The limiters of all accounts. Until an account is owned, nothing of it is sent."""

    def __init__(
        self,
        accounts: Iterable[Account],
        metrics: PollMetrics,
        *,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        accounts = list(accounts)
        room = max(1, min(ROOM, ROOM_OF_ALL // max(1, len(accounts))))
        self._limiters = {
            account: RateLimiter(account, metrics, room=room, now=now, random=random) for account in accounts
        }

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
