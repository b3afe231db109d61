"""Requests are read within the account's limits and answered, whatever happens to a read."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from stream.core.timestamps import instant
from stream.poller.on_demand import dispatcher as module
from stream.poller.on_demand.fetch_consumer import UNFINISHED
from tests.poller.asked import TELNYX, TWILIO, fetch
from tests.poller.on_demand.dispatcher_fakes import DispatcherFixture, settled

CALL_READ = {
    "source": "twilio_call",
    "edge": None,
    "outcome": "success",
    "rows": 1,
    "complete": True,
    "content": "0123456789abcdef",
}
DONE: tuple[int, dict[str, int], dict[str, int]] = (0, {}, {})


async def test_a_request_is_read_with_its_account_and_done_when_its_result_is_in_kafka() -> None:
    one = DispatcherFixture(TWILIO, TELNYX)
    one.topic.open.clear()
    one.submit(fetch(1), fetch(key="telnyx:2", account=None, source="telnyx_call_event"))
    await settled()
    waiting = {"twilio_call": 1, "telnyx_call_event": 1}
    assert (one.reads.accounts, one.state()) == (one.accounts, (2, waiting, waiting))
    one.topic.open.set()
    await settled()
    assert one.state() == DONE
    assert [key for key, _ in one.topic.written] == [b"twilio:CA1", b"telnyx:2"]
    assert one.topic.written[0][1] == {
        "fetch_id": fetch(1).id,
        "key": "twilio:CA1",
        "reason": "ended",
        "attempt": 1,
        "reads": [CALL_READ],
    }


async def test_nothing_is_read_before_the_account_is_owned_and_then_as_much_at_once_as_it_allows() -> None:
    one = DispatcherFixture(open_=False, owned=False)
    one.submit(*(fetch(number) for number in range(9)))
    await settled()
    assert one.reads.began == []
    one.own()
    await settled()
    assert one.reads.in_flight == TWILIO.concurrency
    one.reads.door.set()
    await settled()
    assert (one.reads.most_in_flight, one.state(), len(one.topic.written)) == (4, DONE, 9)


async def test_heal_requests_go_before_a_backlog_and_the_backlog_still_gets_its_eighth() -> None:
    one = DispatcherFixture(open_=False)
    one.submit(*(fetch(number, priority="backfill") for number in range(10)))
    one.submit(*(fetch(number, priority="heal") for number in range(10, 20)))
    await settled()
    one.reads.door.set()
    await settled()
    order = [0, 1, 2, 3, *range(10, 18), 4, 18, 19, *range(5, 10)]
    assert one.reads.calls() == [f"CA{number}" for number in order]
    assert (one.state(), len(one.topic.written)) == (DONE, 20)


async def test_reads_whose_results_are_not_written_hold_up_new_ones_of_their_priority_alone() -> None:
    one = DispatcherFixture()
    one.topic.open.clear()
    one.submit(*(fetch(number) for number in range(50)))
    await settled()
    most = TWILIO.concurrency * module.READS_FOR_EACH_SLOT
    assert (len(one.reads.began), one.reads.in_flight) == (most, 0)
    one.submit(fetch(90, priority="heal"))
    await settled()
    assert one.reads.calls()[-1] == "CA90"
    one.topic.open.set()
    while one.dispatcher.unfinished:
        await settled()
    assert (one.state(), len(one.topic.written)) == (DONE, 51)


async def test_a_request_without_an_account_is_answered_at_once() -> None:
    one = DispatcherFixture(owned=False)
    one.submit(fetch(1, account="AC9"), fetch(2))
    await settled()
    assert one.topic.outcomes() == {"CA1": "no_account"}
    assert one.state() == (1, {"twilio_call": 1}, {"twilio_call": 1})


async def test_a_request_that_finds_no_room_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOM_OF_ALL", 1)
    monkeypatch.setattr(module, "READS_FOR_EACH_SLOT", 0)
    one = DispatcherFixture(owned=False)
    one.submit(fetch(2), fetch(3), fetch(4, priority="heal"))
    await settled()
    assert one.topic.outcomes() == {"CA3": "deferred", "CA2": "deferred"}
    assert one.state() == (1, {"twilio_call": 1}, {"twilio_call": 1})


async def test_requests_of_an_account_that_is_closed_for_long_are_answered_and_hold_nobody_up() -> None:
    """Whether its credentials are refused or a 429 named an hour: others share its partition's offsets."""
    one = DispatcherFixture(TWILIO, TELNYX)
    for account, outcome, retry_after_s in zip(
        one.accounts, ("auth_error", "throttled"), (None, 3600.0), strict=True
    ):
        async with one.limiters.of(account).permit("heal", "x") as permit:
            permit.answered(outcome, retry_after_s)
    one.submit(fetch(1), fetch(key="telnyx:2", account=None, source="telnyx_call_event"))
    await settled()
    assert one.topic.outcomes() == {"CA1": "auth_error", "2": "throttled"}
    assert (one.reads.began, one.state()) == ([], DONE)


