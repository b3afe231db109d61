"""A backfill reads all of a time, is done by one poller, and goes on where it was."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest

from stream.core.instants import utc
from stream.polling import backfill_work
from stream.polling.account import Account
from stream.polling.backfill import Backfills
from stream.polling.progress import Job, job_key, new_job, partition_of
from stream.polling.resource import Resource
from stream.runtime.lander import NotLandedError
from tests.polling.notes import Came, Notes, account, resource, resource_of_calls, until

NOW_US = 1_772_452_800_000_000
HOUR_US = 3_600_000_000
ALL = {0, 1, 2, 3}

RESOURCES = {
    "twilio_call": resource("twilio_call", urls=2),
    "telnyx_call_event": resource("telnyx_call_event", bounded=False, farthest_s=86_400),
    "telnyx_webhook_delivery": resource("telnyx_webhook_delivery"),
    "twilio_call_event": resource_of_calls("twilio_call_event"),
    "twilio_insights_event": resource_of_calls("twilio_insights_event"),
}


def job(source: str = "twilio_call", hours: float = 3, account_id: str = "AC1", **fields: Any) -> Job:
    asked = new_job(source, account_id, NOW_US - round(hours * HOUR_US), NOW_US, NOW_US)
    return msgspec.structs.replace(asked, **fields)


def said(job: Job, **fields: Any) -> Job:
    return msgspec.structs.replace(job, updated_at=utc(NOW_US), **fields)


class Provider:
    """Answers each URL and each call with what it is told to, else with success and 10 rows, of calls 1."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.calls: list[tuple[str, str, str | None]] = []
        self.priorities: set[str] = set()
        self.answers: dict[Any, list[Came | Exception]] = {}
        self.listed: dict[str, list[bytes]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = self.most_at_once = self.halt_at = 0

    async def read_url(
        self, resource: Resource, account: Account, url: str, priority: str, seen: Any = None
    ) -> Came:
        self.urls.append(url)
        if len(self.urls) == self.halt_at:
            self.gate.clear()
        came = await self._answered(url, priority, 10)
        if seen is not None:
            seen(self.listed.get(url, []))
        return came

    async def read_call(
        self, resource: Resource, account: Account, call_id: str, edge: str | None, priority: str
    ) -> Came:
        self.calls.append((resource.source, call_id, edge))
        return await self._answered(call_id, priority, 1)

    async def _answered(self, asked: str, priority: str, rows: int) -> Came:
        self.priorities.add(priority)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
            answers = self.answers.get(asked)
            answer = answers.pop(0) if answers else Came("success", rows)
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.at_once -= 1

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The times of the first URLs that were asked."""
        return [span_of(url) for url in self.urls if "/0?" in url]


def span_of(url: str) -> tuple[int, int]:
    since, _, end = url.partition("since=")[2].partition("&until=")
    return int(since) - NOW_US, int(end) - NOW_US


class Slept:
    """A clock that nobody waits for."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)


def poller(
    provider: Provider,
    notes: Notes,
    *,
    slept: Slept | None = None,
    accounts: tuple[Account, ...] = (account(), account("T1", "telnyx")),
    now_us: Callable[[], int] = lambda: NOW_US,
) -> Backfills:
    return Backfills(
        accounts,
        RESOURCES,
        notebook=notes,  # type: ignore[arg-type]
        read_url=provider.read_url,
        read_call=provider.read_call,
        now_us=now_us,
        sleep=(slept or Slept()).sleep,
    )


async def ended(notes: Notes, asked: Job) -> Job:
    await until(lambda: notes.said[asked.key].finished)
    return notes.said[asked.key]


async def done_by_one(asked: Job, provider: Provider, slept: Slept | None = None) -> tuple[Job, Notes]:
    notes = Notes(asked)
    backfills = poller(provider, notes, slept=slept)
    await backfills.own(ALL, 4)
    last = await ended(notes, asked)
    await backfills.close()
    return last, notes


async def test_a_job_is_read_slice_after_slice_oldest_first_and_says_after_each_how_far_it_is() -> None:
    provider, asked = Provider(), job(hours=2.5)
    _, notes = await done_by_one(asked, provider)
    assert [span_of(url) for url in provider.urls] == [
        (-2.5 * HOUR_US, -1.5 * HOUR_US),
        (-2.5 * HOUR_US, -1.5 * HOUR_US),
        (-1.5 * HOUR_US, -0.5 * HOUR_US),
        (-1.5 * HOUR_US, -0.5 * HOUR_US),
        (-0.5 * HOUR_US, 0),
        (-0.5 * HOUR_US, 0),
    ]
    assert provider.priorities == {"backfill"}
    at = [utc(NOW_US - round(hours * HOUR_US)) for hours in (1.5, 0.5, 0)]
    assert notes.history == [
        said(asked, state="running"),
        said(asked, state="running", done_until=at[0], rows=20),
        said(asked, state="running", done_until=at[1], rows=40),
        said(asked, state="running", done_until=at[2], rows=60),
        said(asked, state="done", done_until=at[2], rows=60),
    ]


async def test_what_has_no_end_in_its_url_is_read_at_once_and_not_again_for_each_slice() -> None:
    provider = Provider()
    last, _ = await done_by_one(job("telnyx_call_event", 20, "T1"), provider)
    assert provider.urls == [f"https://api.example.test/telnyx_call_event/0?since={NOW_US - 20 * HOUR_US}"]
    assert (last.state, last.done_until, last.rows) == ("done", last.until, 10)


async def test_a_job_goes_on_where_it_was() -> None:
    provider = Provider()
    asked = job(state="running", done_until=utc(NOW_US - HOUR_US), rows=7)
    last, _ = await done_by_one(asked, provider)
    assert provider.spans == [(-HOUR_US, 0)]
    assert (last.state, last.rows) == ("done", 27)


async def test_a_second_poller_finishes_what_the_first_one_left_and_nothing_is_skipped() -> None:
    one, other, asked = Provider(), Provider(), job(hours=7.2)
    notes = Notes(asked)
    first, second = poller(one, notes), poller(other, notes)
    one.halt_at = 8
    await first.own(ALL, 4)
    await second.own(set(), 4)
    await until(lambda: len(one.urls) == 8 and one.at_once)
    await first.own(set(), 4)
    assert one.at_once == 0, "what is another's has ended"
    await second.own(ALL, 4)
    last = await ended(notes, asked)
    assert len(one.urls) == 8
    await first.close()
    await second.close()
    assert last.state == "done"
    spans = sorted({*one.spans, *other.spans})
    assert spans[0][0] == -7.2 * HOUR_US
    assert spans[-1][1] == 0
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(spans))
    assert len(set(one.spans) & set(other.spans)) <= 1, "at most the slice in work is read twice"


