"""Windows: resources that are read again and again up to now, each by one poller, from where all is known.

The rule of this file: one pass at a time for each account and source. A pass that is complete moves the
watermark to its beginning; any other moves nothing, and the same time is read again. What goes wrong with a
pass is said here and by nobody else: when it begins, when it changes, and when it is over.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from stream.core.timestamps import SECOND_US, utc
from stream.kafka.acked_producer import NoRoomError, NotLandedError
from stream.poller.limiter.metrics_protocol import PollMetrics
from stream.poller.pages.protocols import COMPLETE, ReadUrl
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.planning import Window, next_window, pause_s
from stream.poller.schedule.progress import Watermark, partition_of, window_key
from stream.poller.schedule.progress_store import ProgressStore
from stream.service.background_tasks import cancel, start
from stream.service.settings import Settings

JITTER = 0.1
"""An interval is longer by up to this share, so that pollers do not come all at once."""

PRIORITY = "freshness"
SUCCESS = "success"

NOT_LANDED = "not_landed"
"""The outcome of a pass that was read, and whose rows or watermark Kafka did not take."""

log = logging.getLogger("callstream.polling")


class Passed(NamedTuple):
    """What a pass came to: SUCCESS, what the read that failed came to, NOT_LANDED, an exception's name."""

    outcome: str
    problem: str = ""


class Watched(NamedTuple):
    """What is read by window: one resource of one account."""

    account: Account
    resource: Resource

    @property
    def key(self) -> str:
        return window_key(self.resource.source, self.account.id)

    @property
    def name(self) -> str:
        return f"{self.resource.source} of {self.account.name}"


def watched(
    accounts: Iterable[Account], resources: Mapping[str, Resource], sources: Iterable[str]
) -> list[Watched]:
    """All that is to be read by window, whoever reads it."""
    return [
        Watched(account, resources[source])
        for account in accounts
        for source in sources
        if source in resources
        and resources[source].window_urls is not None
        and source.startswith(f"{account.provider}_")
    ]


class Windows:
    """The windows of one poller; `by` is its name in what it notes.

    All calls from the event loop's thread.
    """

    def __init__(
        self,
        settings: Settings,
        accounts: Iterable[Account],
        resources: Mapping[str, Resource],
        *,
        store: ProgressStore,
        read_url: ReadUrl,
        metrics: PollMetrics,
        by: str,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval_s = settings.poll_interval_s
        self._lookback_s = settings.poll_lookback_s
        self._watched = watched(accounts, resources, settings.poll_sources)
        self._store = store
        self._read_url = read_url
        self._metrics = metrics
        self._by = by
        self._now_us = now_us
        self._sleep = sleep
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._owning = asyncio.Lock()

    async def assign(self, partitions: set[int], all_: int) -> None:
        """Read what belongs to `partitions` of `all_`, and nothing else from now on. At each rebalance."""
        async with self._owning:
            mine = {one.key: one for one in self._watched if partition_of(one.key, all_) in partitions}
            await cancel([self._tasks.pop(key) for key in list(self._tasks) if key not in mine])
            for key, one in mine.items():
                if key not in self._tasks:
                    self._tasks[key] = start(self._read_on(one), f"the window of {one.name}")

    def ended(self) -> list[str]:
        """The names of what should be read and is not: a fault of ours."""
        return [task.get_name() for task in self._tasks.values() if task.done()]

    async def close(self) -> None:
        await self.assign(set(), 1)

    async def _read_on(self, one: Watched) -> None:
        """Pass after pass, for ever."""
        await self._store.ready()
        self._tell(one, self._known(one))
        failures, said = 0, SUCCESS
        while True:
            began_s = time.monotonic()
            passed = await self._pass(one)
            failures = 0 if passed.outcome == SUCCESS else failures + 1
            if passed.outcome != said:
                _say(one, passed)
                said = passed.outcome
            due_s = pause_s(self._interval_s, failures) * (1 + JITTER * random.random())
            await self._sleep(max(0.0, began_s + due_s - time.monotonic()))

    async def _pass(self, one: Watched) -> Passed:
        """Reads one window to its end."""
        known = self._known(one)
        window = next_window(
            known.watermark_us if known else None,
            self._now_us(),
            self._lookback_s,
            one.resource.max_lookback_s,
        )
        try:
            passed = await self._read(one, window)
            if passed.outcome == SUCCESS:
                self._tell(one, await self._store.save(self._watermark(one, window)))
                _say_lost(one, window)
        except (NoRoomError, NotLandedError):
            return Passed(NOT_LANDED)
        except Exception as error:  # whatever it is: this window is read again, and the others go on
            log.debug("the window of %s", one.name, exc_info=error)
            return Passed(type(error).__name__)
        return passed

    async def _read(self, one: Watched, window: Window) -> Passed:
        assert one.resource.window_urls is not None
        for url in one.resource.window_urls(one.account, window.since_us, None):
            done = await self._read_url(one.resource, one.account, url, PRIORITY)
            if done.outcome not in COMPLETE:
                return Passed(done.outcome, done.problem)
        return Passed(SUCCESS)

    def _known(self, one: Watched) -> Watermark | None:
        return self._store.watermark(one.resource.source, one.account.id)

    def _watermark(self, one: Watched, window: Window) -> Watermark:
        return Watermark(
            source=one.resource.source,
            account=one.account.id,
            watermark=utc(window.watermark_after_us),
            read_at=utc(self._now_us()),
            by=self._by,
        )

    def _tell(self, one: Watched, known: Watermark | None) -> None:
        if known is not None:
            self._metrics.window(
                one.resource.source,
                one.account.alias,
                known.read_at_us / SECOND_US,
                known.watermark_us / SECOND_US,
            )


def _say(one: Watched, passed: Passed) -> None:
    if passed.outcome == SUCCESS:
        log.info("the window of %s is read again", one.name)
        return
    why = f"{passed.outcome} ({passed.problem})" if passed.problem else passed.outcome
    log.warning("the window of %s cannot be read to its end: %s", one.name, why)


def _say_lost(one: Watched, window: Window) -> None:
    if window.lost is not None:
        since, until = map(utc, window.lost)
        log.warning(
            "what is from %s to %s is lost to the window of %s: so far back it is not answered",
            *(since, until, one.name),
        )
