"""What a backfill tries again, what fails it, and that it says why and keeps what was done."""

from __future__ import annotations

import logging

import pytest

from stream.core.timestamps import utc
from stream.kafka.acked_producer import NotAcknowledgedError
from stream.poller.pages.paged_read import ReadResult
from stream.poller.schedule.progress import BackfillJob
from tests.poller.schedule.backfill_fakes import (
    ALL,
    HOUR_US,
    NOW_US,
    Provider,
    Slept,
    done_by_one,
    ended,
    job,
    poller,
    said,
)
from tests.poller.schedule.progress_fakes import StoreFake


@pytest.mark.parametrize("trouble", ["throttled", "server_error", "network_error", "deferred"])
async def test_a_transient_failure_is_retried(trouble: str) -> None:
    provider, slept, asked = Provider(), Slept(), job(hours=1)
    url = f"https://api.example.test/twilio_call/1?since={NOW_US - HOUR_US}&until={NOW_US}"
    provider.answers = {url: [ReadResult(trouble)] * 3}
    last, _ = await done_by_one(asked, provider, slept)
    assert (last.state, last.rows, slept.waits) == ("done", 20, [5, 10, 20])


@pytest.mark.parametrize(
    ("trouble", "tries"),
    [("server_error", 6), ("auth_error", 1), ("rubbish", 1), ("client_error", 1), ("not_found", 1)],
)
async def test_a_failed_read_fails_the_job_with_the_reason_and_keeps_its_progress(
    trouble: str, tries: int
) -> None:
    provider, asked = Provider(), job(hours=2)
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    provider.answers = {url: [ReadResult(trouble, 0, problem="answered badly")] * 9}
    last, _ = await done_by_one(asked, provider)
    half = utc(NOW_US - HOUR_US)
    assert last == said(asked, state="failed", error=f"{trouble}: answered badly", done_until=half, rows=20)
    assert provider.urls.count(url) == tries


async def test_rows_that_kafka_does_not_take_are_read_again_without_a_limit() -> None:
    provider, slept, asked = Provider(), Slept(), job(hours=1)
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    provider.answers = {url: [NotAcknowledgedError("no broker")] * 50}
    last, _ = await done_by_one(asked, provider, slept)
    assert (last.state, last.rows, slept.waits) == ("done", 20, [2] * 50)


async def test_progress_is_saved_until_kafka_takes_it() -> None:
    provider, asked = Provider(), job(hours=1)
    notes = StoreFake(asked)
    notes.refuse = 50
    backfills = poller(provider, notes)
    await backfills.assign(ALL, 4)
    assert (await ended(notes, asked)).state == "done"
    await backfills.close()
    assert len(provider.spans) == 1


async def test_a_bug_fails_its_job_and_not_the_others(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="callstream.polling")
    provider, bad, good = Provider(), job(hours=1), job("telnyx_webhook_delivery", 1, "T1")
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    provider.answers = {url: [RuntimeError("+15005550006")]}
    notes = StoreFake(bad, good)
    backfills = poller(provider, notes)
    await backfills.assign(ALL, 4)
    assert (await ended(notes, bad)).error == "an error of callstream's own (RuntimeError)"
    assert (await ended(notes, good)).state == "done"
    await backfills.close()
    assert "+15005550006" not in caplog.text
    assert "AC1" not in caplog.text


@pytest.mark.parametrize(
    ("asked", "error"),
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
    asked: BackfillJob, error: str
) -> None:
    provider = Provider()
    last, _ = await done_by_one(asked, provider)
    assert (last.state, last.error, provider.urls) == ("failed", error, [])
