"""Ticks of a partition: settled, gaps, overdue, evicted."""

from __future__ import annotations

import pytest

import agents.processor
from tests.agents.batches import CALLBACKS, KEY, PARTITION, TOPICS, Lane, a_tick, active, record, records, to
from tests.core.deliveries import answered_call, at, callback, logged, parameters


def test_a_call_is_settled_once_when_its_window_closes_and_leaves_the_table() -> None:
    lane = Lane()
    lane.run(records(answered_call()))
    assert lane.run([a_tick(7255, 1)]) == []
    (settled,) = lane.run([a_tick(7256, 2)])
    assert settled.topic == TOPICS.ended
    told = settled.json
    assert (told["settled"], told["revision"], told["updated_at"]) == (True, 2, at(7256))
    assert lane.states == {}
    assert lane.run([a_tick(7257, 3)]) == []
    assert lane.counted("table_evictions_total", table="calls", reason="terminal_ttl") == 1


def test_a_missing_number_is_a_gap_after_its_grace_and_closes_when_it_comes() -> None:
    lane = Lane()
    first, second, third, _ = records(answered_call())
    lane.run([first, third])
    lane.run([a_tick(16, 1)])
    assert lane.counted("sequence_gaps_open", source=CALLBACKS) == 0
    lane.run([a_tick(17, 2)])
    assert lane.counted("sequence_gaps_open", source=CALLBACKS) == 1
    assert Lane(states=lane.states).counted("sequence_gaps_open", source=CALLBACKS) == 1
    lane.run([second])
    assert lane.counted("sequence_gaps_open", source=CALLBACKS) == 0
    assert lane.counted("sequence_gaps_closed_total", source=CALLBACKS, by="late_arrival") == 1


def test_a_number_that_comes_within_the_grace_was_never_a_gap() -> None:
    lane = Lane()
    first, second, third, _ = records(answered_call())
    lane.run([first, third, second, a_tick(17, 1)])
    assert lane.counted("sequence_gaps_detected_total", source="twilio_status_callback") == 0


def test_a_gap_healed_by_the_request_log_is_closed_by_a_poll_and_expires_where_nothing_comes() -> None:
    lane = Lane()
    first, *_, last = records(answered_call())
    lane.run([first, last, a_tick(67, 1)])
    assert lane.counted("sequence_gaps_detected_total", source=CALLBACKS) == 2
    some = lane.run([record(logged(parameters("ringing", "1", 1)), 50)])
    assert to(TOPICS.ended, some) == []
    (revised,) = lane.run([a_tick(1100, 51)])
    assert revised.json["gaps"] == [
        {"sequence_number": 1, "name": "ringing", "state": "closed", "closed_by": "poll_heal"},
        {"sequence_number": 2, "name": None, "state": "open", "closed_by": None},
    ]
    assert lane.counted("sequence_gaps_closed_total", source=CALLBACKS, by="poll_heal") == 1
    lane.run([a_tick(9000, 2)])
    assert lane.counted("sequence_gaps_closed_total", source=CALLBACKS, by="expired") == 1


def test_a_call_that_does_not_end_is_overdue_and_leaves_at_its_greatest_age() -> None:
    lane = Lane()
    lane.run(records(answered_call()[:3]))
    lane.run([a_tick(14400, 1)])
    assert lane.counted("calls_overdue", provider="twilio") == 0
    lane.run([a_tick(14401, 2)])
    assert (
        lane.counted("calls_overdue", provider="twilio"),
        Lane(states=lane.states).counted("calls_overdue", provider="twilio"),
    ) == (1, 1)
    assert lane.run([a_tick(86400, 3)]) == []
    assert list(lane.states) == [KEY]
    lane.run([a_tick(86401, 4)])
    assert (lane.states, lane.counted("calls_overdue", provider="twilio"), active(lane)) == ({}, 0, 0)
    assert lane.counted("table_evictions_total", table="calls", reason="max_age") == 1


def test_an_overdue_call_that_ends_after_all_is_overdue_no_more() -> None:
    lane = Lane()
    *before, last = records(answered_call())
    lane.run([*before, a_tick(14401, 1)])
    lane.run([last])
    assert lane.counted("calls_overdue", provider="twilio") == 0


def test_more_calls_than_one_tick_looks_at_are_settled_by_the_next_ones_in_any_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agents.processor, "CALLS_PER_TICK", 3)
    ended = records(callback("busy", "1", 1, call_id=f"CA{n}") for n in range(8))
    ticks = [a_tick(9000 + n, n) for n in range(3)]
    whole, split = Lane(), Lane()
    at_once = whole.run([*ended, *ticks])
    split.run(ended)
    settled = [(len(split.run([tick])), split.unfinished) for tick in ticks]
    assert settled == [(3, True), (3, True), (2, False)]
    assert len(to(TOPICS.ended, at_once)) == 16
    assert (whole.calls, split.calls) == ({}, {})


def test_a_batch_ends_behind_the_tick_with_which_it_has_looked_at_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agents.processor, "CALLS_PER_TICK", 3)
    monkeypatch.setattr(agents.processor, "CALLS_PER_BATCH", 5)
    ended = records(callback("busy", "1", 1, call_id=f"CA{n}") for n in range(8))
    piled_up = [a_tick(9000 + n, n) for n in range(6)]
    more = record(callback("busy", "1", 1, call_id="CA-more"), 50)
    lane = Lane()
    lane.run([*ended, *piled_up, more])
    assert lane.taken == [8 + 2, 5]
    assert list(lane.calls) == [b"twilio:CA-more"]


def test_what_a_later_tick_of_the_batch_finished_is_not_unfinished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents.processor, "CALLS_PER_TICK", 3)
    lane = Lane()
    lane.run(records(callback("busy", "1", 1, call_id=f"CA{n}") for n in range(5)))
    lane.run([a_tick(9000, 1), a_tick(9001, 2)])
    assert (lane.calls, lane.unfinished) == ({}, False)


def test_a_heartbeat_is_processed_when_it_is_folded_and_published_when_its_batch_is_committed() -> None:
    def seen() -> list[float]:
        stages = ("processed", "published", "state_visible")
        return [lane.counted("heartbeat_timestamp_seconds", stage=stage) - opened_s for stage in stages]

    lane, opened_s = Lane(), 1_772_445_600.0
    batch = lane.processor.process(PARTITION, [a_tick(60, 0)], lane.states.get)
    assert seen() == [60, 0, 0]
    batch.committed()
    assert seen() == [60, 60, 60]


def test_a_tick_that_found_nothing_finds_nothing_again_after_a_restart() -> None:
    """Its offset may be committed later than it was folded."""
    lane = Lane()
    first, *others = records(answered_call())
    lane.run([first])
    nothing = [a_tick(3, 1), a_tick(4, 2)]
    made = lane.processor.process(PARTITION, nothing, lane.states.get)
    assert (made.states, dict(made.outputs)) == ({}, {})
    made.committed()
    restarted = Lane(states=dict(lane.states))
    again = restarted.processor.process(PARTITION, nothing, restarted.states.get)
    assert (again.states, dict(again.outputs)) == ({}, {})
    again.committed()
    assert (restarted.run(others), restarted.states) == (lane.run(others), lane.states)
