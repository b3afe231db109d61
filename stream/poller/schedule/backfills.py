"""The backfills of one poller: the unfinished jobs whose keys are in its partitions, slice by slice.

Invariants: the progress store alone decides which jobs run here and when one is over. A slice is saved as
done only when all its rows are in Kafka, so after a crash or a rebalance the next owner starts with the first
slice that is not done. A slice that the provider does not return fails the job; it is never skipped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from stream.core.fetches import ANSWERED, account_key
from stream.core.timestamps import utc
from stream.kafka.acked_producer import BufferFullError, NotAcknowledgedError
from stream.kafka.partitions import partition_of
from stream.poller.limiter.budget import ACCOUNT_TROUBLE
from stream.poller.pages.account_reader import AccountReader
from stream.poller.pages.paged_read import ReadResult
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.planning import READ_BY_CALL, SLICE_S, Span, ended_calls, next_slice, refusal
from stream.poller.schedule.progress import BackfillJob
from stream.poller.schedule.progress_store import ProgressStore
from stream.poller.schedule.span_reads import read_span
from stream.service.background_tasks import cancel, start

PRIORITY = "backfill"
CALLS = "twilio_call"
BY_EDGE = "twilio_insights_event"

HEARTBEAT_S = 5.0
"""A running job is saved at least this often."""

PAUSES_S = (5.0, 10.0, 20.0, 40.0, 60.0)
"""Between the attempts of a read that may succeed later. Each attempt already includes several requests."""

KAFKA_RETRY_S = 2.0
"""Writes to Kafka are retried without a limit."""

START_TOLERANCE_S = 60.0
"""A job at the limit of what the provider returns is not refused for the time until a poller starts it."""

MAX_ERROR_CHARS = 300

_RETRYABLE = frozenset({"throttled", "server_error", "network_error", "deferred"})
_UNREADABLE_CALL = frozenset({"rubbish", "client_error"})
"""Outcomes that concern one call alone: the others are still read."""

WAITS = ACCOUNT_TROUBLE | {"throttled": "the provider asks for fewer requests (429)"}
"""Why reads of an account wait, by its state."""

log = logging.getLogger("callstream.poller.windows")

T = TypeVar("T")


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
        self.accounts = {(account.provider, account.id): account for account in accounts}
        self.resources = resources
        self.store = store
        self.reader = reader
        self.now_us = now_us
        self.sleep = sleep
        self._partitions: frozenset[int] = frozenset()
        self._partition_count = 1
        self._running: dict[tuple[str, int], asyncio.Task[None]] = {}  # by the job's id and `asked`
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
        await self.store.wait_until_loaded()
        self._loaded, changes = True, 0
        while True:
            await self._adjust()
            changes = await self.store.wait_for_change(changes)

    async def _adjust(self) -> None:
        """Start the jobs that should run here; cancel those that are done, cancelled, restarted or moved."""
        if not self._loaded:
            return
        async with self._adjusting:
            jobs = [job for job in self.store.jobs() if not job.finished and self._is_mine(job)]
            wanted = {(job.id, job.asked): job for job in jobs}
            for (id_, asked), task in list(self._running.items()):
                if (id_, asked) not in wanted:
                    del self._running[id_, asked]
                    await cancel([task])
                    # In the background: a rebalance waits for this method, and must not wait for the broker.
                    saving = start(self._save_if_cancelled(id_), f"the final state of backfill {id_}")
                    self._saving.add(saving)
                    saving.add_done_callback(self._saving.discard)
                elif task.done():
                    del self._running[id_, asked]  # the task crashed (already logged): restart it
            for key, job in wanted.items():
                if key not in self._running:
                    self._running[key] = start(_BackfillRun(job, self).run(), f"the backfill {job.id}")

    def account_of(self, job: BackfillJob) -> Account | None:
        return self.accounts.get((job.source.partition("_")[0], job.account))

    def _is_mine(self, job: BackfillJob) -> bool:
        account = account_key(job.source.partition("_")[0], job.account)
        return partition_of(account, self._partition_count) in self._partitions

    async def _save_if_cancelled(self, id_: str) -> None:
        """Save `cancelled` again: a record that the run wrote meanwhile must not be the topic's last one."""
        job = self.store.job(id_)
        if job is not None and job.state == "cancelled":
            try:
                await self.store.save(job)
            except (BufferFullError, NotAcknowledgedError):
                log.warning("the state of a cancelled backfill was not saved again")


class _JobFailed(Exception):
    """The job cannot go on. The text is for the user."""