async def test_each_job_is_done_by_the_poller_that_has_its_partition() -> None:
    jobs = [job(hours=1 + number / 100) for number in range(20)]
    notes, one, other = Notes(*jobs), Provider(), Provider()
    pollers = [poller(one, notes), poller(other, notes)]
    await pollers[0].own({0, 2}, 4)
    await pollers[1].own({1, 3}, 4)
    for asked in jobs:
        await ended(notes, asked)
    for each in pollers:
        await each.close()
    mine = [asked for asked in jobs if partition_of(job_key(asked.id), 4) in {0, 2}]
    begun = {since for since, _ in one.spans}
    assert {asked.since_us - NOW_US for asked in mine} == {
        asked.since_us - NOW_US for asked in jobs if asked.since_us - NOW_US in begun
    }
    assert 0 < len(mine) < 20


async def test_calls_that_ended_in_a_slice_are_each_asked_about_at_their_edges() -> None:
    def row(sid: str, end: str | None, **fields: Any) -> bytes:
        body = {"sid": sid, "status": "completed", "end_time": end, "from": "+1500", "to": "+1501", **fields}
        envelope = {"v": 1, "source": "twilio_call", "received_at": utc(NOW_US), "body": body}
        return orjson.dumps(envelope)

    provider, asked = Provider(), job("twilio_insights_event", 2)
    by_end, by_start = [
        f"https://api.example.test/twilio_call/{n}?since={NOW_US - HOUR_US}&until={NOW_US}" for n in (0, 1)
    ]
    provider.listed = {
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
    last, _ = await done_by_one(asked, provider)
    assert len(provider.urls) == 4, "each slice is listed by end and by start"
    assert sorted(provider.calls) == [
        ("twilio_insights_event", "CA1", "carrier_edge"),
        ("twilio_insights_event", "CA2", "carrier_edge"),
        ("twilio_insights_event", "CA2", "client_edge"),
        ("twilio_insights_event", "CA2", "sdk_edge"),
        ("twilio_insights_event", "CA4", "carrier_edge"),
    ]
    assert (last.state, last.rows) == ("done", 5)

    other = Provider()
    other.listed = provider.listed
    last, _ = await done_by_one(job("twilio_call_event", 2), other)
    assert sorted(other.calls) == [("twilio_call_event", f"CA{n}", None) for n in (1, 2, 4)]
    assert (last.state, last.rows) == ("done", 3)


def listing(*sids: str) -> dict[str, list[bytes]]:
    body = {"status": "completed", "end_time": "Mon, 02 Mar 2026 11:30:00 +0000"}
    envelope = {"v": 1, "source": "twilio_call", "received_at": utc(NOW_US)}
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    return {url: [orjson.dumps({**envelope, "body": {"sid": sid, **body}}) for sid in sids]}


async def test_calls_are_read_as_many_at_once_as_the_account_allows() -> None:
    provider = Provider()
    provider.listed = listing(*(f"CA{n}" for n in range(50)))
    last, _ = await done_by_one(job("twilio_call_event", 1), provider)
    assert (len(provider.calls), last.rows, provider.most_at_once) == (50, 50, account().concurrency)


async def test_one_call_that_makes_no_sense_does_not_hide_the_others_and_is_said_at_the_end() -> None:
    provider = Provider()
    provider.listed = listing("CA1", "CA2", "CA3", "CA4", "CA5")
    answers = {"CA1": "rubbish", "CA2": "client_error", "CA3": "not_found", "CA4": "not_ready"}
    provider.answers = {call: [Came(outcome)] for call, outcome in answers.items()}
    last, _ = await done_by_one(job("twilio_call_event", 1), provider)
    assert len(provider.calls) == 5
    assert (last.state, last.error, last.rows, last.unread) == (
        "failed",
        "2 calls could not be read; all others were",
        1,
        2,
    )
    assert last.done_until == last.until


@pytest.mark.parametrize("trouble", ["throttled", "server_error", "network_error", "deferred"])
async def test_what_may_work_later_is_tried_again(trouble: str) -> None:
    provider, slept, asked = Provider(), Slept(), job(hours=1)
    url = f"https://api.example.test/twilio_call/1?since={NOW_US - HOUR_US}&until={NOW_US}"
    provider.answers = {url: [Came(trouble)] * 3}
    last, _ = await done_by_one(asked, provider, slept)
    assert (last.state, last.rows, slept.waits) == ("done", 20, [5, 10, 20])


@pytest.mark.parametrize(
    ("trouble", "tries"),
    [("server_error", 6), ("auth_error", 1), ("rubbish", 1), ("client_error", 1), ("not_found", 1)],
)
async def test_what_does_not_work_fails_says_why_and_keeps_what_was_done(trouble: str, tries: int) -> None:
    provider, asked = Provider(), job(hours=2)
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    provider.answers = {url: [Came(trouble, 0, "answered badly")] * 9}
    last, _ = await done_by_one(asked, provider)
    half = utc(NOW_US - HOUR_US)
    assert last == said(asked, state="failed", error=f"{trouble}: answered badly", done_until=half, rows=20)
    assert provider.urls.count(url) == tries


async def test_an_account_that_is_stopped_stops_the_reading_of_calls() -> None:
    provider = Provider()
    provider.listed = listing(*(f"CA{n}" for n in range(50)))
    provider.answers = {"CA3": [Came("auth_error", 0, "answered 401")]}
    last, _ = await done_by_one(job("twilio_call_event", 1), provider)
    assert (last.state, last.error, last.done_until) == ("failed", "auth_error: answered 401", last.since)
    assert len(provider.calls) < 50


async def test_rows_that_do_not_land_are_read_again_for_as_long_as_it_takes() -> None:
    provider, slept, asked = Provider(), Slept(), job(hours=1)
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    provider.answers = {url: [NotLandedError("no broker")] * 50}
    last, _ = await done_by_one(asked, provider, slept)
    assert (last.state, last.rows, slept.waits) == ("done", 20, [2] * 50)


async def test_progress_that_does_not_land_is_said_until_it_does() -> None:
    provider, asked = Provider(), job(hours=1)
    notes = Notes(asked)
    notes.refuse = 50
    backfills = poller(provider, notes)
    await backfills.own(ALL, 4)
    assert (await ended(notes, asked)).state == "done"
    await backfills.close()
    assert len(provider.spans) == 1


async def test_an_error_of_our_own_fails_the_job_and_not_the_others(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="callstream.polling")
    provider, bad, good = Provider(), job(hours=1), job("telnyx_webhook_delivery", 1, "T1")
    url = f"https://api.example.test/twilio_call/0?since={NOW_US - HOUR_US}&until={NOW_US}"
    provider.answers = {url: [RuntimeError("+15005550006")]}
    notes = Notes(bad, good)
    backfills = poller(provider, notes)
    await backfills.own(ALL, 4)
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
            "Telnyx answers telnyx_call_event by time for the last 24 hours only: begin later "
            "(older ones can be read by leg or session alone)",
        ),
    ],
)
async def test_what_this_poller_cannot_do_is_said(asked: Job, error: str) -> None:
    provider = Provider()
    last, _ = await done_by_one(asked, provider)
    assert (last.state, last.error, provider.urls) == ("failed", error, [])


