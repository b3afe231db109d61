"""Which failures a backfill retries, which fail it, with the reason and its progress kept."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from stream.core.timestamps import utc
from stream.kafka.acked_producer import NotAcknowledgedError
from stream.poller.pages.paged_read import ReadResult
from stream.poller.schedule.progress import BackfillJob
from tests.poller.schedule.backfill_fakes import (
    ALL,
    HOUR_US,
    NOW_US,
    FakeReader,
    Slept,
    changed,
    ended,
    job,
    poller,
    run_by_one,
)
from tests.poller.schedule.progress_fakes import FakeStore, until


@pytest.mark.parametrize("outcome", ["throttled", "server_error", "network_error", "deferred"])
async def test_a_transient_failure_is_retried(outcome: str) -> None:
    reader, slept, wanted = FakeReader(), Slept(), job(hours=1)
    url = f"https://api.example.test/twilio_call/1?since={NOW_US - HOUR_US}&until={NOW_US}"
    reader.answers = {url: [ReadResult(outcome)] * 3}
    last, _ = await run_by_one(wanted, reader, slept)
    assert (last.state, last.rows, slept.waits) == ("done", 20, [5, 10, 20])


@pytest.mark.parametrize(
    ("outcome", "tries"),
    [("server_error", 6), ("auth_error", 1), ("rubbish", 1), ("client_error", 1), ("not_found", 1)],
)
async def test_a_failed_read_fails_the_job_with_the_reason_and_keeps_its_progress(
    outcome: str, tries: int
) -> None:
    reader, wanted = FakeReader(), job(hours=2)
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    reader.answers = {url: [ReadResult(outcome, 0, problem="answered badly")] * 9}
    last, _ = await run_by_one(wanted, reader)
    half = utc(NOW_US - HOUR_US)
    assert last == changed(
        wanted, state="failed", error=f"{outcome}: answered badly", done_until=half, rows=20
    )
    assert reader.urls.count(url) == tries


async def test_rows_that_kafka_does_not_take_are_read_again_without_a_limit() -> None:
    reader, slept, wanted = FakeReader(), Slept(), job(hours=1)
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    reader.answers = {url: [NotAcknowledgedError("no broker")] * 50}
    last, _ = await run_by_one(wanted, reader, slept)
    assert (last.state, last.rows, slept.waits) == ("done", 20, [2] * 50)


async def test_progress_is_saved_until_kafka_takes_it() -> None:
    reader, wanted = FakeReader(), job(hours=1)
    store = FakeStore(wanted)
    store.refuse = 50
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    assert (await ended(store, wanted)).state == "done"
    await backfills.close()
    assert len(reader.spans) == 1


async def test_a_bug_fails_its_job_and_not_the_others(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="callstream.poller.windows")
    reader, bad, good = FakeReader(), job(hours=1), job("telnyx_webhook_delivery", 1, "T1")
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    reader.answers = {url: [RuntimeError("+15005550006")]}
    store = FakeStore(bad, good)
    backfills = poller(reader, store)
    await backfills.assign(ALL, 4)
    assert (await ended(store, bad)).error == "an error of callstream's own (RuntimeError)"
    assert (await ended(store, good)).state == "done"
    await backfills.close()
    assert "+15005550006" not in caplog.text
    assert "AC1" not in caplog.text


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (job(account_id="AC9"), "the poller has no credentials for this account"),
        (job("telnyx_webhook_delivery"), "the poller has no credentials for this account"),
        (job("twilio_call_summary"), "the poller does not know this source"),
        (
            job("telnyx_call_event", 24.5, "T1"),
            "Telnyx returns telnyx_call_event by time for the last 24 hours only: begin later "
            "(older ones can be read by leg or session alone)",
        ),
    ],
)
async def test_a_job_that_this_poller_cannot_run_fails_with_the_reason(
    wanted: BackfillJob, error: str
) -> None:
    reader = FakeReader()
    last, _ = await run_by_one(wanted, reader)
    assert (last.state, last.error, reader.urls) == ("failed", error, [])


async def test_a_job_with_nothing_left_to_read_is_done() -> None:
    reader = FakeReader()
    last, _ = await run_by_one(job(done_until=utc(NOW_US), rows=7), reader)  # cancelled after its last slice
    assert (last.state, last.error, last.rows, reader.urls) == ("done", None, 7, [])


async def test_a_job_whose_run_ended_with_a_bug_is_run_again_at_the_next_change() -> None:
    class Broken(FakeStore):
        saves = 0

        async def save(self, record: Any) -> Any:
            self.saves += 1
            if self.saves == 1:
                raise RuntimeError
            return await super().save(record)

    wanted = job()
    store = Broken(wanted)
    backfills = poller(FakeReader(), store)
    await backfills.assign(ALL, 4)
    await until(lambda: store.saves == 1)
    await asyncio.sleep(0)
    store.receive()
    last = await ended(store, wanted)
    await backfills.close()
    assert (last.state, last.rows) == ("done", 60)
