"""FetchDispatcher fetch requests: each waits for its account's budget, is read, and is answered.

The rule of this file: a request is done when its answer has landed and not before. Whatever a read does, it
is answered; what is stopped on the way is not done, and whoever owns its partition next reads it again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import traceback
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from stream.core.fetches import FetchRequest
from stream.core.timestamps import SECOND_US, instant
from stream.poller.limiter.assignor import Place
from stream.poller.limiter.metrics_protocol import PollMetrics
from stream.poller.limiter.shares import parts
from stream.poller.on_demand.fetch_codec import Answer, account_for, result_value
from stream.poller.on_demand.pending_requests import ROOM, PendingRequest, PendingRequests
from stream.poller.resources.account import Account

LANDINGS = 64
"""So many answers that needed no read may be on their way to Kafka."""

ROOM_OF_ALL = 15_000
"""So many requests may wait for all accounts together, in equal parts: fewer than `fetching.UNFINISHED`, or
accounts that are not answered would hold up the requests for those that are."""

RETRY_S = 1.0

log = logging.getLogger("callstream.fetching")

Send = Callable[[], Awaitable[None]]
Ended = Callable[[bool], None]
"""Told whether it was landed."""


class RateLimiter(Protocol):
    """What is asked of an account's budget here; its turns are taken by the reads."""

    def refused(self) -> bool:
        """Whether the provider refuses the credentials, as far as is known."""

    async def idle(self, limit_s: float) -> object:
        """Returns when none of the account's requests is in flight, or after `limit_s`."""


class NotRead(NamedTuple):
    """The answer to a request that was not read, or in vain."""

    outcome: str
    rows: int = 0
    complete: bool = False
    content: str | None = None


class _AccountQueue:
    """Where the requests of one account are served."""

    def __init__(self, account: Account, limiter: RateLimiter, room: int) -> None:
        self.account = account
        self.limiter = limiter
        self.queue = PendingRequests(room)
        self.running: Counter[str] = Counter()
        self.slots = 0


