"""Requests are read within the account's slots and answered, whatever happens to a read."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from stream.core.fetches import FetchRequest
from stream.core.timestamps import instant
from stream.poller.limiter.assignor import Place
from stream.poller.on_demand import dispatcher as module
from stream.poller.on_demand.dispatcher import FetchDispatcher
from stream.poller.on_demand.fetch_consumer import UNFINISHED
from stream.poller.on_demand.offsets import Offsets
from stream.poller.on_demand.pending_requests import ROOM, PendingRequest
from stream.poller.resources.account import Account
from tests.poller.asked import TELNYX, TWILIO, fetch
from tests.poller.on_demand.dispatcher_fakes import OpenLimiter, Polled, Provider, RecentRows, settled

ALONE = Place(0, 1)


class Shop:
    """A serving with everything around it."""

    def __init__(self, *accounts: Account, open_: bool = True, room: int = 100) -> None:
        self.limiters = {account: OpenLimiter() for account in accounts or (TWILIO,)}
        self.provider, self.polled, self.metrics = Provider(open_=open_), Polled(), RecentRows()
        self.offsets, self.next, self.now_us = Offsets(), 0, 0
        self.serving = FetchDispatcher(
            list(self.limiters),
            limiter_of=self.limiters.__getitem__,
            read=self.provider.read,
            land_result=self.polled.land,
            metrics=self.metrics,
            now_us=lambda: self.now_us,
            room=room,
            stale_s=7200,
        )

    def ask(self, *requests: FetchRequest) -> None:
        for request in requests:
            self.offsets.take(self.next)
            self.serving.serve(PendingRequest(request, self.offsets, self.next))
            self.next += 1

    def state(self) -> tuple[int, dict[str, int], dict[str, int]]:
        """Undone offsets, what is pending, and what metrics were told of it."""
        assert self.serving.unfinished == sum(self.serving.pending().values())
        told = {source: count for source, count in self.metrics.now_pending.items() if count}
        return self.offsets.undone, self.serving.pending(), told


DONE: tuple[int, dict[str, int], dict[str, int]] = (0, {}, {})


async def test_a_request_is_read_with_its_account_and_done_when_its_result_has_landed() -> None:
    shop = Shop(TWILIO, TELNYX)
    shop.serving.begin(ALONE)
    shop.polled.open.clear()
    shop.ask(fetch(1), fetch(key="telnyx:2", account=None, source="telnyx_call_event"))
    await settled()
    waiting = {"twilio_call": 1, "telnyx_call_event": 1}
    assert (shop.provider.accounts, shop.state()) == ([TWILIO, TELNYX], (2, waiting, waiting))
    shop.polled.open.set()
    await settled()
    assert shop.state() == DONE
    assert [key for key, _ in shop.polled.landed] == [b"twilio:CA1", b"telnyx:2"]
    assert shop.polled.landed[0][1] == {
        "fetch_id": fetch(1).id,
        "key": "twilio:CA1",
        "source": "twilio_call",
        "edge": None,
        "reason": "ended",
        "attempt": 1,
        "outcome": "success",
        "rows": 1,
        "complete": True,
        "content": "0123456789abcdef",
    }


async def test_nothing_is_read_before_a_place_is_known_and_then_only_its_share_at_once() -> None:
    shop = Shop(open_=False)
    shop.ask(*(fetch(number) for number in range(9)))
    await settled()
    assert shop.provider.began == []
    shop.serving.begin(Place(1, 3))  # of the slots 0 to 3 the one with i % 3 == 1
    await settled()
    assert shop.provider.in_flight == 1
    await shop.serving.stop(1)

    shop = Shop(open_=False)
    shop.ask(*(fetch(number) for number in range(9)))
    shop.serving.begin(ALONE)
    await settled()
    assert shop.provider.in_flight == TWILIO.concurrency
    shop.provider.door.set()
    await settled()
    assert (shop.provider.most_in_flight, shop.state(), len(shop.polled.landed)) == (4, DONE, 9)


async def test_to_heal_needs_no_slot_of_those_that_are_less_urgent() -> None:
    shop = Shop(open_=False)
    shop.serving.begin(ALONE)
    shop.ask(*(fetch(number, priority="backfill") for number in range(10)))
    shop.ask(*(fetch(number, priority="heal") for number in range(10, 20)))
    await settled()
    assert shop.provider.calls() == [f"CA{number}" for number in (0, 1, 2, 3, 10, 11, 12, 13)]
    shop.provider.door.set()
    await settled()
    assert (shop.state(), len(shop.polled.landed)) == (DONE, 20)


async def test_what_no_read_would_mend_is_answered_at_once() -> None:
    shop = Shop(TWILIO, room=1, open_=False)
    shop.ask(fetch(1, account="AC9"), fetch(2), fetch(3), fetch(4, priority="heal"))
    await settled()
    assert shop.polled.outcomes() == {"CA1": "no_account", "CA3": "deferred", "CA2": "deferred"}
    assert shop.state() == (1, {"twilio_call": 1}, {"twilio_call": 1})
    shop.limiters[TWILIO].closed = True
    shop.serving.begin(ALONE)
    await settled()
    assert (shop.polled.outcomes()["CA4"], shop.provider.began, shop.state()) == ("auth_error", [], DONE)


async def test_an_older_request_for_the_same_is_done_without_a_read_or_a_result() -> None:
    shop = Shop()
    shop.ask(fetch(1, attempt=1), fetch(2), fetch(1, attempt=2))
    assert shop.state() == (2, {"twilio_call": 2}, {"twilio_call": 2})
    shop.serving.begin(ALONE)
    await settled()
    assert [body["attempt"] for _, body in shop.polled.landed] == [2, 1]
    assert (shop.polled.outcomes(), shop.state()) == ({"CA1": "success", "CA2": "success"}, DONE)


async def test_a_read_that_breaks_is_rubbish_and_said_once_without_what_it_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop()
    shop.provider.trouble = {
        "twilio:CA1": ValueError("+15005550001"),
        "twilio:CA2": ValueError("+15005550002"),
        "twilio:CA3": asyncio.CancelledError(),
    }
    shop.serving.begin(ALONE)
    with caplog.at_level(logging.INFO):
        shop.ask(fetch(1), fetch(2), fetch(3), fetch(4))
        await settled()
    outcomes = {"CA1": "rubbish", "CA2": "rubbish", "CA3": "rubbish", "CA4": "success"}
    assert (shop.polled.outcomes(), shop.state()) == (outcomes, DONE)
    said = [record.getMessage().partition(" at dispatcher_fakes.py:")[0] for record in caplog.records]
    assert said == ["a read of twilio_call failed: ValueError", "a read of twilio_call cancelled itself"]
    assert "1500555" not in caplog.text


async def test_a_result_that_does_not_land_is_landed_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    shop = Shop()
    shop.polled.fail_next = 5
    shop.serving.begin(ALONE)
    shop.ask(fetch(1), fetch(2, account=None))
    await settled()
    assert (shop.polled.outcomes(), shop.state()) == ({"CA1": "success", "CA2": "no_account"}, DONE)
    assert len(caplog.records) == 1
    assert "1500555" not in caplog.text


async def test_a_stop_ends_reads_lets_results_land_and_leaves_the_rest_undone() -> None:
    shop = Shop(open_=False)
    shop.serving.begin(ALONE)
    shop.ask(fetch(0))
    shop.polled.open.clear()
    shop.provider.door.set()
    await settled()  # the result of 0 is on its way
    shop.provider.door.clear()
    shop.ask(*(fetch(number) for number in range(1, 9)))
    await settled()
    stopping = asyncio.create_task(shop.serving.stop(5))
    await settled()
    assert (shop.provider.in_flight, stopping.done()) == (0, False)
    shop.polled.open.set()
    await stopping
    assert (shop.polled.outcomes(), shop.offsets.position()) == ({"CA0": "success"}, 1)
    assert (shop.state(), shop.limiters[TWILIO].waited) == ((8, {}, {}), 1)
    shop.provider.door.set()
    await settled()
    shop.ask(fetch(9))
    await settled()
    assert len(shop.provider.began) == 4, "nothing more is read after the stop"
    shop.serving.begin(ALONE)
    await settled()
    assert shop.polled.outcomes() == {"CA0": "success", "CA9": "success"}


async def test_a_stop_does_not_wait_for_ever_for_a_result_to_land() -> None:
    shop = Shop()
    shop.polled.open.clear()
    shop.serving.begin(ALONE)
    shop.ask(fetch(1), *(fetch(number, account=None) for number in range(2, 200)))
    await settled()
    await shop.serving.stop(0.05)
    await settled()
    assert (shop.polled.landed, shop.state()) == ([], (199, {}, {}))


async def test_a_read_that_does_not_end_is_left_behind_and_speaks_for_nothing() -> None:
    shop = Shop()
    late = asyncio.Event()

    async def deaf(request: FetchRequest, account: Account) -> Any:
        while not late.is_set():
            try:
                await late.wait()
            except asyncio.CancelledError:
                continue
        raise asyncio.CancelledError

    shop.serving._read = deaf
    shop.serving.begin(ALONE)
    shop.ask(fetch(1))
    await settled()
    await shop.serving.stop(0.05)
    assert shop.offsets.position() == 0
    late.set()
    await settled()
    assert (shop.polled.landed, shop.state()) == ([], (1, {}, {}))


async def test_what_is_no_request_is_buried_and_then_done() -> None:
    shop = Shop()
    buried: list[bytes] = []
    done: list[bytes] = []
    first = asyncio.Event()

    async def bury() -> None:
        await first.wait()
        buried.append(b"x")

    shop.serving.bury(bury, lambda: done.append(b"x"))
    await settled()
    assert (shop.serving.unfinished, buried, done) == (1, [], [])
    first.set()
    await settled()
    assert (shop.serving.unfinished, buried, done) == (0, [b"x"], [b"x"])


async def test_ten_thousand_answers_are_on_their_way_only_so_many_at_once() -> None:
    shop = Shop(room=1)
    shop.polled.open.clear()
    shop.ask(*(fetch(number, account=None) for number in range(10_000)))
    await settled()
    assert len(asyncio.all_tasks()) <= module.LANDINGS + 1
    shop.polled.open.set()
    while shop.serving.unfinished:
        await settled()
    assert (len(shop.polled.landed), shop.state()) == (10_000, DONE)


def test_as_many_pollers_have_a_share_as_the_smallest_account_can_be_dealt_out_to() -> None:
    def most(*accounts: Account) -> int:
        return FetchDispatcher(
            accounts,
            limiter_of=lambda _: OpenLimiter(),
            read=None,  # type: ignore[arg-type]
            land_result=None,  # type: ignore[arg-type]
            metrics=RecentRows(),
            now_us=lambda: 0,
        ).most

    assert (most(TWILIO, TELNYX), most(TELNYX), most()) == (4, 5, 1)
    assert [most(TWILIO, replace(TELNYX, rate=rate)) for rate in (3.5, 0.5)] == [3, 1]


async def test_what_has_been_due_for_too_long_is_put_off_without_a_read() -> None:
    shop = Shop()
    shop.serving.begin(ALONE)
    due_us = instant(fetch().due_at)
    assert due_us is not None
    shop.now_us = due_us + 7_200_000_000
    shop.ask(fetch(1))
    shop.now_us += 1
    shop.ask(fetch(2))
    await settled()
    assert shop.provider.calls() == ["CA1"]
    assert shop.polled.outcomes() == {"CA1": "success", "CA2": "deferred"}
    assert shop.state() == DONE


async def test_accounts_that_are_not_answered_leave_room_for_requests_for_those_that_are() -> None:
    silent = [replace(TWILIO, id=f"AC{number}") for number in range(4)]
    shop = Shop(*silent, TELNYX, open_=False, room=ROOM)
    shop.serving.begin(ALONE)
    for number in range(4 * ROOM + 100):
        shop.ask(fetch(number, account=silent[number % 4].id))
        if number % 100 == 0:
            await settled()
    await settled()
    assert shop.serving.unfinished < UNFINISHED
    assert shop.serving.unfinished > UNFINISHED / 2
    await shop.serving.stop(1)
