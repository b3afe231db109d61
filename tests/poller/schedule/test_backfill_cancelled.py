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
    reader, wanted = FakeReader(), job()
    store = FakeStore(wanted)
    reader.may_answer.clear()
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    await until(lambda: reader.at_once)
    cancelled = changed(wanted, state="cancelled")
    store.receive(cancelled)
    await until(lambda: not reader.at_once)
    reader.may_answer.set()
    await until(lambda: store.history[-1] == cancelled)
    await backfills.close()
    assert store.records[wanted.key] == cancelled
    assert len(reader.urls) == 1


async def test_a_rebalance_does_not_wait_for_the_final_state_of_a_cancelled_job() -> None:
    class Away(FakeStore):
        waited = False

        async def save(self, record: Any) -> Any:
            if record.state == "cancelled":
                self.waited = True
                await asyncio.Event().wait()
            return await super().save(record)

    reader, wanted = FakeReader(), job()
    store = Away(wanted)
    reader.may_answer.clear()
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    await until(lambda: reader.at_once)
    store.receive(changed(wanted, state="cancelled"))
    await until(lambda: store.waited)
    await asyncio.wait_for(backfills.assign(set(), 4), 5)
    assert (reader.at_once, "cancelled" in {one.state for one in store.history}) == (0, False)
    await asyncio.wait_for(backfills.close(), 5)


async def test_a_finished_job_that_is_requested_again_restarts() -> None:
    reader, wanted = FakeReader(), job(hours=1)
    last, store = await run_by_one(wanted, reader)
    assert last.state == "done"
    again = changed(wanted, asked=2)
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    store.receive(again)
    await until(lambda: store.records[wanted.key].asked == 2 and store.records[wanted.key].finished)
    await backfills.close()
    assert store.records[wanted.key] == changed(again, state="done", done_until=wanted.until, rows=20)
    assert reader.spans == [(-HOUR_US, 0)] * 2


async def test_a_running_job_that_is_requested_again_restarts() -> None:
    reader, wanted = FakeReader(), job(hours=1)
    store = FakeStore(wanted)
    reader.may_answer.clear()
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    await until(lambda: reader.at_once)
    store.receive(changed(wanted, asked=2))
    await until(lambda: len(reader.urls) == 2)
    assert reader.at_once == 1
    reader.may_answer.set()
    assert (await ended(store, wanted)).asked == 2
    await backfills.close()