class FetchDispatcher:
    """All accounts' desks. From the event loop's thread.

    - `read(request, account)`: lands the rows and says what it came to.
    - `land_result(key, value)`: returns when the broker has it. If it raises, it is asked again.
    - `now_us()`: since 1970.
    - `stale_s`: a request that has been due for longer is answered `deferred`. Whoever still wants it asks
      again; most of a backlog that nobody served is for calls that have left the table.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        *,
        limiter_of: Callable[[Account], RateLimiter],
        read: Callable[[FetchRequest, Account], Awaitable[Answer]],
        land_result: Callable[[bytes, bytes], Awaitable[None]],
        metrics: PollMetrics,
        now_us: Callable[[], int],
        room: int = ROOM,
        stale_s: float = math.inf,
    ) -> None:
        self._stale_s = stale_s
        self._accounts = list(accounts)
        room = max(1, min(room, ROOM_OF_ALL // max(1, len(self._accounts))))
        self._desks = {account: _AccountQueue(account, limiter_of(account), room) for account in accounts}
        self._read = read
        self._land_result = land_result
        self._metrics = metrics
        self._now_us = now_us
        self._pending: Counter[str] = Counter()
        self._owed: deque[tuple[Send, Ended]] = deque()
        self._reading: set[asyncio.Task[None]] = set()
        self._landing: set[asyncio.Task[None]] = set()
        self._settling = 0
        self._burying = 0
        self._said: set[str] = set()

    @property
    def most(self) -> int:
        """How many pollers can have a share: as many as can of the smallest account, at least 1."""
        return min((parts(account.rate, account.concurrency) for account in self._accounts), default=1)

    @property
    def unfinished(self) -> int:
        """How many records are taken and not done."""
        return self._pending.total() + self._burying

    def pending(self) -> dict[str, int]:
        """How many requests wait or are being read, by source."""
        return {source: count for source, count in self._pending.items() if count}

    def begin(self, place: Place) -> None:
        """Read from now on, with this place's share of the slots."""
        for desk in self._desks.values():
            desk.slots = place.slots(desk.account.concurrency)
            self._serve_next(desk)

    def serve(self, asked: PendingRequest) -> None:
        """Takes a request: it waits, or is answered at once."""
        self._count(asked, 1)
        account = account_for(asked.request, self._accounts)
        if account is None:
            self._answer(asked, "no_account")
            return
        if self._is_stale(asked.request):
            self._answer(asked, "deferred")
            return
        desk = self._desks[account]
        put = desk.queue.put(asked)
        if put.replaced is not None:
            self._leave(put.replaced, done=True)
        if put.deferred is not None:
            self._answer(put.deferred, "deferred")
        self._serve_next(desk)

    def _is_stale(self, request: FetchRequest) -> bool:
        due_us = instant(request.due_at)
        return due_us is not None and self._now_us() - due_us > self._stale_s * SECOND_US

    def bury(self, send: Send, done: Callable[[], None]) -> None:
        """Takes a record that is no request: `send` lands it elsewhere, and then it is `done`."""
        self._burying += 1

        def ended(landed: bool) -> None:
            self._burying -= 1
            if landed:
                done()

        self._owe(send, ended)

    async def stop(self, limit_s: float) -> None:
        """Nothing more is read until `begin`, and what is not done is forgotten.

        Reads are cancelled at once; answers on their way have until `limit_s`. Returns when nothing is in
        flight, as far as that is so within `limit_s`.
        """
        limit = time.monotonic() + limit_s
        for desk in self._desks.values():
            desk.slots = 0
            for asked in desk.queue.clear():
                self._leave(asked, done=False)
        while self._owed:
            self._owed.popleft()[1](False)
        for task in self._reading:
            task.cancel()
        if in_flight := self._reading | self._landing:
            _, late = await asyncio.wait(in_flight, timeout=limit_s)
            for task in late:
                task.cancel()
        left_s = max(0.0, limit - time.monotonic())
        await asyncio.gather(*(desk.limiter.idle(left_s) for desk in self._desks.values()))

    # -- what is read

    def _serve_next(self, desk: _AccountQueue) -> None:
        while (asked := desk.queue.take(desk.running, desk.slots)) is not None:
            if desk.limiter.refused():
                self._answer(asked, "auth_error")
            else:
                self._start(desk, asked)

    def _start(self, desk: _AccountQueue, asked: PendingRequest) -> None:
        priority = asked.request.priority
        desk.running[priority] += 1

        def ended(task: asyncio.Task[None]) -> None:
            self._reading.discard(task)
            self._landing.discard(task)
            desk.running[priority] -= 1
            self._leave(asked, done=_came_through(task))
            self._serve_next(desk)

        task = asyncio.create_task(self._served(desk.account, asked.request))
        self._reading.add(task)
        task.add_done_callback(ended)

    async def _served(self, account: Account, request: FetchRequest) -> None:
        answer = await self._answer_of(account, request)
        task = asyncio.current_task()
        assert task is not None
        self._reading.discard(task)
        self._landing.add(task)
        await self._until_landed(lambda: self._result(request, answer))

    async def _answer_of(self, account: Account, request: FetchRequest) -> Answer:
        try:
            return await self._read(request, account)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._say_once(f"a read of {request.source} cancelled itself")
        except Exception as error:  # noqa: BLE001  a fault of ours must not lose a request, nor end the others
            self._say_once(f"a read of {request.source} failed: {_kind(error)}")
        return NotRead("rubbish")

    # -- what is answered without a read

    def _answer(self, asked: PendingRequest, outcome: str) -> None:
        self._owe(
            lambda: self._result(asked.request, NotRead(outcome)),
            lambda landed: self._leave(asked, done=landed),
        )

    def _owe(self, send: Send, ended: Ended) -> None:
        self._owed.append((send, ended))
        self._settle()

    def _settle(self) -> None:
        while self._owed and self._settling < LANDINGS:
            self._send(*self._owed.popleft())

    def _send(self, send: Send, tell: Ended) -> None:
        self._settling += 1

        def ended(task: asyncio.Task[None]) -> None:
            self._landing.discard(task)
            self._settling -= 1
            tell(_came_through(task))
            self._settle()

        task = asyncio.create_task(self._until_landed(send))
        self._landing.add(task)
        task.add_done_callback(ended)

    # -- landing

    async def _result(self, request: FetchRequest, answer: Answer) -> None:
        await self._land_result(request.key.encode(), result_value(request, answer, self._now_us()))

    async def _until_landed(self, send: Send) -> None:
        while True:
            try:
                await send()
            except Exception as error:  # noqa: BLE001  whatever it is: what is not landed is not done
                self._say_once(f"an answer was not landed, and is landed again: {_kind(error)}")
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _leave(self, asked: PendingRequest, *, done: bool) -> None:
        self._count(asked, -1)
        if done:
            asked.done()

    def _count(self, asked: PendingRequest, change: int) -> None:
        self._pending[asked.request.source] += change
        self._metrics.pending(asked.request.source, change)

    def _say_once(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            log.error("%s", what)


def _came_through(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is None


def _kind(error: Exception) -> str:
    """Its type and place. What it says may hold what a provider said."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