async def test_another_source_edge_or_reason_is_another_request() -> None:
    one = DispatcherFixture()
    one.submit(
        fetch(1),
        fetch(1, source="twilio_call_event"),
        fetch(1, source="twilio_insights_event"),
        fetch(1, source="twilio_insights_event", edge="carrier_edge"),
        fetch(1, reason="overdue"),
    )
    await settled()
    assert (len(one.topic.written), one.state()) == (5, DONE)


async def test_a_read_that_fails_is_rubbish_and_logged_once_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = DispatcherFixture()
    one.reads.trouble = {
        "twilio:CA1": ValueError("+15005550001"),
        "twilio:CA2": ValueError("+15005550002"),
        "twilio:CA3": asyncio.CancelledError(),
    }
    with caplog.at_level(logging.INFO):
        one.submit(fetch(1), fetch(2), fetch(3), fetch(4))
        await settled()
    outcomes = {"CA1": "rubbish", "CA2": "rubbish", "CA3": "rubbish", "CA4": "success"}
    assert (one.topic.outcomes(), one.state()) == (outcomes, DONE)
    said = [record.getMessage().partition(" at dispatcher_fakes.py:")[0] for record in caplog.records]
    assert said == ["a read of twilio_call failed: ValueError", "a read of twilio_call cancelled itself"]
    assert "1500555" not in caplog.text


async def test_a_result_that_is_not_written_is_written_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    one = DispatcherFixture()
    one.topic.fail_next = 5
    one.submit(fetch(1), fetch(2, account=None))
    await settled()
    assert (one.topic.outcomes(), one.state()) == ({"CA1": "success", "CA2": "no_account"}, DONE)
    assert len(caplog.records) == 1
    assert "1500555" not in caplog.text


async def test_a_stop_cancels_reads_lets_results_be_written_and_leaves_the_rest_undone() -> None:
    one = DispatcherFixture(open_=False)
    one.submit(fetch(0))
    one.topic.open.clear()
    one.reads.door.set()
    await settled()  # the result of 0 is on its way
    one.reads.door.clear()
    one.submit(*(fetch(number) for number in range(1, 9)))
    await settled()
    stopping = asyncio.create_task(one.dispatcher.stop(5))
    for limiter in one.limiters:
        limiter.disown()
    await settled()
    assert (one.reads.in_flight, stopping.done()) == (0, False)
    one.topic.open.set()
    await stopping
    assert (one.topic.outcomes(), one.offsets.position()) == ({"CA0": "success"}, 1)
    assert one.state() == (8, {}, {})
    one.reads.door.set()
    one.submit(fetch(9))
    await settled()
    assert len(one.reads.began) == 5, "nothing more is read after the stop"
    one.own()
    await settled()
    assert one.topic.outcomes() == {"CA0": "success", "CA9": "success"}


async def test_a_stop_does_not_wait_for_ever_for_a_result_to_be_written() -> None:
    one = DispatcherFixture()
    one.topic.open.clear()
    one.submit(fetch(1), *(fetch(number, account=None) for number in range(2, 200)))
    await settled()
    await one.dispatcher.stop(0.05)
    await settled()
    assert (one.topic.written, one.state()) == ([], (199, {}, {}))


