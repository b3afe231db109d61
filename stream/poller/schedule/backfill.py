"""Backfills: times that somebody asked for, each done by the one poller that has its partition.

The rule of this file: it decides who does which and when that is over, by what the notebook says. How one is
done is `backfill_work`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from stream.kafka.acked_producer import NoRoomError, NotLandedError
from stream.poller.pages.protocols import ReadCall, ReadUrl
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.backfill_work import Means, Sleep, Work
from stream.poller.schedule.progress import Job, partition_of
from stream.poller.schedule.progress_store import Notebook
from stream.service.background_tasks import begin, end

log = logging.getLogger("callstream.polling")


class _Doing(NamedTuple):
    """The work on one asking of a job."""

    asked: int
    task: asyncio.Task[None]


class Backfills:
    """The backfills of one poller: those whose key lies in its partitions.

    All calls from the event loop's thread.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        resources: Mapping[str, Resource],
        *,
        notebook: Notebook,
        read_url: ReadUrl,
        read_call: ReadCall,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        known = {(account.provider, account.id): account for account in accounts}
        self._means = Means(known, resources, notebook, read_url, read_call, now_us, sleep)
        self._notebook = notebook
        self._partitions: frozenset[int] = frozenset()
        self._all = 1
        self._doing: dict[str, _Doing] = {}
        self._last_words: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._ready = False
        self._adjusting = asyncio.Lock()

    async def own(self, partitions: set[int], all_: int) -> None:
        """Do what belongs to `partitions` of `all_`, and nothing else from now on. At each rebalance."""
        self._partitions, self._all = frozenset(partitions), all_
        if self._watching is None:
            self._watching = begin(self._watch(), "the watch over backfills")
        await self._adjust()

    async def close(self) -> None:
        self._partitions = frozenset()
        if self._watching is not None:
            await end([self._watching])
        await self._adjust()
        await end(list(self._last_words))

    async def _watch(self) -> None:
        await self._notebook.ready()
        self._ready, seen = True, 0
        while True:
            await self._adjust()
            seen = await self._notebook.changed(seen)

    async def _adjust(self) -> None:
        """Begin what is to be done here, end what is not: done, cancelled, asked anew, or another's."""
        if not self._ready:
            return
        async with self._adjusting:
            wanted = {job.id: job for job in self._notebook.jobs() if not job.finished and self._is_mine(job)}
            for id_, doing in list(self._doing.items()):
                if doing.task.done() and id_ in wanted:
                    del self._doing[id_]  # It has died, which was said: once more.
                elif id_ not in wanted or wanted[id_].asked != doing.asked:
                    del self._doing[id_]
                    await end([doing.task])
                    # Beside: a rebalance waits for this to be over, and must not wait for the broker.
                    words = begin(self._say_cancelled(id_), f"the last word on the backfill {id_}")
                    self._last_words.add(words)
                    words.add_done_callback(self._last_words.discard)
            for id_, job in wanted.items():
                if id_ not in self._doing:
                    task = begin(Work(job, self._means).run(), f"the backfill {id_}")
                    self._doing[id_] = _Doing(job.asked, task)

    def _is_mine(self, job: Job) -> bool:
        return partition_of(job.key, self._all) in self._partitions

    async def _say_cancelled(self, id_: str) -> None:
        """Once more: what the work said meanwhile must not be the last that the topic has of it."""
        job = self._notebook.job(id_)
        if job is not None and job.state == "cancelled":
            try:
                await self._notebook.note(job)
            except (NoRoomError, NotLandedError):
                log.warning("that a backfill is cancelled did not land again")