class _BackfillRun:
    """The run of one job."""

    def __init__(self, job: BackfillJob, backfills: Backfills) -> None:
        self._job = job
        self._of = backfills
        self._saving = asyncio.Lock()
        self._failure: str | None = None
        """What the last read came to, if it is tried again."""

    async def run(self) -> None:
        log.info("backfill %s of %s: starts at %s", self._job.id, self._job.source, self._job.done_until)
        await self._save(state="running")
        heartbeat = start(self._save_heartbeats(), "the heartbeat of a backfill")
        try:
            state, error = await self._final_state()
        finally:
            await cancel([heartbeat])  # before the final state: no heartbeat may follow it
        await self._save(state=state, error=error, failing_since=None)
        suffix = f": {error}" if error else ""
        log.info("backfill %s of %s is %s%s", self._job.id, self._job.source, state, suffix)

    async def _final_state(self) -> tuple[str, str | None]:
        """Read everything; (state, error) at the end."""
        try:
            await self._read_slices()
        except _JobFailed as failed:
            return "failed", str(failed)[:MAX_ERROR_CHARS]
        except Exception as error:  # whatever it is: this job fails with it, and the others go on
            log.debug("a backfill failed", exc_info=error)
            return "failed", f"an error of callstream's own ({type(error).__name__})"
        if self._job.unread:
            return "failed", f"{self._job.unread} calls could not be read; all others were"
        return "done", None

    async def _read_slices(self) -> None:
        job = self._job
        account = self._of.account_of(job)
        resource = self._of.resources.get(job.source)
        if account is None:
            raise _JobFailed("the poller has no credentials for this account")
        if resource is None:
            raise _JobFailed("the poller does not know this source")
        rest = Span(job.done_until_us, job.until_us)
        reason = refusal(job.source, rest, self._of.now_us(), START_TOLERANCE_S)
        if rest.since_us < rest.until_us and reason is not None:
            raise _JobFailed(reason)
        listed = self._of.resources[CALLS] if job.source in READ_BY_CALL else resource
        slice_s = SLICE_S if _has_window_end(listed, account) else None
        while (span := next_slice(self._job.done_until_us, job.until_us, slice_s)) is not None:
            if listed is resource:
                rows, unread = await self._read_window(resource, account, span), 0
            else:
                calls: dict[str, Sequence[str]] = {}
                await self._read_window(listed, account, span, calls)
                rows, unread = await self._read_calls(resource, account, calls)
            await self._save(
                done_until=utc(span.until_us), rows=self._job.rows + rows, unread=self._job.unread + unread
            )

    async def _read_window(
        self, resource: Resource, account: Account, span: Span, calls: dict[str, Sequence[str]] | None = None
    ) -> int:
        """Read a slice; the number of rows. `calls` receives the calls that ended in it, with their edges."""

        def collect(envelopes: Iterable[bytes]) -> None:
            if calls is not None:
                calls.update(ended_calls(envelopes, span, self._job.source))

        async def read(url: str) -> ReadResult:
            return await self._read_with_retries(
                partial(self._of.reader.read_window, resource, account, url, PRIORITY, on_written=collect)
            )

        result = await read_span(resource, account, *span, self._of.now_us(), read)
        if not result.reached_end:
            raise _job_failed(result)
        return result.rows

    async def _read_calls(
        self, resource: Resource, account: Account, calls: Mapping[str, Sequence[str]]
    ) -> tuple[int, int]:
        """Read each call at each of its edges, as many at once as the account allows. (rows, unread calls)"""
        queue = iter(
            [
                (call_id, edge)
                for call_id, edges in calls.items()
                for edge in (edges if resource.source == BY_EDGE else (None,))
            ]
        )
        rows, unread, failures = 0, set[str](), list[_JobFailed]()

        async def work() -> None:
            nonlocal rows
            for call_id, edge in queue:
                if failures:
                    return
                result = await self._read_with_retries(
                    partial(self._of.reader.read_call, resource, account, call_id, edge, PRIORITY)
                )
                if result.outcome in _UNREADABLE_CALL:
                    unread.add(call_id)
                elif result.outcome not in ANSWERED:
                    failures.append(_job_failed(result))
                rows += result.rows

        async with asyncio.TaskGroup() as group:
            for _ in range(account.concurrency):
                group.create_task(work())
        if failures:
            raise failures[0]
        return rows, len(unread)

    async def _read_with_retries(self, read: Callable[[], Awaitable[ReadResult]]) -> ReadResult:
        for pause_s in (*PAUSES_S, None):
            result = await self._until_written(read)
            if result.outcome not in _RETRYABLE:
                self._failure = None
                break
            self._failure = _said(result)
            if pause_s is not None:
                await self._of.sleep(pause_s)
        return result

    async def _save_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            error = self._failure or self._why_waiting()
            since = None if error is None else self._job.failing_since or utc(self._of.now_us())
            await self._save(error=error, failing_since=since)

    def _why_waiting(self) -> str | None:
        """Why no read of the account comes to an end. A refused or unreachable one waits for minutes."""
        account = self._of.account_of(self._job)
        return None if account is None else WAITS.get(self._of.reader.state_of(account))

    async def _save(self, **changes: object) -> None:
        """Save the job with these changes, and with the current time."""
        async with self._saving:
            changes["updated_at"] = utc(self._of.now_us())
            self._job = msgspec.structs.replace(self._job, **changes)
            await self._until_written(lambda: self._of.store.save(self._job))

    async def _until_written(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work, again and again until Kafka takes its records."""
        while True:
            try:
                return await work()
            except (BufferFullError, NotAcknowledgedError):
                await self._of.sleep(KAFKA_RETRY_S)


def _has_window_end(resource: Resource, account: Account) -> bool:
    """Whether its windows have an end. If not, each slice would read up to now: then there is one slice."""
    assert resource.window_urls is not None
    return resource.window_urls(account, 0, 1_000_000) != resource.window_urls(account, 0, 2_000_000)


def _job_failed(result: ReadResult) -> _JobFailed:
    return _JobFailed(_said(result))


def _said(result: ReadResult) -> str:
    said = f"{result.outcome}: {result.problem}" if result.problem else result.outcome
    return said[:MAX_ERROR_CHARS]
