"""An error of our own affects its record only, until there are too many in a row."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import agents.call_folder
from agents.processor import FaultyWorkerError
from stream.core.events import Envelope, Reading
from stream.service import logs
from stream.sources import DECODERS
from tests.agents.batches import KEY, TOPICS, Fetched, Lane, Written, a_tick, active, record, records, to
from tests.core.deliveries import answered_call, callback


def shown(some: list[Written]) -> list[tuple[str, bytes | None, Any, int | None]]:
    return [(one.topic, one.output.key, one.json, one.output.partition) for one in some]


def test_too_many_errors_in_a_row_are_told_without_what_the_last_one_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log of a lane whose processor raised: `raise … from error` adds the cause."""

    def decode(said: Envelope) -> list[Reading]:
        raise KeyError(said.body["From"])

    monkeypatch.setitem(DECODERS, "twilio_status_callback", decode)
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logs.SafeRecord)
    lane = Lane(errors_limit=2)
    try:
        lane.run(records([callback("ringing", str(n), n) for n in range(3)]))
    except FaultyWorkerError:
        logging.getLogger("callstream.lanes").exception("the job failed")
    finally:
        logging.setLogRecordFactory(before)
    assert "2 records in a row failed, the last with KeyError" in caplog.text
    assert "caused by KeyError" in caplog.text
    assert "500555" not in caplog.text


def faulty(monkeypatch: pytest.MonkeyPatch, marker: str) -> None:
    """A decoder that fails on bodies with this marker, after it has begun."""
    right = DECODERS["twilio_status_callback"]

    def decode(said: Envelope) -> list[Reading]:
        if marker in said.body:
            raise ZeroDivisionError("our own fault, with +15005550006 in it")
        return right(said)

    monkeypatch.setitem(DECODERS, "twilio_status_callback", decode)


def half_way(monkeypatch: pytest.MonkeyPatch, marker: str) -> None:
    """A fold that changes the call and then fails, on attributes with this marker."""
    right = agents.call_folder.fold

    def fold(call: Any, readings: list[Reading], *rest: Any) -> Any:
        folded = right(call, readings, *rest)
        if marker in readings[0].event.attributes:
            raise KeyError("half-way")
        return folded

    monkeypatch.setattr(agents.call_folder, "fold", fold)


@pytest.mark.parametrize("break_it", [faulty, half_way])
@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("size", [1, 2, 5])
def test_an_error_of_our_own_costs_its_record_and_leaves_the_call_as_if_it_had_not_come(
    monkeypatch: pytest.MonkeyPatch, break_it: Any, place: int, size: int
) -> None:
    break_it(monkeypatch, "Cursed")
    good = records(answered_call())
    cursed = record(callback("failed", "7", 30, Cursed="yes"), 100)
    mix = [*good[:place], cursed, *good[place:]]
    lane, clean = Lane(), Lane()
    some = [one for start in range(0, len(mix), size) for one in lane.run(mix[start : start + size])]
    expected = [one for start in range(0, len(good), size) for one in clean.run(good[start : start + size])]
    (letter,) = to(TOPICS.dead_letters, some)
    headers = dict(letter.output.headers)
    assert (headers["reason"], headers["stage"]) == (b"internal_error", b"fold")
    assert b"555" not in headers["error"]
    assert letter.output.value == cursed.value
    others = [one for one in some if one.topic != TOPICS.dead_letters]
    assert sorted(shown(others), key=str) == sorted(shown(expected), key=str)
    assert lane.states == clean.states
    assert active(lane) == active(clean)


def test_a_call_that_left_the_table_in_the_same_batch_stays_out_when_a_later_record_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half_way(monkeypatch, "Cursed")
    lane = Lane()
    lane.run(records(answered_call()))
    lane.run([a_tick(8000, 10), record(callback("failed", "7", 30, Cursed="yes"), 100)])
    assert lane.states == {}


def test_as_many_errors_in_a_row_as_the_limit_stop_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    faulty(monkeypatch, "Cursed")
    lane = Lane(errors_limit=3)
    cursed = [record(callback("ringing", "1", 1, Cursed="yes"), n) for n in range(3)]
    lane.run(cursed[:2])
    with pytest.raises(FaultyWorkerError):
        lane.run(cursed[2:])


def test_a_good_record_in_between_starts_the_count_of_errors_anew_and_a_bad_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faulty(monkeypatch, "Cursed")
    cursed = record(callback("ringing", "1", 1, Cursed="yes"), 1)
    good, bad = record(callback("ringing", "1", 1), 2), Fetched(TOPICS.callbacks, 3, KEY, b"x")
    Lane(errors_limit=3).run([cursed, cursed, good, cursed, cursed])
    with pytest.raises(FaultyWorkerError):
        Lane(errors_limit=3).run([cursed, cursed, bad, cursed])


def test_a_call_whose_stored_state_cannot_be_read_costs_its_own_records_only() -> None:
    lane = Lane()
    lane.states[KEY] = b"\xc1 no state"
    other = callback("ringing", "1", 1, call_id="CA-other")
    some = lane.run(records([callback("ringing", "1", 1), other]))
    assert [one.topic for one in some] == [TOPICS.dead_letters, TOPICS.events]
    assert lane.states[KEY] == b"\xc1 no state"


def test_a_call_that_a_tick_fails_on_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    right = agents.call_folder.tick

    def tick(call: Any, now_us: int, *more: Any) -> Any:
        if call.key.endswith("CA1"):
            call.ended = False
            raise ZeroDivisionError
        return right(call, now_us, *more)

    monkeypatch.setattr(agents.call_folder, "tick", tick)
    lane = Lane()
    lane.run(records(callback("busy", "1", 1, call_id=f"CA{n}") for n in range(3)))
    before = lane.states[b"twilio:CA1"]
    lane.run([a_tick(9000, 1)])
    assert lane.calls == {b"twilio:CA1": before}
    assert lane.counted("processing_errors_total", agent="ticks", error="other") == 1