async def test_a_read_that_does_not_end_is_left_behind_and_answers_nothing() -> None:
    one = DispatcherFixture()
    late = asyncio.Event()

    async def deaf(*_: object) -> Any:
        while not late.is_set():
            try:
                await late.wait()
            except asyncio.CancelledError:
                continue
        raise asyncio.CancelledError

    one.dispatcher._read = deaf
    one.submit(fetch(1))
    await settled()
    await one.dispatcher.stop(0.05)
    assert one.offsets.position() == 0
    late.set()
    await settled()
    assert (one.topic.written, one.state()) == ([], (1, {}, {}))


async def test_a_read_that_is_stopped_before_it_began_leaves_no_permit_behind() -> None:
    one = DispatcherFixture()
    one.submit(fetch(1))
    await one.dispatcher.stop(1)
    await settled()
    assert [limiter.state().in_flight for limiter in one.limiters] == [0]
    assert (one.reads.began, one.state()) == ([], (1, {}, {}))


async def test_a_read_that_sends_nothing_holds_no_permit_while_its_result_is_written() -> None:
    one = DispatcherFixture()
    one.reads.sends = False
    one.topic.open.clear()
    one.submit(fetch(1))
    await settled()
    assert [limiter.state().in_flight for limiter in one.limiters] == [0]
    one.topic.open.set()
    await settled()
    assert one.topic.outcomes() == {"CA1": "success"}


async def test_a_record_that_belongs_elsewhere_is_done_when_it_is_there() -> None:
    one = DispatcherFixture()
    written: list[bytes] = []
    done: list[bytes] = []
    first = asyncio.Event()

    async def write() -> None:
        await first.wait()
        written.append(b"x")

    one.dispatcher.redirect(write, lambda: done.append(b"x"))
    await settled()
    assert (one.dispatcher.unfinished, written, done) == (1, [], [])
    first.set()
    await settled()
    assert (one.dispatcher.unfinished, written, done) == (0, [b"x"], [b"x"])


async def test_of_ten_thousand_answers_only_so_many_are_on_their_way_at_once() -> None:
    one = DispatcherFixture()
    one.topic.open.clear()
    one.submit(*(fetch(number, account=None) for number in range(10_000)))
    await settled()
    assert len(asyncio.all_tasks()) <= module.CONCURRENT_WRITES + 1
    one.topic.open.set()
    while one.dispatcher.unfinished:
        await settled()
    assert (len(one.topic.written), one.state()) == (10_000, DONE)


async def test_a_request_that_has_been_due_for_too_long_is_put_off_without_a_read() -> None:
    one = DispatcherFixture()
    due_us = instant(fetch().due_at)
    assert due_us is not None
    one.now_us = due_us + 7_200_000_000
    one.submit(fetch(1))
    await settled()
    one.now_us += 1
    one.submit(fetch(2))
    await settled()
    assert one.reads.calls() == ["CA1"]
    assert one.topic.outcomes() == {"CA1": "success", "CA2": "deferred"}
    assert one.state() == DONE


async def test_requests_that_waited_until_they_were_due_for_too_long_are_put_off_without_a_read() -> None:
    """Those that wait in their queue, and those whose read has begun and waits for its permit."""
    one = DispatcherFixture(open_=False)
    one.submit(*(fetch(number) for number in range(3 * TWILIO.concurrency)))
    await settled()
    due_us = instant(fetch().due_at)
    assert due_us is not None
    one.now_us = due_us + 7_200_000_001
    one.reads.door.set()
    await settled()
    assert one.state() == DONE
    assert [*one.topic.outcomes().values()] == ["success"] * 4 + ["deferred"] * 8
    assert len(one.reads.began) == TWILIO.concurrency
    assert [limiter.state().in_flight for limiter in one.limiters] == [0]


async def test_accounts_that_do_not_answer_leave_room_for_requests_of_those_that_do() -> None:
    silent = [replace(TWILIO, id=f"AC{number}") for number in range(4)]
    one = DispatcherFixture(*silent, TELNYX, open_=False)
    for number in range(4 * module.ROOM + 100):
        one.submit(fetch(number, account=silent[number % 4].id))
        if number % 100 == 0:
            await settled()
    await settled()
    assert one.dispatcher.unfinished < UNFINISHED
    assert one.dispatcher.unfinished > UNFINISHED / 2
    await one.dispatcher.stop(1)
