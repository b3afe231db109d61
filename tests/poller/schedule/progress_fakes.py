"""A progress store without Kafka, and the accounts and resources of the tests."""

from __future__ import annotations

import asyncio
from typing import Any

from stream.kafka.acked_producer import NotAcknowledgedError
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Page, Resource
from stream.poller.schedule.progress import BackfillJob, Watermark, furthest, job_key, window_key


class FakeStore:
    """Like the real store; the first `refuse` saves fail."""

    def __init__(self, *records: Watermark | BackfillJob, ready: bool = True) -> None:
        self.records: dict[str, Any] = {one.key: one for one in records}
        self.history: list[Watermark | BackfillJob] = []
        self.refuse = self._changes = 0
        self._read, self._change = asyncio.Event(), asyncio.Event()
        if ready:
            self._read.set()

    def open(self) -> None:
        self._read.set()

    async def wait_until_loaded(self) -> None:
        await self._read.wait()

    async def wait_for_change(self, since: int) -> int:
        while self._changes == since:
            await self._change.wait()
        return self._changes

    def watermark(self, source: str, account: str) -> Watermark | None:
        return self.records.get(window_key(source, account))

    def job(self, id_: str) -> BackfillJob | None:
        return self.records.get(job_key(id_))

    def jobs(self) -> list[BackfillJob]:
        return [record for record in self.records.values() if isinstance(record, BackfillJob)]

    async def save(self, record: Any) -> Any:
        await asyncio.sleep(0)
        if self.refuse:
            self.refuse -= 1
            raise NotAcknowledgedError("the broker does not acknowledge records")
        record = furthest(self.records.get(record.key, record), record)
        self.records[record.key] = record
        self.history.append(record)
        self.receive()
        return record

    async def remove(self, record: Any) -> None:
        del self.records[record.key]

    def receive(self, *records: Watermark | BackfillJob) -> None:
        """Records of another poller arrive."""
        self.records |= {one.key: one for one in records}
        self._changes += 1
        self._change.set()
        self._change = asyncio.Event()


def account(id_: str = "AC1", provider: str = "twilio", alias: str = "default") -> Account:
    return Account(provider=provider, id=id_, alias=alias, api_url="https://api.example.test", secret="s")


def resource(
    source: str, *, urls: int = 1, bounded: bool = True, max_lookback_s: float | None = None
) -> Resource:
    """A resource with windows: its URLs show the times. If not bounded, only the start."""

    def window_urls(account: Account, since_us: int, until_us: int | None) -> list[str]:
        end = f"&until={until_us}" if bounded and until_us is not None else ""
        return [f"https://api.example.test/{source}/{n}?since={since_us}{end}" for n in range(urls)]

    return Resource(
        source=source,
        window_urls=window_urls,
        parse=lambda body, url: Page([]),
        max_lookback_s=max_lookback_s,
    )


def resource_of_calls(source: str) -> Resource:
    """A resource that is read by call."""
    return Resource(
        source=source,
        call_url=lambda account, call_id, edge: f"https://api.example.test/{source}/{call_id}/{edge}",
        parse=lambda body, url: Page([]),
    )


async def until(good: Any, limit_s: float = 20.0) -> None:
    async with asyncio.timeout(limit_s):
        while not good():
            await asyncio.sleep(0.001)
