"""Ticks of a call that fail by an error of our own: no call is forgotten, and retries have pauses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agents.call_folder
import agents.processor
from agents.due_index import LONGEST_PAUSE_S, next_failure
from agents.processor import FaultyWorkerError
from stream.core.call.state import load
from tests.agents.batches import POLLED, TOPICS, Fetched, Lane, a_tick, record, records, to
from tests.agents.test_batches import deliveries, mixed, ticked_seconds
from tests.core.deliveries import START_US, Delivery, callback

SETTLED_S = 9000
"""When the calls of these tests are due."""


class FailingTicks:
    """A tick that fails on some calls, after it has changed them. `looked`: the stream seconds of each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.names = set(names)
        self.looked: dict[str, list[int]] = {}
        self._right = agents.call_folder.tick
        monkeypatch.setattr(agents.call_folder, "tick", self.tick)

    def tick(self, call: Any, now_us: int, *more: Any) -> Any:
        name = call.key.partition(":")[2]
        self.looked.setdefault(name, []).append((now_us - START_US) // 1_000_000)
        if name in self.names:
            call.ended, call.due_s = False, 1
            raise ZeroDivisionError("+15005550006")
        return self._right(call, now_us, *more)


def ended(names: Iterable[str]) -> list[Fetched]:
    return records(callback("busy", "1", 1, call_id=name) for name in names)


def each_second(lane: Lane, first: int, last: int) -> None:
    for second in range(first, last + 1):
        lane.run([a_tick(second, second)])


def letters(lane: Lane, first: int, last: int) -> list[Any]:
    batches = [lane.run([a_tick(second, second)]) for second in range(first, last + 1)]
    return [one for some in batches for one in to(TOPICS.dead_letters, some)]


def index_of(lane: Lane) -> list[tuple[int, bytes]]:
    """The expected index: each call of the table, at the second from which it is due."""
    return sorted((load(state).due_s, key) for key, state in lane.calls.items())


def test_a_call_on_which_a_tick_failed_once_is_retried_a_second_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing = FailingTicks(monkeypatch, "CA1")
    lane = Lane()
    lane.run(ended(("CA0", "CA1")))
    each_second(lane, SETTLED_S, SETTLED_S)
    assert list(lane.calls) == [b"twilio:CA1"]
    assert lane.counted("troubled_calls") == 1
    failing.names.clear()
    each_second(lane, SETTLED_S + 1, SETTLED_S + 5)
    assert (lane.calls, lane.due) == ({}, [])
    assert failing.looked["CA1"] == [SETTLED_S, SETTLED_S + 1]
    assert lane.counted("troubled_calls") == 0


def test_a_failed_tick_leaves_a_call_as_the_earlier_records_of_the_batch_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    FailingTicks(monkeypatch, "CA1")
    alone, ticked = Lane(), Lane()
    before = [*ended(("CA1",)), record(callback("queued", "0", 0, call_id="CA1"), 9)]
    alone.run(before)
    ticked.run([*before, a_tick(SETTLED_S, 1)])
    assert ticked.states == alone.states


def test_a_call_that_keeps_failing_is_dead_lettered_once_and_retried_with_growing_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing = FailingTicks(monkeypatch, "CA1")
    lane = Lane(errors_limit=2)
    lane.run(ended(("CA1",)))
    kept = dict(lane.states)
    (letter,) = letters(lane, SETTLED_S, SETTLED_S + 1200)
    assert [second - SETTLED_S for second in failing.looked["CA1"]] == [2**n - 1 for n in range(11)]
    assert (letter.output.key, letter.output.value) == (b"twilio:CA1", kept[b"twilio:CA1"])
    assert list(letter.output.headers) == [
        ("reason", b"internal_error"),
        ("stage", b"look"),
        ("error", b"ZeroDivisionError"),
        ("source_topic", TOPICS.ticks.encode()),
        ("source_partition", b"4"),
        ("source_offset", b"%d" % (SETTLED_S + 15)),
    ]
    assert lane.states == kept
    assert lane.counted("dead_letters_total", source="unknown", reason="internal_error") == 1
    assert lane.counted("processing_errors_total", agent="ticks", error="other") == 11
    failing.names.clear()
    each_second(lane, SETTLED_S + 1200, SETTLED_S + 2100)
    assert lane.calls == {}


def test_the_pause_after_a_failed_tick_is_an_hour_at_most() -> None:
    trouble = None
    for _ in range(200):
        trouble = next_failure(trouble, 1000, 7)
    assert trouble == (200, 1000 + LONGEST_PAUSE_S, 7)


def test_a_new_state_resets_the_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery for a call with failed ticks: its new state decides when it is due."""
    failing = FailingTicks(monkeypatch, "CA1")
    lane = Lane()
    lane.run(ended(("CA1",)))
    each_second(lane, SETTLED_S, SETTLED_S + 40)
    looked = len(failing.looked["CA1"])
    failing.names.clear()
    lane.run([record(callback("ringing", "0", 0, call_id="CA1"), 900)])
    assert lane.counted("troubled_calls") == 0
    assert lane.due == index_of(lane)
    each_second(lane, SETTLED_S + 41, SETTLED_S + 41)
    assert len(failing.looked["CA1"]) == looked + 1
    assert lane.calls == {}


def test_failing_calls_among_good_ones_never_stop_a_worker_whenever_they_are_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"CA{n:03}" for n in range(300)]
    FailingTicks(monkeypatch, *names[::30])
    lane = Lane(errors_limit=3)
    lane.run(ended(names))
    said = letters(lane, SETTLED_S, SETTLED_S + 60)
    assert sorted(lane.calls) == [f"twilio:{name}".encode() for name in names[::30]]
    assert sorted(letter.output.key for letter in said) == sorted(lane.calls)


def test_failing_calls_do_not_stop_a_worker_whose_deliveries_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"CA{n}" for n in range(10)]
    FailingTicks(monkeypatch, *names)
    lane = Lane(errors_limit=3)
    lane.run(ended(names))
    for second in range(SETTLED_S, SETTLED_S + 60):
        lane.run([a_tick(second, second), record(callback("ringing", "0", 0, call_id="CA-good"), second)])
    assert len(lane.states) == 11


def test_ticks_and_deliveries_that_all_fail_stop_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"CA{n}" for n in range(10)]
    FailingTicks(monkeypatch, *names)
    lane = Lane(errors_limit=10)
    lane.run(ended(names))
    each_second(lane, SETTLED_S, SETTLED_S + 14)
    with pytest.raises(FaultyWorkerError):
        lane.run([a_tick(SETTLED_S + 15, 1)])


def test_a_successful_tick_ends_the_row_of_failed_deliveries(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane(errors_limit=2)
    lane.run(ended(("CA1",)))
    right = agents.call_folder.fold

    def fold(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(agents.call_folder, "fold", fold)
    one, two = ended(("CA2", "CA3"))
    lane.run([one, a_tick(SETTLED_S, 1), two])
    monkeypatch.setattr(agents.call_folder, "fold", right)
    assert lane.calls == {}


def test_a_tick_moves_a_call_that_the_same_batch_made_due() -> None:
    """A call that a batch adds, checks and moves is in the index once, at the second of its state."""
    lane = Lane(POLLED)
    first = records([callback("initiated", "0", 0), callback("in-progress", "2", 6)])
    lane.run([*first, a_tick(17, 1), a_tick(55, 2), a_tick(56, 3)])
    assert lane.due == index_of(lane)
    assert len(lane.due) == 1


def test_a_batch_reports_from_when_a_tick_finds_something_and_how_much_its_ticks_found() -> None:
    lane = Lane()
    lane.run([a_tick(10, 1)])
    assert lane.due_s is None
    lane.run(ended(("CA1",)))
    assert lane.due_s == lane.due[0][0]
    lane.run([a_tick(10, 2)])
    assert (lane.due_s, lane.ticked) == (lane.due[0][0], 0)
    lane.run([a_tick(SETTLED_S, 3)])
    assert (lane.due, lane.due_s, lane.ticked) == ([], None, 1)


def test_an_unreadable_state_does_not_prevent_the_assignment_of_its_partition() -> None:
    before = Lane()
    before.run(ended(("CA2",)))
    account = load(stored := before.states[b"twilio:CA2"]).account or ""
    damaged = stored.replace(account.encode(), b"\xff" * len(account))
    lane = Lane(states={b"twilio:CA-broken": b"\xc1 no state", b"twilio:CA2": damaged})
    lane.run(ended(("CA1",)))
    assert lane.due == [(load(lane.states[b"twilio:CA1"]).due_s, b"twilio:CA1")]
    for error in ("DecodeError", "other"):
        assert lane.counted("processing_errors_total", agent="ticks", error=error) == 1


@given(deliveries, ticked_seconds, st.integers(1, 5), st.sampled_from((1, 2, 3, 250)))
@settings(max_examples=12, deadline=None)
def test_outputs_do_not_depend_on_shared_batches_and_the_index_holds_each_call_once(
    said: list[Delivery], seconds: list[int], size: int, looks: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agents.processor, "CALLS_PER_TICK", looks)
        patch.setattr(agents.processor, "CALLS_PER_BATCH", looks)
        batch = mixed(said, seconds)
        whole, split = Lane(POLLED), Lane(POLLED)
        at_once, in_parts = whole.run(batch), []
        for start in range(0, len(batch), size):
            in_parts += split.run(batch[start : start + size])
            assert split.due == index_of(split)
            assert split.due_s == min((second for second, _ in split.due), default=None)
            assert split.counted("due_calls") == len(split.calls)
        # What a batch tells about scopes is summed in it.
        kept = [one for one in at_once if one.topic != TOPICS.scopes]
        in_parts = [one for one in in_parts if one.topic != TOPICS.scopes]
        assert kept == sorted(in_parts, key=lambda one: one.topic)
        assert whole.states == split.states
        assert whole.due == split.due == Lane(POLLED, states=whole.states).due
