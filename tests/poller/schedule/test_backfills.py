"""A backfill reads all of its time, is run by one poller, and resumes where it was."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from stream.core.fetches import account_key
from stream.core.timestamps import utc
from stream.kafka.partitions import partition_of
from stream.poller.schedule import backfills as backfills_module
from stream.poller.schedule.progress import BackfillJob
from tests.poller.schedule.backfill_fakes import (
    ALL,
    HOUR_US,
    NOW_US,
    FakeReader,
    changed,
    ended,
    job,
    poller,
    run_by_one,
    span_of,
)
from tests.poller.schedule.progress_fakes import FakeStore, account, until


async def test_a_job_is_read_slice_by_slice_oldest_first_and_saved_after_each() -> None:
    reader, wanted = FakeReader(), job(hours=2.5)
    _, store = await run_by_one(wanted, reader)
    assert [span_of(url) for url in reader.urls] == [
        (-2.5 * HOUR_US, -1.5 * HOUR_US),
        (-2.5 * HOUR_US, -1.5 * HOUR_US),
        (-1.5 * HOUR_US, -0.5 * HOUR_US),
        (-1.5 * HOUR_US, -0.5 * HOUR_US),
        (-0.5 * HOUR_US, 0),
        (-0.5 * HOUR_US, 0),
    ]
    assert reader.priorities == {"backfill"}
    at = [utc(NOW_US - round(hours * HOUR_US)) for hours in (1.5, 0.5, 0)]
    assert store.history == [
        changed(wanted, state="running"),
        changed(wanted, state="running", done_until=at[0], rows=20),
        changed(wanted, state="running", done_until=at[1], rows=40),
        changed(wanted, state="running", done_until=at[2], rows=60),
        changed(wanted, state="done", done_until=at[2], rows=60),
    ]


async def test_a_window_without_an_end_is_read_in_one_slice() -> None:
    reader = FakeReader()
    last, _ = await run_by_one(job("telnyx_call_event", 20, "T1"), reader)
    assert reader.urls == [f"https://api.example.test/telnyx_call_event/0?since={NOW_US - 20 * HOUR_US}"]
    assert (last.state, last.done_until, last.rows) == ("done", last.until, 10)


async def test_a_job_resumes_where_it_was() -> None:
    reader = FakeReader()
    wanted = job(state="running", done_until=utc(NOW_US - HOUR_US), rows=7)
    last, _ = await run_by_one(wanted, reader)
    assert reader.spans == [(-HOUR_US, 0)]
    assert (last.state, last.rows) == ("done", 27)


async def test_a_second_poller_finishes_the_job_of_the_first_and_skips_nothing() -> None:
    one, other, wanted = FakeReader(), FakeReader(), job(hours=7.2)
    store = FakeStore(wanted)
    first, second = poller(one, store), poller(other, store)
    one.halt_at = 8
    await first.assign(ALL, 4)
    await second.assign(set(), 4)
    await until(lambda: len(one.urls) == 8 and one.at_once)
    await first.assign(set(), 4)
    assert one.at_once == 0, "a job of another poller has ended"
    await second.assign(ALL, 4)
    last = await ended(store, wanted)
    assert len(one.urls) == 8
    await first.close()
    await second.close()
    assert last.state == "done"
    spans = sorted({*one.spans, *other.spans})
    assert spans[0][0] == -7.2 * HOUR_US
    assert spans[-1][1] == 0
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(spans))
    assert len(set(one.spans) & set(other.spans)) <= 1, "at most the running slice is read twice"


async def test_each_job_is_run_by_the_poller_that_owns_its_account() -> None:
    accounts = tuple(account(f"AC{number}") for number in range(20))
    jobs = [job(hours=1 + number / 100, account_id=one.id) for number, one in enumerate(accounts)]
    store, one, other = FakeStore(*jobs), FakeReader(), FakeReader()
    pollers = [poller(one, store, accounts=accounts), poller(other, store, accounts=accounts)]
    await pollers[0].assign({0, 2}, 4)
    await pollers[1].assign({1, 3}, 4)
    for wanted in jobs:
        await ended(store, wanted)
    for each in pollers:
        await each.close()
    mine = [wanted for wanted in jobs if partition_of(account_key("twilio", wanted.account), 4) in {0, 2}]
    begun = {since for since, _ in one.spans}
    assert {wanted.since_us - NOW_US for wanted in mine} == {
        wanted.since_us - NOW_US for wanted in jobs if wanted.since_us - NOW_US in begun
    }
    assert 0 < len(mine) < 20


async def test_no_job_starts_before_the_store_is_loaded() -> None:
    reader, wanted = FakeReader(), job()
    store = FakeStore(wanted, ready=False)
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    await asyncio.sleep(0.02)
    assert reader.urls == []
    store.records[wanted.key] = changed(wanted, state="done")
    store.open()
    await asyncio.sleep(0.02)
    await backfills.close()
    assert reader.urls == []


async def test_a_long_slice_is_saved_periodically_and_never_after_the_final_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backfills_module, "HEARTBEAT_S", 0.001)
    reader, wanted = FakeReader(), job()
    store = FakeStore(wanted)
    reader.may_answer.clear()
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    await until(lambda: len(store.history) > 5)
    reader.may_answer.set()
    await ended(store, wanted)
    count = len(store.history)
    await asyncio.sleep(0.02)
    assert len(store.history) == count, "nothing is saved after the final state"
    await backfills.close()
    assert {one.state for one in store.history[:-1] if isinstance(one, BackfillJob)} == {"running"}