async def test_a_job_that_is_cancelled_stops_at_once_and_stays_cancelled() -> None:
    provider, asked = Provider(), job()
    notes = Notes(asked)
    provider.gate.clear()
    backfills = poller(provider, notes)
    await backfills.own(ALL, 4)
    await until(lambda: provider.at_once)
    cancelled = said(asked, state="cancelled")
    notes.tell(cancelled)
    await until(lambda: not provider.at_once)
    provider.gate.set()
    await until(lambda: notes.history[-1] == cancelled)
    await backfills.close()
    assert notes.said[asked.key] == cancelled
    assert len(provider.urls) == 1


async def test_a_rebalance_does_not_wait_for_the_last_word_on_a_cancelled_job() -> None:
    class Away(Notes):
        waited = False

        async def note(self, noted: Any) -> Any:
            if noted.state == "cancelled":
                self.waited = True
                await asyncio.Event().wait()
            return await super().note(noted)

    provider, asked = Provider(), job()
    notes = Away(asked)
    provider.gate.clear()
    backfills = poller(provider, notes)
    await backfills.own(ALL, 4)
    await until(lambda: provider.at_once)
    notes.tell(said(asked, state="cancelled"))
    await until(lambda: notes.waited)
    await asyncio.wait_for(backfills.own(set(), 4), 5)
    await asyncio.wait_for(backfills.close(), 5)


