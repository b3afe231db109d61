"""A cancelled backfill stops at once; one that is requested again restarts."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.poller.schedule.backfill_fakes import (
    ALL,
    HOUR_US,
    FakeReader,
    changed,
    ended,
    job,
    poller,
    run_by_one,
)
from tests.poller.schedule.progress_fakes import FakeStore, until


async def test_a_job_that_is_cancelled_stops_at_once_and_stays_cancelled() -> None:
    reader, asked = FakeReader(), job()
    store = FakeStore(asked)
    reader.may_answer.clear()
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    await until(lambda: reader.at_once)
    cancelled = changed(asked, state="cancelled")
    store.tell(cancelled)
    await until(lambda: not reader.at_once)
    reader.may_answer.set()
    await until(lambda: store.history[-1] == cancelled)
    await backfills.close()
    assert store.records[asked.key] == cancelled
    assert len(reader.urls) == 1


async def test_a_rebalance_does_not_wait_for_the_final_state_of_a_cancelled_job() -> None:
    class Away(FakeStore):
        waited = False

        async def save(self, noted: Any) -> Any:
            if noted.state == "cancelled":
                self.waited = True
                await asyncio.Event().wait()
            return await super().save(noted)

    reader, asked = FakeReader(), job()
    store = Away(asked)
    reader.may_answer.clear()
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    await until(lambda: reader.at_once)
    store.tell(changed(asked, state="cancelled"))
    await until(lambda: store.waited)
    await asyncio.wait_for(backfills.assign(set(), 4), 5)
    await asyncio.wait_for(backfills.close(), 5)


async def test_a_finished_job_that_is_requested_again_restarts() -> None:
    reader, asked = FakeReader(), job(hours=1)
    last, store = await run_by_one(asked, reader)
    assert last.state == "done"
    again = changed(asked, asked=2)
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    store.tell(again)
    await until(lambda: store.records[asked.key].asked == 2 and store.records[asked.key].finished)
    await backfills.close()
    assert store.records[asked.key] == changed(again, state="done", done_until=asked.until, rows=20)
    assert reader.spans == [(-HOUR_US, 0)] * 2


async def test_a_running_job_that_is_requested_again_restarts() -> None:
    reader, asked = FakeReader(), job(hours=1)
    store = FakeStore(asked)
    reader.may_answer.clear()
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    await until(lambda: reader.at_once)
    store.tell(changed(asked, asked=2))
    await until(lambda: len(reader.urls) == 2)
    assert reader.at_once == 1
    reader.may_answer.set()
    assert (await ended(store, asked)).asked == 2
    await backfills.close()
