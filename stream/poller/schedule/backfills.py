"""The backfills of one poller: the unfinished jobs whose keys are in its partitions.

Invariant: the progress store alone decides which jobs run here and when one is over. `backfill_run` runs one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from stream.core.fetches import account_key
from stream.kafka.acked_producer import BufferFullError, NotAcknowledgedError
from stream.kafka.partitions import partition_of
from stream.poller.pages.account_reader import AccountReader
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.backfill_run import BackfillDeps, BackfillRun
from stream.poller.schedule.progress import BackfillJob
from stream.poller.schedule.progress_store import ProgressStore
from stream.service.background_tasks import cancel, start

log = logging.getLogger("callstream.polling")


class _Running(NamedTuple):
    """The task that runs a job; `asked`: of the job when it was started."""

    asked: int
    task: asyncio.Task[None]


class Backfills:
    """All calls from the event loop's thread."""

    def __init__(
        self,
        accounts: Iterable[Account],
        resources: Mapping[str, Resource],
        *,
        store: ProgressStore,
        reader: AccountReader,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        by_id = {(account.provider, account.id): account for account in accounts}
        self._deps = BackfillDeps(by_id, resources, store, reader, now_us, sleep)
        self._store = store
        self._partitions: frozenset[int] = frozenset()
        self._partition_count = 1
        self._running: dict[str, _Running] = {}
        self._saving: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._loaded = False
        self._adjusting = asyncio.Lock()

    async def assign(self, partitions: set[int], partition_count: int) -> None:
        """Run the jobs in `partitions` and cancel all others. Called at each rebalance."""
        self._partitions, self._partition_count = frozenset(partitions), partition_count
        if self._watching is None:
            self._watching = start(self._watch(), "the watch over backfills")
        await self._adjust()

    async def close(self) -> None:
        self._partitions = frozenset()
        if self._watching is not None:
            await cancel([self._watching])
        await self._adjust()
        await cancel(list(self._saving))

    async def _watch(self) -> None:
        await self._store.wait_until_loaded()
        self._loaded, changes = True, 0
        while True:
            await self._adjust()
            changes = await self._store.wait_for_change(changes)

    async def _adjust(self) -> None:
        """Start the jobs that should run here; cancel those that are done, cancelled, restarted or moved."""
        if not self._loaded:
            return
        async with self._adjusting:
            wanted = {job.id: job for job in self._store.jobs() if not job.finished and self._is_mine(job)}
            for id_, running in list(self._running.items()):
                if running.task.done() and id_ in wanted:
                    del self._running[id_]  # the task crashed (already logged): restart it
                elif id_ not in wanted or wanted[id_].asked != running.asked:
                    del self._running[id_]
                    await cancel([running.task])
                    # In the background: a rebalance waits for this method, and must not wait for the broker.
                    saving = start(self._save_if_cancelled(id_), f"the final state of backfill {id_}")
                    self._saving.add(saving)
                    saving.add_done_callback(self._saving.discard)
            for id_, job in wanted.items():
                if id_ not in self._running:
                    task = start(BackfillRun(job, self._deps).run(), f"the backfill {id_}")
                    self._running[id_] = _Running(job.asked, task)

    def _is_mine(self, job: BackfillJob) -> bool:
        account = account_key(job.source.partition("_")[0], job.account)
        return partition_of(account, self._partition_count) in self._partitions

    async def _save_if_cancelled(self, id_: str) -> None:
        """Save `cancelled` again: a record that the run wrote meanwhile must not be the topic's last one."""
        job = self._store.job(id_)
        if job is not None and job.state == "cancelled":
            try:
                await self._store.save(job)
            except (BufferFullError, NotAcknowledgedError):
                log.warning("the state of a cancelled backfill was not saved again")
