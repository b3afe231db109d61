"""Backfill jobs, a fake reader for them, and the pollers that run them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from stream.core.timestamps import utc
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.backfills import Backfills
from stream.poller.schedule.progress import BackfillJob, new_job
from tests.poller.schedule.progress_fakes import FakeStore, account, resource, resource_of_calls, until

NOW_US = 1_772_452_800_000_000
HOUR_US = 3_600_000_000
ALL = {0, 1, 2, 3}

RESOURCES = {
    "twilio_call": resource("twilio_call", urls=2),
    "telnyx_call_event": resource("telnyx_call_event", bounded=False, max_lookback_s=86_400),
    "telnyx_webhook_delivery": resource("telnyx_webhook_delivery"),
    "twilio_alert": replace(resource("twilio_alert"), max_rows=100),
    "twilio_call_event": resource_of_calls("twilio_call_event"),
    "twilio_insights_event": resource_of_calls("twilio_insights_event"),
    "twilio_notification": resource_of_calls("twilio_notification"),
}


def job(source: str = "twilio_call", hours: float = 3, account_id: str = "AC1", **fields: Any) -> BackfillJob:
    wanted = new_job(source, account_id, NOW_US - round(hours * HOUR_US), NOW_US, NOW_US)
    return msgspec.structs.replace(wanted, **fields)


def changed(job: BackfillJob, **fields: Any) -> BackfillJob:
    return msgspec.structs.replace(job, updated_at=utc(NOW_US), **fields)


class FakeReader:
    """Answers each URL and each call from `answers`, else with success and 10 rows (of a call: 1)."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.calls: list[tuple[str, str, str | None]] = []
        self.priorities: set[str] = set()
        self.answers: dict[Any, list[ReadResult | Exception]] = {}
        self.listed: dict[str, list[bytes]] = {}
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.state = "running"
        self.at_once = self.most_at_once = self.halt_at = 0

    def state_of(self, account: Account) -> str:
        return self.state

    async def read_window(
        self, resource: Resource, account: Account, url: str, priority: str, *, on_written: Any
    ) -> ReadResult:
        self.urls.append(url)
        if len(self.urls) == self.halt_at:
            self.may_answer.clear()
        came = await self._answered(url, priority, 10)
        on_written(self.listed.get(url, []))
        return came

    async def read_call(
        self, resource: Resource, account: Account, call_id: str, edge: str | None, priority: str
    ) -> ReadResult:
        self.calls.append((resource.source, call_id, edge))
        return await self._answered(call_id, priority, 1)

    async def _answered(self, url_or_call: str, priority: str, rows: int) -> ReadResult:
        self.priorities.add(priority)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.may_answer.wait()
            await asyncio.sleep(0)
            answers = self.answers.get(url_or_call)
            answer = answers.pop(0) if answers else ReadResult("success", rows)
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.at_once -= 1

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The spans of the first URLs."""
        return [span_of(url) for url in self.urls if "/0?" in url]


def span_of(url: str) -> tuple[int, int]:
    since, _, end = url.partition("since=")[2].partition("&until=")
    return int(since) - NOW_US, int(end) - NOW_US


class Slept:
    """Sleeps without waiting, and records how long it would."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)


def poller(
    reader: FakeReader,
    store: FakeStore,
    *,
    slept: Slept | None = None,
    accounts: tuple[Account, ...] = (account(), account("T1", "telnyx")),
    now_us: Callable[[], int] = lambda: NOW_US,
) -> Backfills:
    return Backfills(
        accounts,
        RESOURCES,
        store=store,  # type: ignore[arg-type]
        reader=reader,  # type: ignore[arg-type]
        now_us=now_us,
        sleep=(slept or Slept()).sleep,
    )


async def ended(store: FakeStore, wanted: BackfillJob) -> BackfillJob:
    await until(lambda: store.records[wanted.key].finished)
    return store.records[wanted.key]


async def run_by_one(
    wanted: BackfillJob, reader: FakeReader, slept: Slept | None = None
) -> tuple[BackfillJob, FakeStore]:
    store = FakeStore(wanted)
    backfills = poller(reader, store, slept=slept)
    await backfills.assign(ALL, 4)
    last = await ended(store, wanted)
    await backfills.close()
    return last, store
