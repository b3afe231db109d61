"""A call with more events than can be remembered: dead letters, restarts, errors, its end."""

from __future__ import annotations

from typing import Any

import pytest

import agents.call_folder
import stream.core.call.state
from stream.core.call.identity_pages import is_page
from stream.core.call.state import load
from tests.agents.batches import KEY, TOPICS, Fetched, Lane, a_tick, record, records, to
from tests.core.deliveries import Delivery, answered_call, callback, insight


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.core.call.state, "SEEN_INLINE", 10)
    monkeypatch.setattr(stream.core.call.state, "SEEN_CAP", 40)


def logs(count: int, first: int = 0) -> list[Delivery]:
    return [insight(f"n{number}", 2) for number in range(first, first + count)]


def pages(lane: Lane) -> dict[bytes, bytes]:
    return {key: page for key, page in lane.states.items() if is_page(key)}


def test_what_is_beyond_the_memory_is_a_dead_letter_with_its_bytes_each_time_it_comes() -> None:
    lane = Lane()
    lane.run(records([*answered_call(), *logs(40)]))
    over = logs(1, first=40)[0]
    for restart in (False, True):
        if restart:
            lane = Lane(states=lane.states)
        some = lane.run([record(over, 77)])
        (letter,) = to(TOPICS.dead_letters, some)
        assert to(TOPICS.events, some) == []
        assert (letter.output.key, letter.output.value) == (KEY, over.value)
        headers = dict(letter.output.headers)
        assert (headers["reason"], headers["stage"]) == (b"too_many_events", b"fold")
        source = "twilio_insights_event"
        assert lane.counted("events_processed_total", source=source, result="dead_lettered") == 1
        assert lane.counted("dead_letters_total", source=source, reason="too_many_events") == 1


@pytest.mark.parametrize("size", [1, 7, 100])
def test_no_event_of_a_call_comes_out_twice_over_restarts_and_in_any_batches(size: int) -> None:
    lane, said = Lane(), records([*logs(30), *answered_call(), *logs(30)])
    ids = []
    for start in range(0, len(said), size):
        lane = Lane(states=lane.states)
        ids += [one.json["id"] for one in to(TOPICS.events, lane.run(said[start : start + size]))]
    assert len(ids) == len(set(ids)) == 34
    whole = Lane()
    whole.run(said)
    assert whole.states == lane.states
    assert len(pages(lane)) > 1


def test_pages_are_not_calls() -> None:
    lane = Lane()
    lane.run(records([*answered_call(), *logs(30)]))
    assert len(lane.states) > 10
    again = Lane(states=lane.states)
    assert again.due == lane.due == [(load(lane.states[KEY]).due_s, KEY)]
    assert again.counted("due_calls") == 1
    assert again.counted("processing_errors_total", agent="ticks", error="DecodeError") == 0


def test_pages_leave_the_table_with_their_call_and_a_later_one_begins_without() -> None:
    lane = Lane()
    lane.run(records([*answered_call(), *logs(30)]))
    again = record(logs(1)[0], 99)
    some = lane.run([a_tick(9000, 1), again])
    assert len(to(TOPICS.events, some)) == 1
    assert list(lane.states) == [KEY]


@pytest.mark.parametrize("broken", ["fold", "tick"])
@pytest.mark.parametrize("size", [1, 3, 50])
def test_an_error_of_our_own_leaves_the_pages_as_if_nothing_had_come(
    monkeypatch: pytest.MonkeyPatch, broken: str, size: int
) -> None:
    right = getattr(agents.call_folder, broken)

    def fails_half_way(call: Any, *rest: Any) -> Any:
        done = right(call, *rest)
        if broken == "tick" or "Cursed" in rest[0][0].event.attributes:
            raise ZeroDivisionError
        return done

    good = records([*answered_call(), *logs(30)])
    clean = Lane()
    clean.run(good)
    monkeypatch.setattr(agents.call_folder, broken, fails_half_way)
    cursed: list[Fetched] = [a_tick(9000, 1)]
    if broken == "fold":
        body = callback("ringing", "1", 1, Cursed="yes").envelope.body
        cursed = [record(insight("cursed", 3, Cursed=body), 500 + n) for n in range(2)]
    mix = [*good[:20], *cursed, *good[20:], *cursed]
    lane = Lane(errors_limit=100)
    for start in range(0, len(mix), size):
        lane.run(mix[start : start + size])
    assert lane.states == clean.states
