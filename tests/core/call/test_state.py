"""The limits of the state, and that merging is a join."""

from __future__ import annotations

from itertools import permutations

import pytest

from stream.core.call.lifecycle import lifecycle_of
from stream.core.call.state import (
    LIFECYCLE_CAP,
    TIMELINE_CAP,
    VALUES_CAP,
    dump,
    load,
    new_call,
)
from stream.core.call.timeline_entry import PROGRESS, TimelineEntry
from stream.core.events import Recording
from tests.core.deliveries import (
    answered_call,
    callback,
    calls_row,
    insight,
    logged,
    machine_detection,
    parameters,
    recording,
)
from tests.core.folding import tell


def merged(*entries: TimelineEntry) -> TimelineEntry:
    first = load(dump_of(entries[0])).lifecycle[0]
    for entry in entries[1:]:
        first.merge(entry)
    return first


def dump_of(entry: TimelineEntry) -> bytes:
    call = new_call("twilio:CA1", None)
    call.lifecycle.append(entry)
    return dump(call)


REPORTS = (
    TimelineEntry(7, PROGRESS, "completed", "completed", 3, 100, 1, 1, 2, None, 49, None),
    TimelineEntry(7, PROGRESS, "completed", "completed", 3, 90, 2, 2, 2, 200, None, None),
    TimelineEntry(7, PROGRESS, "completed", "busy", 3, None, 4, 4, 3, None, 50, "user_busy"),
    TimelineEntry(7, PROGRESS, "completed", "completed", 3, 90, 0, 1, 2, 486, 0, ""),
)


def test_reports_of_one_event_come_to_the_same_in_any_order_and_however_often() -> None:
    all_orders = [merged(*order, *order) for order in permutations(REPORTS)]
    assert all_orders == [
        TimelineEntry(
            7,
            PROGRESS,
            "completed",
            "completed",
            3,
            90,
            0,
            7,
            3,
            486,
            50,
            "user_busy",
            others=(100, 0, 200),
        )
    ] * len(all_orders)


@pytest.mark.parametrize("order", [*permutations((("a", 0), ("b", 5), ("c", 3), ("b", 7)))], ids=str)
def test_the_newest_resource_decides_a_fact_and_all_that_was_said_is_kept(
    order: tuple[tuple[str, int], ...],
) -> None:
    call = new_call("twilio:CA1", None)
    for value, as_of_us in order:
        call.claim("to", value, as_of_us)
    assert (call.facts, call.as_of_us, call.disputed) == ({"to": "b"}, {"to": 7}, {"to": ["a", "b", "c"]})


def test_of_many_disputed_values_a_few_are_kept_and_the_same_ones_in_any_order() -> None:
    kept = []
    for values in (range(30), reversed(range(30))):
        call = new_call("twilio:CA1", None)
        for value in values:
            call.claim("to", f"{value:02d}", 0)
        kept.append((call.facts, call.disputed))
    assert kept[0] == kept[1] == ({"to": "29"}, {"to": [f"{value:02d}" for value in range(VALUES_CAP)]})


def test_a_price_that_is_filled_in_or_corrected_is_not_a_dispute() -> None:
    """Case 23."""
    call = tell(
        [calls_row("completed", updated=60), calls_row("completed", updated=90, price="-0.0075")]
    ).call
    call = tell([calls_row("completed", updated=120, price="-0.0100")], call=call, offset=2).call
    assert (call.facts["price"], call.disputed) == ("-0.0100", {})


@pytest.mark.parametrize("order", [*permutations(("in-progress", "completed", "absent"))], ids=str)
def test_a_recording_keeps_its_furthest_status_and_longest_duration(order: tuple[str, ...]) -> None:
    """Case 19."""
    call = new_call("twilio:CA1", None)
    durations = {"in-progress": None, "completed": 44, "absent": 3}
    for status in order:
        call.record_recording(Recording("RE1", status, durations[status]))
    assert call.recordings == [Recording("RE1", "completed", 44)]
    assert not call.record_recording(Recording("RE1", "completed", 44))


def test_a_flood_of_events_leaves_a_state_of_bounded_size_and_true_counts() -> None:
    flood = [callback("ringing", str(number), 1) for number in range(LIFECYCLE_CAP + 20)]
    flood += [insight(f"n{number}", number) for number in range(TIMELINE_CAP + 20)]
    told = tell(flood)
    assert (len(told.call.lifecycle), len(told.call.others)) == (LIFECYCLE_CAP, TIMELINE_CAP)
    assert told.call.families == {"progress": LIFECYCLE_CAP + 20, "insights": TIMELINE_CAP + 20}
    assert {entry.at_us for entry in told.call.others} == {
        1_772_445_600_000_000 + second * 1_000_000 for second in range(TIMELINE_CAP)
    }
    again = tell(flood, call=load(dump(told.call)), offset=len(flood))
    assert set(again.results) == {"duplicate"}
    assert again.events == []


def test_a_flood_does_not_push_the_end_out_of_the_life_cycle() -> None:
    flood = [callback("ringing", str(number), 1) for number in range(2, LIFECYCLE_CAP + 20)]
    call = tell([callback("completed", "1", 5), *flood]).call
    end = lifecycle_of(call).end
    assert end is not None
    assert (end.status, call.ended) == ("completed", True)


def test_a_usual_call_takes_less_than_a_kilobyte() -> None:
    usual = answered_call()
    assert len(dump(tell(usual).call)) < 600
    usual += [
        calls_row("completed", end_time="Mon, 02 Mar 2026 10:00:55 +0000", duration="49"),
        logged(parameters("completed", "3", 55)),
        recording("RE" + "0a" * 16, "completed", "48"),
        machine_detection("human"),
    ]
    assert len(dump(tell(usual).call)) < 1000


def test_a_stored_call_is_the_call() -> None:
    call = tell(answered_call()).call
    assert load(dump(call)) == call


def test_of_many_children_a_few_are_kept_and_the_same_ones_in_any_order() -> None:
    children = [f"CA{number:032}" for number in range(TIMELINE_CAP + 5)]
    forwards, backwards = new_call("twilio:CA1", None), new_call("twilio:CA1", None)
    for child in children:
        forwards.adopt(child)
    assert all(backwards.adopt(child) for child in reversed(children))
    assert not backwards.adopt(children[0])
    assert not backwards.adopt(children[-1]), "a child that is not kept changes nothing"
    assert forwards.children == backwards.children == tuple(children[:TIMELINE_CAP])
