"""Requests that wait for a read: which is next, which is replaced, which has no room."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.fetches import FetchRead
from stream.poller.on_demand import dispatcher as module
from stream.poller.pages.paged_read import ReadResult
from tests.poller.asked import TWILIO, fetch
from tests.poller.on_demand.dispatcher_fakes import FOUND, DispatcherFixture, settled


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> DispatcherFixture:
    """None is read; there is room for 16."""
    monkeypatch.setattr(module, "READS_FOR_EACH_SLOT", 0)
    monkeypatch.setattr(module, "ROOM", 16)
    return DispatcherFixture()


def waiting(one: DispatcherFixture) -> list[tuple[str, int]]:
    """(call, attempt) of what waits, the most urgent first."""
    lanes = one.dispatcher._lanes[one.accounts[0]]
    return [
        (one.request.key.partition(":")[2], one.request.attempt)
        for name in module.PRIORITIES
        for (priority, _), lane in lanes.items()
        if priority == name
        for one in lane.waiting.values()
    ]


async def test_a_newer_request_for_the_same_takes_the_place_of_the_older_one(
    queued: DispatcherFixture,
) -> None:
    queued.submit(fetch(1), fetch(2), fetch(1, attempt=2))
    assert (waiting(queued), queued.topic.written, queued.offsets.undone) == ([("CA1", 2), ("CA2", 1)], [], 2)


async def test_an_older_attempt_that_comes_again_after_a_crash_does_not_replace_the_newer(
    queued: DispatcherFixture,
) -> None:
    queued.submit(fetch(1, attempt=2), fetch(1, attempt=1), fetch(1, attempt=1, priority="heal"))
    assert (waiting(queued), queued.topic.written, queued.offsets.undone) == ([("CA1", 2)], [], 1)


async def test_the_more_urgent_of_an_older_and_a_newer_request_decides(queued: DispatcherFixture) -> None:
    queued.submit(fetch(1, priority="heal"), fetch(2, priority="backfill"), fetch(3, priority="heal"))
    queued.submit(fetch(1, attempt=2, priority="freshness"), fetch(2, attempt=2, priority="heal"))
    assert waiting(queued) == [("CA1", 2), ("CA3", 1), ("CA2", 2)]


async def test_every_priority_keeps_a_part_of_the_room_however_many_there_are_to_heal(
    queued: DispatcherFixture,
) -> None:
    queued.submit(*(fetch(number, priority="backfill") for number in range(3)))
    queued.submit(fetch(3, priority="freshness"))
    queued.submit(*(fetch(number, priority="heal") for number in range(10, 40)))
    await settled()
    deferred = {"CA2", *(f"CA{number}" for number in range(23, 40))}
    assert queued.topic.outcomes() == dict.fromkeys(deferred, "deferred")
    queued.submit(*(fetch(number) for number in (50, 51, 52)))
    await settled()
    assert set(queued.topic.outcomes()) - deferred == {"CA22", "CA21", "CA52"}
    counts = {"heal": 11, "terminal": 2, "freshness": 1, "backfill": 2}
    assert queued.dispatcher.waiting(queued.accounts[0]) == counts


async def test_a_newer_request_for_the_same_needs_no_room(queued: DispatcherFixture) -> None:
    queued.submit(*(fetch(number) for number in range(16)), fetch(3, attempt=2), fetch(99))
    await settled()
    assert queued.topic.outcomes() == {"CA99": "deferred"}


async def test_reads_of_a_source_that_must_wait_long_do_not_hold_up_other_sources_of_their_priority() -> None:
    """As after a 503 with a `Retry-After` of minutes."""
    one = DispatcherFixture(replace(TWILIO, concurrency=1), open_=False)

    async def read(request: object, read: FetchRead, account: object, limiter: object) -> ReadResult:
        if read.source == "twilio_call_summary":
            await one.reads.door.wait()
        return FOUND

    one.dispatcher._read = read
    one.submit(*(fetch(number, source="twilio_call_summary") for number in range(9)))
    await settled()
    one.submit(fetch(10))
    await settled()
    assert one.topic.outcomes() == {"CA10": "success"}
    await one.dispatcher.stop(1)


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from(module.PRIORITIES), st.integers(1, 3)), max_size=40
    ),
    st.sampled_from((1, 2, 3, 4, 8)),
)
async def test_no_request_is_lost_none_waits_twice_and_the_room_is_kept(
    requests: list[tuple[int, str, int]], room: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "READS_FOR_EACH_SLOT", 0)
        patched.setattr(module, "ROOM", room)
        one = DispatcherFixture()
        for number, priority, attempt in requests:
            one.submit(fetch(number, priority=priority, attempt=attempt))
            assert len(waiting(one)) <= room
        await settled()
    calls = [call for call, _ in waiting(one)]
    assert len(set(calls)) == len(calls)
    assert one.offsets.undone == one.dispatcher.unfinished == len(calls)
    assert {f"CA{number}" for number, *_ in requests} == {*calls, *one.topic.outcomes()}