async def test_a_job_that_is_asked_again_begins_again() -> None:
    provider, asked = Provider(), job(hours=1)
    last, notes = await done_by_one(asked, provider)
    assert last.state == "done"
    again = said(asked, asked=2)
    backfills = poller(provider, notes)
    await backfills.own(ALL, 4)
    notes.tell(again)
    await until(lambda: notes.said[asked.key].asked == 2 and notes.said[asked.key].finished)
    await backfills.close()
    assert notes.said[asked.key] == said(again, state="done", done_until=asked.until, rows=20)
    assert provider.spans == [(-HOUR_US, 0)] * 2


async def test_a_job_in_work_that_is_asked_anew_is_begun_anew() -> None:
    provider, asked = Provider(), job(hours=1)
    notes = Notes(asked)
    provider.gate.clear()
    backfills = poller(provider, notes)
    await backfills.own(ALL, 4)
    await until(lambda: provider.at_once)
    notes.tell(said(asked, asked=2))
    await until(lambda: len(provider.urls) == 2)
    assert provider.at_once == 1
    provider.gate.set()
    assert (await ended(notes, asked)).asked == 2
    await backfills.close()


async def test_nothing_is_begun_before_the_notebook_is_read() -> None:
    provider, asked = Provider(), job()
    notes = Notes(asked, ready=False)
    backfills = poller(provider, notes)
    await backfills.own(ALL, 4)
    await asyncio.sleep(0.02)
    assert provider.urls == []
    notes.said[asked.key] = said(asked, state="done")
    notes.open()
    await asyncio.sleep(0.02)
    await backfills.close()
    assert provider.urls == []


async def test_a_long_slice_is_not_taken_for_a_dead_poller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill_work, "BEAT_S", 0.001)
    provider, asked = Provider(), job()
    notes = Notes(asked)
    provider.gate.clear()
    backfills = poller(provider, notes)
    await backfills.own(ALL, 4)
    await until(lambda: len(notes.history) > 5)
    provider.gate.set()
    await ended(notes, asked)
    count = len(notes.history)
    await asyncio.sleep(0.02)
    assert len(notes.history) == count, "nothing is said after the last word"
    await backfills.close()
    assert {one.state for one in notes.history[:-1] if isinstance(one, Job)} == {"running"}
