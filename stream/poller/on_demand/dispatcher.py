"""Fetch requests from the queue of their account to their results in Kafka.

Each read of a request waits and is made on its own. A request is done when the result of all its reads is in
Kafka, and not before. Whatever a read does, its request gets a result. A request with a read that is stopped
is not done: the next owner of its partition reads all of it again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import traceback
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from stream.core.fetches import PRIORITIES, FetchRead, FetchRequest, read_priority
from stream.core.timestamps import SECOND_US, instant
from stream.poller.limiter.rate_limiter import Impatient, RateLimiter
from stream.poller.on_demand.fetch_codec import account_for
from stream.poller.on_demand.pending import PendingRead, PendingRequest, result_value
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account
from stream.service.metrics.poller import PollerMetrics

CONCURRENT_WRITES = 64
"""Results without a read, dead letters and forwarded requests that may be on their way to Kafka."""

READS_FOR_EACH_SLOT = 2
"""Reads of a lane that may be in progress for each concurrent request of the account. A read whose rows
wait for Kafka holds no permit: without this bound, reads would pile up while Kafka does not take them.
"""

ROOM = 5000
"""Reads of an account that may wait: at 10 a second more than eight minutes of them."""

ROOM_OF_ALL = 15_000
"""Reads that may wait for all accounts together, in equal parts. It is fewer than the consumer takes
(`fetch_consumer.UNFINISHED`), or accounts that do not answer would hold up the requests of those that do.
"""

RESERVED = 8
"""Each priority has an eighth of an account's room for itself: aging helps only what may wait."""

RETRY_S = 1.0

log = logging.getLogger("callstream.poller.fetches")

Write = Callable[[], Awaitable[None]]
Read = Callable[[FetchRequest, FetchRead, Account, Impatient], Awaitable[ReadResult]]


class _Lane:
    """The reads of one account, priority and source: those that wait, by what they ask for, and how many are
    being made. A source that makes its reads wait (a long `Retry-After`) holds up no other.
    """

    def __init__(self) -> None:
        self.waiting: OrderedDict[Hashable, PendingRead] = OrderedDict()
        self.reads = 0


