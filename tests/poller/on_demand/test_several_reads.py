"""A request with several reads: each waits and is made on its own, and one result says what they came to."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from stream.core.fetches import FetchRead
from stream.poller.on_demand import dispatcher as module
from stream.poller.pages.paged_read import ReadResult
from tests.poller.asked import TWILIO, fetch
from tests.poller.on_demand.dispatcher_fakes import FOUND, DispatcherFixture, settled

DONE: tuple[int, dict[str, int], dict[str, int]] = (0, {}, {})

SEVERAL = [
    FetchRead("twilio_call", None),
    FetchRead("twilio_call_summary", None),
    FetchRead("twilio_insights_event", "sip_edge"),
]


async def test_several_reads_of_a_request_have_one_result_behind_the_rows_of_the_last() -> None:
    one = DispatcherFixture(replace(TWILIO, concurrency=1), open_=False)
    one.submit(fetch(1, reads=SEVERAL, priority="heal"), fetch(2))
    await settled()
    assert (one.topic.written, one.offsets.position()) == ([], 0)
    one.reads.door.set()
    await settled()
    (said,) = (body["reads"] for key, body in one.topic.written if key == b"twilio:CA1")
    found = {"outcome": "success", "rows": 1, "complete": True, "content": FOUND.content}
    assert said == [{"source": read.source, "edge": read.edge, **found} for read in SEVERAL]
    assert len(one.topic.written) == 2
    assert one.state() == DONE


async def test_a_read_that_fails_costs_the_others_of_its_request_nothing() -> None:
    one = DispatcherFixture()

    async def read(_: object, read: FetchRead, *__: object) -> ReadResult:
        if read.source == "twilio_call_summary":
            raise ValueError
        return FOUND

    one.dispatcher._read = read
    one.submit(fetch(1, reads=SEVERAL))
    await settled()
    ((_, body),) = one.topic.written
    assert {read["source"]: read["outcome"] for read in body["reads"]} == {
        "twilio_call": "success",
        "twilio_call_summary": "rubbish",
        "twilio_insights_event": "success",
    }
    assert one.state() == DONE


async def test_a_request_with_a_read_that_was_stopped_is_not_done_whatever_the_others_came_to() -> None:
    one = DispatcherFixture()
    never = asyncio.Event()

    async def read(_: object, read: FetchRead, *__: object) -> ReadResult:
        if read.source == "twilio_call_summary":
            await never.wait()
        return FOUND

    one.dispatcher._read = read
    one.submit(fetch(1, reads=SEVERAL))
    await settled()
    assert one.dispatcher.pending() == {"twilio_call_summary": 1}
    await one.dispatcher.stop(1)
    await settled()
    assert (one.topic.written, one.state()) == ([], (1, {}, {}))


async def test_a_request_is_not_done_before_its_result_is_written_also_if_all_its_reads_end_at_once() -> None:
    one = DispatcherFixture()
    one.topic.open.clear()
    one.submit(fetch(1, reads=SEVERAL))
    await settled()
    assert (one.dispatcher.unfinished, one.offsets.undone) == (1, 1)
    one.topic.open.set()
    await settled()
    assert (len(one.topic.written), one.state()) == (1, DONE)


async def test_a_newer_request_takes_over_a_read_of_an_older_one_which_answers_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = DispatcherFixture()
    with monkeypatch.context() as nothing_is_read:
        nothing_is_read.setattr(module, "READS_FOR_EACH_SLOT", 0)
        one.submit(fetch(1, reads=SEVERAL), fetch(1, reads=SEVERAL[:1], attempt=2))
        one.submit(fetch(2), fetch(2, attempt=2))
    assert one.offsets.undone == 3
    one.submit(fetch(3, reads=SEVERAL))
    await settled()
    assert {
        (body["key"], body["attempt"]): [read["source"] for read in body["reads"]]
        for _, body in one.topic.written
    } == {
        ("twilio:CA1", 1): ["twilio_call_summary", "twilio_insights_event"],
        ("twilio:CA1", 2): ["twilio_call"],
        ("twilio:CA2", 2): ["twilio_call"],
        ("twilio:CA3", 1): [read.source for read in SEVERAL],
    }
    assert one.state() == DONE


async def test_each_read_of_an_ended_call_is_as_urgent_as_its_source_and_not_more_than_its_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "READS_FOR_EACH_SLOT", 0)
    one = DispatcherFixture()
    one.submit(fetch(1, reads=SEVERAL, priority="heal"), fetch(2, reads=SEVERAL, priority="backfill"))
    one.submit(fetch(3, key="twilio:CA3", reason="overdue", priority="heal"))
    waiting = one.dispatcher.waiting(one.accounts[0])
    assert [waiting[priority] for priority in ("heal", "terminal", "backfill")] == [2, 2, 3]
