"""One backfill, from where it is to its end: slice after slice, oldest first, each noted when it is landed.

The rule of this file: what a job says to be done is in Kafka. So whoever takes it next, after a crash or a
rebalance, begins with the first slice that is not. What the provider does not answer is said, never skipped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from stream.core.fetches import ANSWERED
from stream.core.timestamps import utc
from stream.kafka.acked_producer import NoRoomError, NotLandedError
from stream.poller.pages.protocols import COMPLETE, Done, ReadCall, ReadUrl, Seen
from stream.poller.resources.account import Account
from stream.poller.resources.resource import Resource
from stream.poller.schedule.ended_calls import EndedCall, ended_calls
from stream.poller.schedule.planning import OF_A_CALL, SLICE_S, Span, next_slice, refusal
from stream.poller.schedule.progress import BackfillJob
from stream.poller.schedule.progress_store import ProgressStore
from stream.service.background_tasks import cancel, start

PRIORITY = "backfill"
CALLS = "twilio_call"
BY_EDGE = "twilio_insights_event"

BEAT_S = 5.0
"""A job that is being done says so at least so often."""

PAUSES_S = (5.0, 10.0, 20.0, 40.0, 60.0)
"""Between two tries of a read that may come to more later; each try is several requests already."""

LANDING_PAUSE_S = 2.0
"""Kafka is waited for, however long it takes."""

TAKEN_WITHIN_S = 60.0
"""A job that begins at the very farthest is not refused for the time until a poller takes it."""

LONGEST_ERROR = 300

_WORTH_ANOTHER_TRY = frozenset({"throttled", "server_error", "network_error", "deferred"})
_NO_USE_OF_ONE_CALL = frozenset({"rubbish", "client_error"})

log = logging.getLogger("callstream.polling")

Sleep = Callable[[float], Awaitable[None]]


class BackfillDeps(NamedTuple):
    """What jobs are done with."""

    accounts: Mapping[tuple[str, str], Account]
    resources: Mapping[str, Resource]
    store: ProgressStore
    read_url: ReadUrl
    read_call: ReadCall
    now_us: Callable[[], int]
    sleep: Sleep


class _Failed(Exception):
    """The job cannot go on; the text is for who asked."""


class BackfillRun:
    """One job, from where it is to its end."""

    def __init__(self, job: BackfillJob, deps: BackfillDeps) -> None:
        self._job = job
        self._deps = deps
        self._saying = asyncio.Lock()

    async def run(self) -> None:
        log.info("backfill %s of %s: from %s on", self._job.id, self._job.source, self._job.done_until)
        await self._say(state="running")
        beating = start(self._beat(), "a backfill's beat")
        try:
            state, error = await self._came_to()
        finally:
            # Before the last word: none of its records may lie behind that.
            await cancel([beating])
        await self._say(state=state, error=error)
        log.info(
            "backfill %s of %s is %s", self._job.id, self._job.source, f"{state}: {error}" if error else state
        )

    async def _came_to(self) -> tuple[str, str | None]:
        """(state, error) at its end."""
        try:
            await self._read_all()
        except _Failed as failed:
            return "failed", str(failed)[:LONGEST_ERROR]
        except Exception as error:  # whatever it is: the job says so, and the others go on
            log.debug("a backfill failed", exc_info=error)
            return "failed", f"an error of callstream's own ({type(error).__name__})"
        if self._job.unread:
            return "failed", f"{self._job.unread} calls could not be read; all others were"
        return "done", None

    async def _read_all(self) -> None:
        job = self._job
        account, resource = self._found()
        why = refusal(job.source, Span(job.done_until_us, job.until_us), self._now_us(), TAKEN_WITHIN_S)
        if job.done_until_us < job.until_us and why is not None:
            raise _Failed(why)
        slice_s = SLICE_S if _is_bounded(self._listed(resource), account) else None
        while (span := next_slice(self._job.done_until_us, job.until_us, slice_s)) is not None:
            rows, unread = await self._slice(resource, account, span)
            await self._say(
                done_until=utc(span.until_us), rows=self._job.rows + rows, unread=self._job.unread + unread
            )

    def _found(self) -> tuple[Account, Resource]:
        account = self._deps.accounts.get((self._job.source.partition("_")[0], self._job.account))
        if account is None:
            raise _Failed("the poller has no credentials for this account")
        resource = self._deps.resources.get(self._job.source)
        if resource is None:
            raise _Failed("the poller does not know this source")
        return account, resource

    def _listed(self, resource: Resource) -> Resource:
        """The resource that is read by window: itself, or the Calls whose calls are asked about."""
        return self._deps.resources[CALLS] if resource.source in OF_A_CALL else resource

    def _now_us(self) -> int:
        return self._deps.now_us()

    async def _slice(self, resource: Resource, account: Account, span: Span) -> tuple[int, int]:
        """(rows of the source, calls that could not be read) of a slice. Raises _Failed."""
        if resource.source not in OF_A_CALL:
            return await self._window(resource, account, span, None), 0
        calls: dict[str, EndedCall] = {}

        def seen(envelopes: Iterable[bytes]) -> None:
            calls.update((call.call_id, call) for call in ended_calls(envelopes, span))

        await self._window(self._listed(resource), account, span, seen)
        return await self._calls(resource, account, calls.values())

    async def _window(self, resource: Resource, account: Account, span: Span, seen: Seen | None) -> int:
        assert resource.window_urls is not None
        rows = 0
        for url in resource.window_urls(account, *span):
            done = await self._insist(self._deps.read_url, resource, account, url, PRIORITY, seen)
            if done.outcome not in COMPLETE:
                raise _failed(done)
            rows += done.rows
        return rows

    async def _calls(
        self, resource: Resource, account: Account, calls: Iterable[EndedCall]
    ) -> tuple[int, int]:
        """Reads each call at each of its edges, as many at once as the account allows."""
        left = iter(
            [
                (call.call_id, edge)
                for call in calls
                for edge in (call.edges if resource.source == BY_EDGE else (None,))
            ]
        )
        rows, unread, failed = 0, set[str](), list[_Failed]()

        async def work() -> None:
            nonlocal rows
            for call_id, edge in left:
                if failed:
                    return
                done = await self._insist(self._deps.read_call, resource, account, call_id, edge, PRIORITY)
                if done.outcome in _NO_USE_OF_ONE_CALL:
                    unread.add(call_id)
                elif done.outcome not in ANSWERED:
                    failed.append(_failed(done))
                rows += done.rows

        async with asyncio.TaskGroup() as group:
            for _ in range(account.concurrency):
                group.create_task(work())
        if failed:
            raise failed[0]
        return rows, len(unread)

    async def _insist(self, read: Callable[..., Awaitable[Done]], *asked: object) -> Done:
        """Reads until it is answered, as often as is worth it. Waits for Kafka without end."""
        tries = 0
        while True:
            try:
                done = await read(*asked)
            except (NoRoomError, NotLandedError):
                await self._deps.sleep(LANDING_PAUSE_S)
                continue
            if done.outcome not in _WORTH_ANOTHER_TRY or tries == len(PAUSES_S):
                return done
            await self._deps.sleep(PAUSES_S[tries])
            tries += 1

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await self._say()

    async def _say(self, **changes: object) -> None:
        """Note what has changed, and that it is being done."""
        async with self._saying:
            changes["updated_at"] = utc(self._now_us())
            self._job = msgspec.structs.replace(self._job, **changes)
            while True:
                try:
                    await self._deps.store.save(self._job)
                except (NoRoomError, NotLandedError):
                    await self._deps.sleep(LANDING_PAUSE_S)
                else:
                    return


def _is_bounded(resource: Resource, account: Account) -> bool:
    """Whether its windows have an end. Where not, each slice would read to now: there is but one slice."""
    assert resource.window_urls is not None
    return resource.window_urls(account, 0, 1_000_000) != resource.window_urls(account, 0, 2_000_000)


def _failed(done: Done) -> _Failed:
    return _Failed(f"{done.outcome}: {done.problem}" if done.problem else done.outcome)
