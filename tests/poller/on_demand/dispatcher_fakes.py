"""What stands around the serving of fetch requests in its tests: an account's limiter, reads that a test lets
come through, a topic of results, and metrics that remember.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import orjson

from stream.core.fetches import FetchRequest
from stream.poller.limiter.metrics_protocol import PollMetrics
from stream.poller.on_demand.dispatcher import NotRead
from stream.poller.resources.account import Account

FOUND = NotRead("success", rows=1, complete=True, content="0123456789abcdef")


class OpenLimiter:
    """Refuses where a test says so, and remembers how often it was waited for."""

    def __init__(self) -> None:
        self.closed = False
        self.waited = 0

    def refused(self) -> bool:
        return self.closed

    async def idle(self, limit_s: float) -> None:
        self.waited += 1


class Provider:
    """Reads come through when a test says so, each one kept in the order in which it began."""

    def __init__(self, *, open_: bool = True) -> None:
        self.began: list[FetchRequest] = []
        self.accounts: list[Account] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.door = asyncio.Event()
        self.trouble: dict[str, BaseException] = {}
        if open_:
            self.door.set()

    async def read(self, request: FetchRequest, account: Account) -> NotRead:
        self.began.append(request)
        self.accounts.append(account)
        self.in_flight += 1
        self.most_in_flight = max(self.in_flight, self.most_in_flight)
        try:
            await self.door.wait()
            if request.key in self.trouble:
                raise self.trouble[request.key]
            return FOUND
        finally:
            self.in_flight -= 1

    def calls(self) -> list[str]:
        return [request.key.partition(":")[2] for request in self.began]


class Polled:
    """The polled topic: what has landed, in order. Closed, it takes nothing until it is opened."""

    def __init__(self) -> None:
        self.landed: list[tuple[bytes, dict[str, object]]] = []
        self.fail_next = 0
        self.open = asyncio.Event()
        self.open.set()

    async def land(self, key: bytes, value: bytes) -> None:
        await self.open.wait()
        if self.fail_next:
            self.fail_next -= 1
            raise ConnectionError("+15005550001 is not to be logged")
        self.landed.append((key, orjson.loads(value)["body"]))

    def outcomes(self) -> dict[str, object]:
        """By call."""
        return {str(body["key"]).partition(":")[2]: body["outcome"] for _, body in self.landed}


class RecentRows(PollMetrics):
    """How many are pending, and which dead letters there were."""

    def __init__(self) -> None:
        self.now_pending: Counter[str] = Counter()
        self.dead_letters: list[tuple[str, str]] = []

    def pending(self, source: str, change: int) -> None:
        self.now_pending[source] += change

    def dead_letter(self, source: str, reason: str) -> None:
        self.dead_letters.append((source, reason))


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)
