"""Fetch requests from the queue of their account to their results in Kafka.

A request is done when its result is in Kafka, and not before. Whatever a read does, its request gets a
result. A read that is stopped is not done: the next owner of its partition reads it again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import traceback
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from stream.core.fetches import FetchRequest
from stream.core.timestamps import SECOND_US, instant
from stream.poller.limiter.metrics_protocol import PollMetrics
from stream.poller.limiter.rate_limiter import FailFast, Permit, Queued, RateLimiter
from stream.poller.on_demand.fetch_codec import account_for, result_value
from stream.poller.on_demand.offsets import PendingRequest
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account

CONCURRENT_WRITES = 64
"""Results without a read, dead letters and forwarded requests that may be on their way to Kafka."""

READS_FOR_EACH_SLOT = 2
"""Reads of a priority that may be in progress for each concurrent request of the account. A read whose rows
wait for Kafka holds no permit: without this bound, reads would pile up while Kafka does not take them.
"""

RETRY_S = 1.0

log = logging.getLogger("callstream.fetching")

Write = Callable[[], Awaitable[None]]
Read = Callable[[FetchRequest, Account, FailFast], Awaitable[ReadResult]]


class _AccountQueue:
    """The requests of one account: they wait in its rate limiter's queue."""

    def __init__(self, account: Account, limiter: RateLimiter) -> None:
        self.account = account
        self.limiter = limiter
        self._reads: Counter[str] = Counter()

    def count_read(self, priority: str, change: int) -> None:
        most = self.account.concurrency * READS_FOR_EACH_SLOT
        had_room = self._reads[priority] < most
        self._reads[priority] += change
        if had_room != (self._reads[priority] < most):
            self.limiter.admit(priority, not had_room)


class _QueuedRequest:
    """A request that waits for its first permit."""

    impatient = True

    def __init__(self, dispatcher: FetchDispatcher, queue: _AccountQueue, pending: PendingRequest) -> None:
        self.pending = pending
        self.queue = queue
        self.since_s = time.monotonic()
        self._dispatcher = dispatcher

    def granted(self, permit: Permit) -> bool:
        if self._dispatcher.is_stale(self.pending.request):
            self._dispatcher.answer(self.pending, "deferred")
            return False
        self._dispatcher._start(self, permit)
        return True

    def failed(self, outcome: str) -> None:
        self._dispatcher.answer(self.pending, outcome)


