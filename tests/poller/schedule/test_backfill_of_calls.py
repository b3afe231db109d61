"""A backfill reads each call that ended in its time, and one that fails does not stop the others."""

from __future__ import annotations

from typing import Any

import orjson

from stream.core.timestamps import utc
from stream.poller.pages.paged_read import ReadResult
from tests.poller.schedule.backfill_fakes import HOUR_US, NOW_US, FakeReader, job, run_by_one
from tests.poller.schedule.progress_fakes import account


async def test_each_call_that_ended_in_a_slice_is_read_at_its_edges() -> None:
    def row(sid: str, end: str | None, **fields: Any) -> bytes:
        body = {"sid": sid, "status": "completed", "end_time": end, "from": "+1500", "to": "+1501", **fields}
        envelope = {"v": 1, "source": "twilio_call", "received_at": utc(NOW_US), "body": body}
        return orjson.dumps(envelope)

    reader, wanted = FakeReader(), job("twilio_insights_event", 2)
    by_end, by_start = [
        f"https://api.example.test/twilio_call/{n}?since={NOW_US - HOUR_US}&until={NOW_US}" for n in (0, 1)
    ]
    reader.listed = {
        by_end: [
            row("CA1", "Mon, 02 Mar 2026 11:30:00 +0000"),
            row("CA2", "Mon, 02 Mar 2026 11:40:00 +0000", to="client:agent"),
            row("CA3", "Mon, 02 Mar 2026 12:00:00 +0000"),
        ],
        by_start: [
            row("CA1", "Mon, 02 Mar 2026 11:30:00 +0000"),
            row("CA4", None, status="failed", start_time="Mon, 02 Mar 2026 11:50:00 +0000"),
            row("CA5", None, status="in-progress"),
        ],
    }
    last, _ = await run_by_one(wanted, reader)
    assert len(reader.urls) == 4, "each slice is listed by end and by start"
    assert sorted(reader.calls) == [
        ("twilio_insights_event", "CA1", "carrier_edge"),
        ("twilio_insights_event", "CA2", "carrier_edge"),
        ("twilio_insights_event", "CA2", "client_edge"),
        ("twilio_insights_event", "CA2", "sdk_edge"),
        ("twilio_insights_event", "CA4", "carrier_edge"),
    ]
    assert (last.state, last.rows) == ("done", 5)

    other = FakeReader()
    other.listed = reader.listed
    last, _ = await run_by_one(job("twilio_call_event", 2), other)
    assert sorted(other.calls) == [("twilio_call_event", f"CA{n}", None) for n in (1, 2, 4)]
    assert (last.state, last.rows) == ("done", 3)


async def test_what_only_failures_have_is_not_read_of_answered_calls() -> None:
    ends = ("completed", "busy", "no-answer", "canceled", "failed", "in-progress")
    reader = FakeReader()
    reader.listed = {
        url: [
            row.replace(b'"status":"completed"', f'"status":"{status}"'.encode())
            for row, status in zip(rows, ends, strict=True)
        ]
        for url, rows in listing(*ends).items()
    }
    last, _ = await run_by_one(job("twilio_notification", 1), reader)
    assert sorted(reader.calls) == [("twilio_notification", end, None) for end in sorted(ends[1:5])]
    assert (last.state, last.rows) == ("done", 4)


def listing(*sids: str) -> dict[str, list[bytes]]:
    body = {"status": "completed", "end_time": "Mon, 02 Mar 2026 11:30:00 +0000"}
    envelope = {"v": 1, "source": "twilio_call", "received_at": utc(NOW_US)}
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    return {url: [orjson.dumps({**envelope, "body": {"sid": sid, **body}}) for sid in sids]}


async def test_calls_are_read_with_the_accounts_concurrency() -> None:
    reader = FakeReader()
    reader.listed = listing(*(f"CA{n}" for n in range(50)))
    last, _ = await run_by_one(job("twilio_call_event", 1), reader)
    assert (len(reader.calls), last.rows, reader.most_at_once) == (50, 50, account().concurrency)


async def test_an_unreadable_call_does_not_stop_the_others_and_is_reported_at_the_end() -> None:
    reader = FakeReader()
    reader.listed = listing("CA1", "CA2", "CA3", "CA4", "CA5")
    answers = {"CA1": "rubbish", "CA2": "client_error", "CA3": "not_found", "CA4": "not_ready"}
    reader.answers = {call: [ReadResult(outcome)] for call, outcome in answers.items()}
    last, _ = await run_by_one(job("twilio_call_event", 1), reader)
    assert len(reader.calls) == 5
    assert (last.state, last.error, last.rows, last.unread) == (
        "failed",
        "2 calls could not be read; all others were",
        1,
        2,
    )
    assert last.done_until == last.until


async def test_an_account_that_is_refused_stops_the_reading_of_calls() -> None:
    reader = FakeReader()
    reader.listed = listing(*(f"CA{n}" for n in range(50)))
    reader.answers = {"CA3": [ReadResult("auth_error", 0, problem="answered 401")]}
    last, _ = await run_by_one(job("twilio_call_event", 1), reader)
    assert (last.state, last.error, last.done_until) == ("failed", "auth_error: answered 401", last.since)
    assert len(reader.calls) < 50


async def test_calls_that_an_earlier_slice_could_not_read_are_reported_at_the_end() -> None:
    last, _ = await run_by_one(job("twilio_call_event", 1, unread=3, rows=4), FakeReader())
    assert (last.state, last.error, last.rows, last.unread) == (
        "failed",
        "3 calls could not be read; all others were",
        4,
        3,
    )
