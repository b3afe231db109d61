"""Backfills: times that somebody asked for, each done by the one poller that has its partition.

The rule of this file: it decides who does which and when that is over, by what the store says. How one is
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
from stream.poller.schedule.backfill_work import BackfillDeps, BackfillRun, Sleep
from stream.poller.schedule.progress import BackfillJob, partition_of
from stream.poller.schedule.progress_store import ProgressStore
from stream.service.background_tasks import cancel, start

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
        store: ProgressStore,
        read_url: ReadUrl,
        read_call: ReadCall,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        known = {(account.provider, account.id): account for account in accounts}
        self._deps = BackfillDeps(known, resources, store, read_url, read_call, now_us, sleep)
        self._store = store
        self._partitions: frozenset[int] = frozenset()
        self._all = 1
        self._doing: dict[str, _Doing] = {}
        self._last_words: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._ready = False
        self._adjusting = asyncio.Lock()

    async def assign(self, partitions: set[int], all_: int) -> None:
        """Do what belongs to `partitions` of `all_`, and nothing else from now on. At each rebalance."""
        self._partitions, self._all = frozenset(partitions), all_
        if self._watching is None:
            self._watching = start(self._watch(), "the watch over backfills")
        await self._adjust()

    async def close(self) -> None:
        self._partitions = frozenset()
        if self._watching is not None:
            await cancel([self._watching])
        await self._adjust()
        await cancel(list(self._last_words))

    async def _watch(self) -> None:
        await self._store.ready()
        self._ready, seen = True, 0
        while True:
            await self._adjust()
            seen = await self._store.changed(seen)

    async def _adjust(self) -> None:
        """Begin what is to be done here, end what is not: done, cancelled, asked anew, or another's."""
        if not self._ready:
            return
        async with self._adjusting:
            wanted = {job.id: job for job in self._store.jobs() if not job.finished and self._is_mine(job)}
            for id_, doing in list(self._doing.items()):
                if doing.task.done() and id_ in wanted:
                    del self._doing[id_]  # It has died, which was said: once more.
                elif id_ not in wanted or wanted[id_].asked != doing.asked:
                    del self._doing[id_]
                    await cancel([doing.task])
                    # Beside: a rebalance waits for this to be over, and must not wait for the broker.
                    words = start(self._say_cancelled(id_), f"the last word on the backfill {id_}")
                    self._last_words.add(words)
                    words.add_done_callback(self._last_words.discard)
            for id_, job in wanted.items():
                if id_ not in self._doing:
                    task = start(BackfillRun(job, self._deps).run(), f"the backfill {id_}")
                    self._doing[id_] = _Doing(job.asked, task)

    def _is_mine(self, job: BackfillJob) -> bool:
        return partition_of(job.key, self._all) in self._partitions

    async def _say_cancelled(self, id_: str) -> None:
        """Once more: what the work said meanwhile must not be the last that the topic has of it."""
        job = self._store.job(id_)
        if job is not None and job.state == "cancelled":
            try:
                await self._store.save(job)
            except (NoRoomError, NotLandedError):
                log.warning("that a backfill is cancelled did not land again")
