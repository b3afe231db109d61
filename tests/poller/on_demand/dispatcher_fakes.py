"""A dispatcher with everything around it: reads that a test lets end, a topic of results, and metrics."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import orjson

from stream.core.fetches import FetchRead, FetchRequest, read_priority
from stream.kafka.client.offsets import Offsets
from stream.poller.limiter.rate_limiter import Impatient, NoPermitError, RateLimiters
from stream.poller.on_demand.dispatcher import FetchDispatcher
from stream.poller.on_demand.pending import PendingRequest
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account
from tests.poller.asked import TWILIO
from tests.poller.uncounted import Uncounted

FOUND = ReadResult("success", rows=1, complete=True, content="0123456789abcdef")
UNLIMITED = 1e9
"""A rate that no test waits for."""


class ReadsFake:
    """Reads that end when `door` is open, in the order in which they began."""

    def __init__(self, *, open_: bool = True) -> None:
        self.began: list[FetchRequest] = []
        self.accounts: list[Account] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.door = asyncio.Event()
        self.trouble: dict[str, BaseException] = {}
        self.sends = True
        if open_:
            self.door.set()

    async def read(
        self, request: FetchRequest, read: FetchRead, account: Account, limiter: Impatient
    ) -> ReadResult:
        """One HTTP request, or none where nothing `sends`."""
        if not self.sends:
            return FOUND
        try:
            return await self._read(request, read, account, limiter)
        except NoPermitError as error:  # as AccountReader answers it
            return ReadResult(error.outcome)

    async def _read(
        self, request: FetchRequest, read: FetchRead, account: Account, limiter: Impatient
    ) -> ReadResult:
        async with limiter.permit(read_priority(request, read), read.source) as permit:
            self.began.append(request)
            self.accounts.append(account)
            self.in_flight += 1
            self.most_in_flight = max(self.in_flight, self.most_in_flight)
            try:
                await self.door.wait()
                permit.answered("success")
                if request.key in self.trouble:
                    raise self.trouble[request.key]
                return FOUND
            finally:
                self.in_flight -= 1

    def calls(self) -> list[str]:
        return [request.key.partition(":")[2] for request in self.began]


class ResultTopic:
    """What was written, in order. Closed, it takes nothing until it is opened."""

    def __init__(self) -> None:
        self.written: list[tuple[bytes, dict[str, Any]]] = []
        self.fail_next = 0
        self.open = asyncio.Event()
        self.open.set()

    async def write(self, key: bytes, value: bytes) -> None:
        await self.open.wait()
        if self.fail_next:
            self.fail_next -= 1
            raise ConnectionError("+15005550001 is not to be logged")
        self.written.append((key, orjson.loads(value)["body"]))

    def outcomes(self) -> dict[str, object]:
        """By call."""
        return {
            str(body["key"]).partition(":")[2]: read["outcome"]
            for _, body in self.written
            for read in body["reads"]
        }


class PendingMetrics(Uncounted):
    """How many are pending, and which dead letters there were."""

    def __init__(self) -> None:
        self.now_pending: Counter[str] = Counter()
        self.dead_letters: list[tuple[str, str]] = []

    def pending(self, source: str, change: int) -> None:
        self.now_pending[source] += change

    def dead_letter(self, source: str, reason: str) -> None:
        self.dead_letters.append((source, reason))


class DispatcherFixture:
    """One poller's dispatcher. It owns its accounts unless a test says otherwise."""

    def __init__(self, *accounts: Account, open_: bool = True, owned: bool = True) -> None:
        self.accounts = [replace(account, rate=UNLIMITED) for account in accounts or (TWILIO,)]
        self.reads, self.topic, self.metrics = ReadsFake(open_=open_), ResultTopic(), PendingMetrics()
        self.offsets, self.next, self.now_us = Offsets(), 0, 0
        self.limiters = RateLimiters(self.accounts, self.metrics)
        self.dispatcher = FetchDispatcher(
            self.accounts,
            limiter_of=self.limiters.of,
            read=self.reads.read,
            write_result=self.topic.write,
            metrics=self.metrics,
            now_us=lambda: self.now_us,
            stale_s=7200,
        )
        if owned:
            self.own()

    def own(self) -> None:
        for limiter in self.limiters:
            limiter.own(after_s=0.0)

    def submit(self, *requests: FetchRequest) -> None:
        for request in requests:
            self.offsets.take(self.next)
            self.dispatcher.submit(PendingRequest(request, self.offsets, self.next))
            self.next += 1

    def state(self) -> tuple[int, dict[str, int], dict[str, int]]:
        """Undone offsets, what is pending, and what metrics were told of it."""
        assert self.dispatcher.unfinished == sum(self.dispatcher.pending().values())
        told = {source: count for source, count in self.metrics.now_pending.items() if count}
        return self.offsets.undone, self.dispatcher.pending(), told


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)
