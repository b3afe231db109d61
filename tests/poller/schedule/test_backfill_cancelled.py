"""A backfill that is called off stops at once; one that is asked for again begins again."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.poller.schedule.backfill_fakes import ALL, HOUR_US, Provider, done_by_one, ended, job, poller, said
from tests.poller.schedule.progress_fakes import StoreFake, until


async def test_a_job_that_is_cancelled_stops_at_once_and_stays_cancelled() -> None:
    provider, asked = Provider(), job()
    notes = StoreFake(asked)
    provider.may_answer.clear()
    backfills = poller(provider, notes)
    await backfills.assign(ALL, 4)
    await until(lambda: provider.at_once)
    cancelled = said(asked, state="cancelled")
    notes.tell(cancelled)
    await until(lambda: not provider.at_once)
    provider.may_answer.set()
    await until(lambda: notes.history[-1] == cancelled)
    await backfills.close()
    assert notes.said[asked.key] == cancelled
    assert len(provider.urls) == 1


async def test_a_rebalance_does_not_wait_for_the_final_state_of_a_cancelled_job() -> None:
    class Away(StoreFake):
        waited = False

        async def save(self, noted: Any) -> Any:
            if noted.state == "cancelled":
                self.waited = True
                await asyncio.Event().wait()
            return await super().save(noted)

    provider, asked = Provider(), job()
    notes = Away(asked)
    provider.may_answer.clear()
    backfills = poller(provider, notes)
    await backfills.assign(ALL, 4)
    await until(lambda: provider.at_once)
    notes.tell(said(asked, state="cancelled"))
    await until(lambda: notes.waited)
    await asyncio.wait_for(backfills.assign(set(), 4), 5)
    await asyncio.wait_for(backfills.close(), 5)


async def test_a_finished_job_that_is_requested_again_restarts() -> None:
    provider, asked = Provider(), job(hours=1)
    last, notes = await done_by_one(asked, provider)
    assert last.state == "done"
    again = said(asked, asked=2)
    backfills = poller(provider, notes)
    await backfills.assign(ALL, 4)
    notes.tell(again)
    await until(lambda: notes.said[asked.key].asked == 2 and notes.said[asked.key].finished)
    await backfills.close()
    assert notes.said[asked.key] == said(again, state="done", done_until=asked.until, rows=20)
    assert provider.spans == [(-HOUR_US, 0)] * 2


async def test_a_running_job_that_is_requested_again_restarts() -> None:
    provider, asked = Provider(), job(hours=1)
    notes = StoreFake(asked)
    provider.may_answer.clear()
    backfills = poller(provider, notes)
    await backfills.assign(ALL, 4)
    await until(lambda: provider.at_once)
    notes.tell(said(asked, asked=2))
    await until(lambda: len(provider.urls) == 2)
    assert provider.at_once == 1
    provider.may_answer.set()
    assert (await ended(notes, asked)).asked == 2
    await backfills.close()
