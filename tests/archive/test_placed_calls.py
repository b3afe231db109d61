"""Many calls at once with their records and events, from a place in their order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from stream.archive import placed_calls
from stream.archive.questions import CallFilter, PlacedCalls, StoredCall
from stream.archive.reader import Archive
from tests.archive.kept import Keeper, replayed

TRACES = ("amd", "busy", "child-legs", "gap-expired", "spam-block", "texml-and-leg")


@pytest.fixture
def archive(kept: tuple[Keeper, Archive]) -> Archive:
    keeper, archive = kept
    fill(keeper)
    return archive


def fill(keeper: Keeper) -> None:
    for trace in TRACES:
        keeper.keep(replayed(trace))


def keys(page: PlacedCalls) -> list[str]:
    return [one.call.key for one in page.items]


def test_each_call_comes_with_what_is_told_of_it_alone(archive: Archive) -> None:
    page = archive.placed_calls(CallFilter(), 100)
    assert keys(page) == [one.key for one in archive.calls(CallFilter(), 100).items]
    for one in page.items:
        alone = archive.call(one.call.key)
        assert alone is not None
        assert (one.call.record, one.events) == (alone.record, alone.events)
    assert not page.cut


def test_a_walk_on_and_back_meets_each_call_once(archive: Archive) -> None:
    everything = archive.placed_calls(CallFilter(), 100).items
    walked, place = [], None
    while page := archive.placed_calls(CallFilter(), 2, place=place).items:
        walked += page
        place = page[-1].place
    assert walked == everything
    back, place = [], everything[-1].place
    while page := archive.placed_calls(CallFilter(), 2, place=place, newer=True).items:
        back += page
        place = page[-1].place
    assert back == everything[:-1][::-1]


def test_of_one_source_only_its_events_come_and_all_of_a_call_that_goes_on(archive: Archive) -> None:
    ended = archive.placed_calls(CallFilter(), 100, source="twilio_status_callback").items
    assert {event["source"] for one in ended for event in one.events} == {"twilio_status_callback"}


def test_all_events_of_a_call_that_goes_on_come(kept: tuple[Keeper, Archive]) -> None:
    keeper, archive = kept
    keeper.keep([one for one in replayed("busy") if one[0] == "events"][:1])
    assert [len(one.events) for one in archive.placed_calls(CallFilter(), 9, source="none").items] == [1]


def test_a_parent_s_calls_and_a_session_s_are_found(archive: Archive) -> None:
    children = [one.call for one in archive.placed_calls(CallFilter(), 100).items if one.call.parent_call_id]
    assert children
    for child in children:
        found = archive.placed_calls(CallFilter(parent_call_id=child.parent_call_id), 100)
        assert child.key in keys(found)
        assert {one.call.parent_call_id for one in found.items} == {child.parent_call_id}
    sessions = {
        one.call.session_id for one in archive.placed_calls(CallFilter(), 100).items if one.call.session_id
    }
    assert sessions
    for session in sessions:
        found = archive.placed_calls(CallFilter(session_id=session), 100)
        assert {one.call.session_id for one in found.items} == {session}


def test_too_many_events_are_cut_and_that_is_told(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placed_calls, "MOST_LISTED_EVENTS", 5)
    page = archive.placed_calls(CallFilter(), 100)
    assert sum(len(one.events) for one in page.items) == 5
    assert page.cut


def test_nothing_of_another_account_comes(archive: Archive) -> None:
    assert archive.placed_calls(CallFilter(accounts=frozenset({"AC-other"})), 100).items == []


def test_calls_are_found_by_their_end_and_by_when_they_can_have_begun(archive: Archive) -> None:
    calls = [one.call for one in archive.placed_calls(CallFilter(), 100).items]
    ends = sorted(datetime.fromisoformat(one.ended_at) for one in calls if one.ended_at)
    middle = ends[len(ends) // 2]

    def found(**wanted: datetime) -> set[str]:
        return set(keys(archive.placed_calls(CallFilter(**wanted), 100)))

    def of(shows: Callable[[StoredCall], bool]) -> set[str]:
        return {one.key for one in calls if shows(one)}

    def end(one: StoredCall) -> datetime | None:
        return None if one.ended_at is None else datetime.fromisoformat(one.ended_at)

    assert found(ended_since=middle) == of(lambda one: (end(one) or middle) >= middle)
    assert found(ended_until=middle) == of(lambda one: one.ended_at is None or (end(one) or middle) < middle)
    assert found(ended_since=middle) != found(ended_until=middle)

    def began(one: StoredCall) -> datetime:
        start = datetime.fromisoformat(one.started_at)
        return min(start, (end(one) or start) - timedelta(seconds=one.duration_s or 0))

    for wanted in sorted(map(began, calls)):
        assert found(began_until=wanted) == {one.key for one in calls if began(one) < wanted}