class FetchDispatcher:
    """The requests of all accounts. All calls from the event loop's thread.

    - `read(request, read, account, limiter)`: writes the rows, returns the result.
    - `write_result(key, value)`: returns when the broker has it. If it raises, it is called again.
    - `now_us()`: since 1970.
    - `stale_s`: nothing is sent for a request that has been due for longer: it is answered `deferred`. Who
      still wants it asks again; most of a backlog that was not served is for calls that have left the table.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        *,
        limiter_of: Callable[[Account], RateLimiter],
        read: Read,
        write_result: Callable[[bytes, bytes], Awaitable[None]],
        metrics: PollerMetrics,
        now_us: Callable[[], int],
        stale_s: float = math.inf,
    ) -> None:
        self._accounts = accounts
        self._limiter_of = limiter_of
        self._lanes: dict[Account, defaultdict[tuple[str, str], _Lane]] = {
            account: defaultdict(_Lane) for account in accounts
        }
        self._room = max(1, min(ROOM, ROOM_OF_ALL // max(1, len(accounts))))
        self._read = read
        self._write_result = write_result
        self._metrics = metrics
        self._now_us = now_us
        self._stale_s = stale_s
        self._pending: Counter[str] = Counter()
        self._redirected = 0
        self._unwritten: deque[tuple[Write, Callable[[bool], None]]] = deque()
        self._reads: set[asyncio.Task[Any]] = set()
        self._writes: set[asyncio.Task[None]] = set()
        self._results: set[asyncio.Task[Any]] = set()
        self._logged: set[str] = set()

    @property
    def unfinished(self) -> int:
        """How many reads and other records are taken and not done."""
        return self._pending.total() + self._redirected

    def pending(self) -> dict[str, int]:
        """How many reads wait or are being made, by source."""
        return {source: count for source, count in self._pending.items() if count}

    def account_of(self, request: FetchRequest) -> Account | None:
        """The account whose credentials read it."""
        return account_for(request, self._accounts)

    # -- what comes in

    def submit(self, pending: PendingRequest) -> None:
        """Take a request: its reads wait for permits of its account, or are answered at once."""
        request = pending.request
        account = self.account_of(request)
        if account is None:
            return self.refuse(pending, "no_account")
        if self.is_stale(request):
            return self.refuse(pending, "deferred")
        for read in request.reads:
            one = PendingRead(pending, read)
            self._count(read, 1)
            self._queue(account, one)
        return None

    def _queue(self, account: Account, one: PendingRead) -> None:
        request, read = one.request, one.read
        key = (request.key, read.source, read.edge, request.reason)
        lanes, urgency = self._lanes[account], read_priority(request, read)
        lane = lanes[urgency, read.source]
        for priority in PRIORITIES:
            other = lanes[priority, read.source]
            if (queued := other.waiting.get(key)) is None:
                continue
            if request.attempt < queued.request.attempt:  # a repetition of one before the queued one
                return self._close(one, None)
            self._close(queued, None)
            if PRIORITIES.index(urgency) < PRIORITIES.index(priority):
                del other.waiting[key]
                break
            other.waiting[key] = one  # in the place of the older one
            return None
        else:
            if sum(self.waiting(account).values()) >= self._room and not self._make_room(account, urgency):
                return self._close(one, ReadResult("deferred"))
        lane.waiting[key] = one
        return self._start_reads(account, lane)

    def waiting(self, account: Account) -> Counter[str]:
        """How many reads of an account wait and are not being made, by priority."""
        found: Counter[str] = Counter()
        for (priority, _), lane in self._lanes[account].items():
            found[priority] += len(lane.waiting)
        return found

    def _make_room(self, account: Account, urgency: str) -> bool:
        """Put off a new read of the lowest priority that exceeds its reserved room, for one that heals or
        for one whose priority is below its own reserved room.
        """
        reserved, waiting = self._room // RESERVED, self.waiting(account)
        if urgency == "heal" or waiting[urgency] < reserved:
            for name in reversed(PRIORITIES):
                if name != urgency and waiting[name] > reserved:
                    lanes = [lane for (one, _), lane in self._lanes[account].items() if one == name]
                    longest = max(lanes, key=lambda lane: len(lane.waiting))
                    self._close(longest.waiting.popitem()[1], ReadResult("deferred"))
                    return True
        return False

    def refuse(self, pending: PendingRequest, outcome: str) -> None:
        """Take a request that is not to be read."""
        for read in pending.request.reads:
            self._count(read, 1)
            self._close(PendingRead(pending, read), ReadResult(outcome))

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
        for lanes in self._lanes.values():
            for lane in lanes.values():
                while lane.waiting:
                    self._finish(lane.waiting.popitem()[1], done=False)
        while self._unwritten:
            self._unwritten.popleft()[1](False)
        for task in self._reads:
            task.cancel()
        if running := self._reads | self._results | self._writes:
            _, late = await asyncio.wait(running, timeout=limit_s)
            for task in late:
                task.cancel()

    # -- reads

    def _start_reads(self, account: Account, lane: _Lane) -> None:
        while lane.waiting and lane.reads < account.concurrency * READS_FOR_EACH_SLOT:
            one = lane.waiting.popitem(last=False)[1]
            task = asyncio.create_task(self._serve(account, one))
            self._reads.add(task)
            lane.reads += 1
            task.add_done_callback(partial(self._read_ended, account, lane, one))

    def _read_ended(self, account: Account, lane: _Lane, one: PendingRead, task: asyncio.Task[bool]) -> None:
        self._reads.discard(task)
        self._results.discard(task)
        lane.reads -= 1
        self._finish(one, done=_succeeded(task) and task.result())
        self._start_reads(account, lane)

    async def _serve(self, account: Account, one: PendingRead) -> bool:
        """Make a read. True if it was the last of its request, whose result is in Kafka now."""
        limiter = Impatient(self._limiter_of(account), partial(self.is_stale, one.request))
        result = await self._result_of(account, one, limiter)
        task = asyncio.current_task()
        assert task is not None
        self._reads.discard(task)
        last = one.pending.close(one.read, result)
        if last:
            self._results.add(task)
            await self._until_written(partial(self._write, one.pending))
        return last

    async def _result_of(self, account: Account, one: PendingRead, limiter: Impatient) -> ReadResult:
        try:
            return await self._read(one.request, one.read, account, limiter)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._log_once(f"a read of {one.read.source} cancelled itself")
        except Exception as error:  # noqa: BLE001  our own fault must not lose a request, nor end the others
            self._log_once(f"a read of {one.read.source} failed: {_kind(error)}")
        return ReadResult("rubbish")

    # -- what is written without a read

    def _close(self, one: PendingRead, result: ReadResult | None) -> None:
        """End a read that was taken and is not made: with a result, or None if a newer one replaces it."""
        last = one.pending.close(one.read, result)
        if last and one.pending.results:
            self._enqueue_write(
                partial(self._write, one.pending), lambda written: self._finish(one, done=written)
            )
        else:
            self._finish(one, done=last)

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

    async def _write(self, pending: PendingRequest) -> None:
        value = result_value(pending.request, pending.results, self._now_us())
        await self._write_result(pending.request.key.encode(), value)

    async def _until_written(self, write: Write) -> None:
        while True:
            try:
                return await write()
            except Exception as error:  # noqa: BLE001  whatever it is: what is not in Kafka is not done
                self._log_once(f"a result was not written, it is retried: {_kind(error)}")
                await asyncio.sleep(RETRY_S)

    # -- counts

    def is_stale(self, request: FetchRequest) -> bool:
        """Whether it has been due for too long: on arrival, or when it gets a permit at last."""
        due_us = instant(request.due_at)
        return due_us is not None and self._now_us() - due_us > self._stale_s * SECOND_US

    def _finish(self, one: PendingRead, *, done: bool) -> None:
        """Forget a read; `done`: nothing is left to do for its request either."""
        self._count(one.read, -1)
        if done:
            one.pending.done()

    def _count(self, read: FetchRead, change: int) -> None:
        self._pending[read.source] += change
        self._metrics.pending(read.source, change)

    def _log_once(self, text: str) -> None:
        if text not in self._logged:
            self._logged.add(text)
            log.error("%s", text)


def _succeeded(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is None


def _kind(error: Exception) -> str:
    """Its type and place. Its text may hold what a provider said."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