class FetchDispatcher:
    """The requests of all accounts. All calls from the event loop's thread.

    - `read(request, account, limiter)`: writes the rows, returns the result.
    - `write_result(key, value)`: returns when the broker has it. If it raises, it is called again.
    - `now_us()`: since 1970.
    - `stale_s`: a request that has been due for longer is answered `deferred`. Who still wants it asks again;
      most of a backlog that was not served is for calls that have left the table.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        *,
        limiter_of: Callable[[Account], RateLimiter],
        read: Read,
        write_result: Callable[[bytes, bytes], Awaitable[None]],
        metrics: PollMetrics,
        now_us: Callable[[], int],
        stale_s: float = math.inf,
    ) -> None:
        self._accounts = accounts
        self._queues = {account: _AccountQueue(account, limiter_of(account)) for account in accounts}
        self._read = read
        self._write_result = write_result
        self._metrics = metrics
        self._now_us = now_us
        self._stale_s = stale_s
        self._pending: Counter[str] = Counter()
        self._redirected = 0
        self._unwritten: deque[tuple[Write, Callable[[bool], None]]] = deque()
        self._reads: set[asyncio.Task[None]] = set()
        self._writes: set[asyncio.Task[None]] = set()
        self._results: set[asyncio.Task[None]] = set()
        self._logged: set[str] = set()

    @property
    def unfinished(self) -> int:
        """How many records are taken and not done."""
        return self._pending.total() + self._redirected

    def pending(self) -> dict[str, int]:
        """How many requests wait or are being read, by source."""
        return {source: count for source, count in self._pending.items() if count}

    def account_of(self, request: FetchRequest) -> Account | None:
        """The account whose credentials read it."""
        return account_for(request, self._accounts)

    # -- what comes in

    def submit(self, pending: PendingRequest) -> None:
        """Take a request: it waits for a permit of its account, or is answered at once."""
        request = pending.request
        account = self.account_of(request)
        if account is None:
            return self.refuse(pending, "no_account")
        if self.is_stale(request):
            return self.refuse(pending, "deferred")
        self._count(pending, 1)
        queue = self._queues[account]
        key = (request.key, request.source, request.edge, request.reason)
        put = queue.limiter.submit(key, _QueuedRequest(self, queue, pending), request.priority)
        if put.replaced is not None:
            self._finish(_pending_of(put.replaced), done=True)
        if put.deferred is not None:
            self.answer(_pending_of(put.deferred), "deferred")
        return None

    def refuse(self, pending: PendingRequest, outcome: str) -> None:
        """Take a request that is not to be read."""
        self._count(pending, 1)
        self.answer(pending, outcome)

    def redirect(self, write: Write, done: Callable[[], None]) -> None:
        """Take a record that is not served here: `write` puts it elsewhere in Kafka, then it is `done`."""
        self._redirected += 1

        def ended(written: bool) -> None:
            self._redirected -= 1
            if written:
                done()

        self._enqueue_write(write, ended)

    async def stop(self, limit_s: float) -> None:
        """Cancel reads, and forget what is not done. Results on their way to Kafka have until `limit_s`."""
        for queue in self._queues.values():
            for queued in queue.limiter.withdraw():
                self._finish(_pending_of(queued), done=False)
        while self._unwritten:
            self._unwritten.popleft()[1](False)
        for task in self._reads:
            task.cancel()
        if running := self._reads | self._results | self._writes:
            _, late = await asyncio.wait(running, timeout=limit_s)
            for task in late:
                task.cancel()

    # -- reads

    def _start(self, queued: _QueuedRequest, permit: Permit) -> None:
        """For _QueuedRequest: its read begins, with its first permit."""
        queue, request = queued.queue, queued.pending.request
        self._metrics.waited(request.source, time.monotonic() - queued.since_s)
        limiter = queue.limiter.fail_fast(permit)
        task = asyncio.create_task(self._serve(queue.account, request, limiter))
        self._reads.add(task)
        queue.count_read(request.priority, 1)

        def ended(task: asyncio.Task[None]) -> None:
            self._reads.discard(task)
            self._results.discard(task)
            limiter.end()
            self._finish(queued.pending, done=_succeeded(task))
            queue.count_read(request.priority, -1)

        task.add_done_callback(ended)

    async def _serve(self, account: Account, request: FetchRequest, limiter: FailFast) -> None:
        result = await self._result_of(account, request, limiter)
        limiter.end()
        task = asyncio.current_task()
        assert task is not None
        self._reads.discard(task)
        self._results.add(task)
        await self._until_written(
            lambda: self._write(request, result.outcome, result.rows, result.complete, result.content)
        )

    async def _result_of(self, account: Account, request: FetchRequest, limiter: FailFast) -> ReadResult:
        try:
            return await self._read(request, account, limiter)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._log_once(f"a read of {request.source} cancelled itself")
        except Exception as error:  # noqa: BLE001  our own fault must not lose a request, nor end the others
            self._log_once(f"a read of {request.source} failed: {_kind(error)}")
        return ReadResult("rubbish")

    # -- what is written without a read

    def answer(self, pending: PendingRequest, outcome: str) -> None:
        """Answer a request that was taken and is not read."""
        self._enqueue_write(
            lambda: self._write(pending.request, outcome),
            lambda written: self._finish(pending, done=written),
        )

    def _enqueue_write(self, write: Write, ended: Callable[[bool], None]) -> None:
        self._unwritten.append((write, ended))
        self._write_next()

    def _write_next(self) -> None:
        while self._unwritten and len(self._writes) < CONCURRENT_WRITES:
            write, tell = self._unwritten.popleft()
            task = asyncio.create_task(self._until_written(write))
            self._writes.add(task)
            task.add_done_callback(partial(self._write_ended, tell))

    def _write_ended(self, tell: Callable[[bool], None], task: asyncio.Task[None]) -> None:
        self._writes.discard(task)
        tell(_succeeded(task))
        self._write_next()

    async def _write(
        self,
        request: FetchRequest,
        outcome: str,
        rows: int = 0,
        complete: bool = False,
        content: str | None = None,
    ) -> None:
        value = result_value(request, self._now_us(), outcome, rows, complete, content)
        await self._write_result(request.key.encode(), value)

    async def _until_written(self, write: Write) -> None:
        while True:
            try:
                return await write()
            except Exception as error:  # noqa: BLE001  whatever it is: what is not in Kafka is not done
                self._log_once(f"a result was not written, it is retried: {_kind(error)}")
                await asyncio.sleep(RETRY_S)

    # -- counts

    def is_stale(self, request: FetchRequest) -> bool:
        """Whether it has been due for too long, on arrival or by waiting for its permit."""
        due_us = instant(request.due_at)
        return due_us is not None and self._now_us() - due_us > self._stale_s * SECOND_US

    def _finish(self, pending: PendingRequest, *, done: bool) -> None:
        self._count(pending, -1)
        if done:
            pending.done()

    def _count(self, pending: PendingRequest, change: int) -> None:
        source = pending.request.source
        self._pending[source] += change
        self._metrics.pending(source, change)

    def _log_once(self, text: str) -> None:
        if text not in self._logged:
            self._logged.add(text)
            log.error("%s", text)


def _pending_of(queued: Queued) -> PendingRequest:
    assert isinstance(queued, _QueuedRequest)  # nothing else is submitted to a limiter
    return queued.pending


def _succeeded(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is None


def _kind(error: Exception) -> str:
    """Its type and place. Its text may hold what a provider said."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
