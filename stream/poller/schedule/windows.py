"""Windows: resources that one poller reads again and again up to now, starting from the watermark.

Invariants: one pass at a time for each account and source. A successful pass moves the watermark to the
pass's start, by the provider's clock where that is behind ours: a poller whose clock is ahead claims no
future time, and reads what is too old by its own clock alone. A failed pass leaves the watermark unchanged,
and the same time is read again. Failed passes are logged here alone: once when they start, once per new
failure kind and once when they end.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from stream.core.timestamps import SECOND_US, utc
from stream.kafka.acked_producer import BufferFullError, NotAcknowledgedError
from stream.kafka.partitions import partition_of
from stream.poller.pages.account_reader import AccountReader
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.planning import next_pass, pause_s
from stream.poller.schedule.progress import Watermark, window_key
from stream.poller.schedule.progress_store import ProgressStore
from stream.poller.schedule.span_reads import read_span
from stream.service.background_tasks import cancel, start
from stream.service.metrics.poller import PollerMetrics
from stream.service.settings import PollerSettings

JITTER = 0.1
"""An interval is longer by up to this share, so that pollers do not send their requests at the same time."""

DAY_US = 86_400 * SECOND_US
"""A `Date` so far before the watermark is of no clock: the provider's time has been there."""

AHEAD_US = 600 * SECOND_US
"""A watermark that is so far ahead of our clock and of the provider's is of a clock that was wrong."""

PRIORITY = "freshness"
SUCCESS = "success"

NOT_LANDED = "not_landed"
"""The outcome of a pass whose rows or watermark Kafka did not take."""

log = logging.getLogger("callstream.poller.windows")


class Window(NamedTuple):
    """One resource of one account, read by time."""

    account: Account
    resource: Resource

    @property
    def key(self) -> str:
        return window_key(self.resource.source, self.account.id)

    @property
    def name(self) -> str:
        return f"{self.resource.source} of {self.account.name}"


def windows_of(
    accounts: Iterable[Account], resources: Mapping[str, Resource], sources: Iterable[str]
) -> list[Window]:
    """All windows of these accounts and sources, whichever poller reads them."""
    return [
        Window(account, resources[source])
        for account in accounts
        for source in sources
        if source in resources
        and resources[source].window_urls is not None
        and source.startswith(f"{account.provider}_")
    ]


class Windows:
    """The windows of one poller; `by`: its name in watermarks. All calls from the event loop's thread."""

    def __init__(
        self,
        settings: PollerSettings,
        accounts: Iterable[Account],
        resources: Mapping[str, Resource],
        *,
        store: ProgressStore,
        reader: AccountReader,
        metrics: PollerMetrics,
        by: str,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval_s = settings.poll_interval_s
        self._lookback_s = settings.poll_lookback_s
        self._windows = windows_of(accounts, resources, settings.poll_sources)
        self._store = store
        self._reader = reader
        self._metrics = metrics
        self._by = by
        self._now_us = now_us
        self._sleep = sleep
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._assigning = asyncio.Lock()

    async def assign(self, partitions: set[int], partition_count: int) -> None:
        """Read the windows in `partitions` and stop all others. Called at each rebalance."""
        async with self._assigning:
            mine = {
                window.key: window
                for window in self._windows
                if partition_of(window.account.key, partition_count) in partitions
            }
            await cancel([self._tasks.pop(key) for key in list(self._tasks) if key not in mine])
            for key, window in mine.items():
                if key not in self._tasks:
                    self._tasks[key] = start(self._read_forever(window), f"the window of {window.name}")

    def ended(self) -> list[str]:
        """The names of assigned windows whose task has ended: a bug."""
        return [task.get_name() for task in self._tasks.values() if task.done()]

    async def close(self) -> None:
        await self.assign(set(), 1)

    async def _read_forever(self, window: Window) -> None:
        await self._store.wait_until_loaded()
        self._report(window, self._store.watermark(window.resource.source, window.account.id))
        failures, logged = 0, SUCCESS
        while True:
            started_s = time.monotonic()
            outcome, problem = await self._pass(window)
            failures = 0 if outcome == SUCCESS else failures + 1
            if outcome != logged:
                logged = outcome
                if outcome == SUCCESS:
                    log.info("the window of %s is read again", window.name)
                else:
                    why = f"{outcome} ({problem})" if problem else outcome
                    log.warning("the window of %s cannot be read to its end: %s", window.name, why)
            due_s = pause_s(self._interval_s, failures) * (1 + JITTER * random.random())
            await self._sleep(max(0.0, started_s + due_s - time.monotonic()))

    async def _pass(self, window: Window) -> tuple[str, str]:
        """(outcome, problem): SUCCESS, that of the failed read, NOT_LANDED, or the name of an exception."""
        try:
            return await self._read(window)
        except (BufferFullError, NotAcknowledgedError):
            return NOT_LANDED, ""
        except Exception as error:  # whatever it is: this window is read again, and the others go on
            log.debug("the window of %s", window.name, exc_info=error)
            return type(error).__name__, ""

    async def _read(self, window: Window) -> tuple[str, str]:
        account, resource = window
        known = self._store.watermark(resource.source, account.id)
        lookback_s = self._lookback_s
        if known is not None and resource.overlap_s is not None:
            lookback_s = min(lookback_s, resource.overlap_s)
        read_until_us = known.watermark_us if known else None
        watermark_us = self._now_us()
        since_us, lost = next_pass(read_until_us, watermark_us, lookback_s, resource.max_lookback_s)

        async def read(url: str) -> ReadResult:
            return await self._reader.read_window(resource, account, url, PRIORITY, skip_known=True)

        result = await read_span(resource, account, since_us, None, watermark_us, read)
        if not result.reached_end:
            return result.outcome, result.problem
        if known is not None and _is_ahead(known, watermark_us, result.provider_us):
            await self._store.remove(known)
            log.warning(
                "the watermark of %s was in the future (%s) and is set back: "
                "a time without a poller may be unread",
                window.name,
                known.watermark,
            )
        earliest_us = 0 if known is None else known.watermark_us - DAY_US
        if result.provider_us is not None and earliest_us < result.provider_us < watermark_us:
            watermark_us = result.provider_us
            earlier_us, lost = next_pass(read_until_us, watermark_us, lookback_s, resource.max_lookback_s)
            if known is not None and earlier_us < since_us:
                rest = await read_span(resource, account, earlier_us, since_us, watermark_us, read)
                if not rest.reached_end:
                    return rest.outcome, rest.problem
        watermark = Watermark(
            source=resource.source,
            account=account.id,
            watermark=utc(watermark_us),
            read_at=utc(self._now_us()),
            by=self._by,
        )
        self._report(window, await self._store.save(watermark))
        if lost is not None:
            log.warning(
                "the window of %s has lost the time from %s to %s: "
                "the provider does not return rows that old",
                *(window.name, *map(utc, lost)),
            )
        return SUCCESS, ""

    def _report(self, window: Window, known: Watermark | None) -> None:
        if known is not None:
            self._metrics.window(
                window.resource.source,
                window.account.alias,
                known.read_at_us / SECOND_US,
                known.watermark_us / SECOND_US,
            )


def _is_ahead(known: Watermark, now_us: int, provider_us: int | None) -> bool:
    """Whether a watermark is of a clock that was ahead. As the furthest one, it would stay until then."""
    if provider_us is None or abs(now_us - provider_us) > AHEAD_US:
        return False
    return known.watermark_us > max(now_us, provider_us) + AHEAD_US
