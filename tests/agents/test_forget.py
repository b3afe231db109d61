"""A call that an operator has forgotten: its state goes, and it does not come back by itself."""

from __future__ import annotations

import pytest

import stream.core.call.state
from stream.core.call.state import load
from stream.core.forgetting import FORGET, ForgetRequest, forgotten_id
from stream.kafka.envelope_codec import write_envelope
from tests.agents.batches import (
    KEY,
    POLLED,
    TOPICS,
    Fetched,
    Lane,
    Written,
    a_tick,
    active,
    record,
    records,
    to,
)
from tests.core.deliveries import ACCOUNT, START_US, TWILIO_KEY, answered_call, callback, insight

DAY_S = 86_400
EMPTY = b'{"v":1,"source":"forget","received_at":"2026-03-02T10:00:00Z","body":{}}'


def a_request(second: float, offset: int, id_: str = "r1", key: bytes = KEY) -> Fetched:
    value = write_envelope(
        FORGET,
        {"id": id_, "key": TWILIO_KEY},
        received_us=START_US + round(second * 1_000_000),
        account=None,
        endpoint=None,
        delivery={"verified": True},
    )
    return Fetched(TOPICS.polled, offset, key, value)


def told(some: list[Written]) -> tuple[str, bool]:
    """(the id of the event that says it, whether a state was kept); the tombstone is beside it."""
    (event,) = to(TOPICS.events, some)
    (tombstone,) = to(TOPICS.ended, some)
    assert tombstone.output == (KEY, None, (), None)
    assert event.json["name"] == "forgotten"
    assert event.output.key == KEY
    return event.json["id"], event.json["attributes"]["was_kept"]


def test_its_state_goes_and_an_event_and_a_null_record_say_so() -> None:
    lane = Lane()
    lane.run(records(answered_call()[:2]))
    assert active(lane) == 1
    written = lane.run([a_request(60, 100)])
    assert told(written) == (forgotten_id(ForgetRequest("r1", TWILIO_KEY)), True)
    assert to(TOPICS.events, written)[0].json["account"] == ACCOUNT
    mark = load(lane.states[KEY])
    assert (mark.key, mark.facts, mark.lifecycle, mark.others, mark.account) == (TWILIO_KEY, {}, [], [], None)
    assert active(lane) == 0
    assert lane.counted("table_evictions_total", table="calls", reason="forgotten") == 1


def test_what_comes_later_is_dropped_and_counted_for_a_day() -> None:
    lane = Lane()
    first, *others = records(answered_call())
    lane.run([first, a_request(60, 100)])
    assert lane.run(others) == []
    source = {"source": "twilio_status_callback"}
    assert lane.counted("events_processed_total", **source, result="forgotten") == len(others)
    assert lane.run([a_tick(59 + DAY_S, 0)]) == []
    assert KEY in lane.states
    assert lane.run([a_tick(60 + DAY_S, 1)]) == []
    assert lane.states == {}
    assert lane.due == []
    assert to(TOPICS.events, lane.run(others[:1]))


def test_consumers_are_told_to_forget_a_call_that_has_left_the_table() -> None:
    lane = Lane()
    assert told(lane.run([a_request(60, 100)]))[1] is False
    assert lane.run(records(answered_call())) == []


def test_a_request_twice_is_a_request_once_and_another_one_is_answered_too() -> None:
    lane = Lane()
    lane.run(records(answered_call()))
    assert told(lane.run([a_request(60, 100)]))[1] is True
    assert lane.run([a_request(60, 101)]) == []
    assert told(lane.run([a_request(90, 102, "r2")]))[1] is False
    assert lane.run([a_request(60, 103), a_request(90, 104, "r2")]) == []
    assert lane.due == [(START_US // 1_000_000 + 90 + DAY_S, KEY)]


def test_what_fires_about_it_is_resolved() -> None:
    lane = Lane()
    raised = to(TOPICS.alerts, lane.run(records([callback("failed", "1", 3, SipResponseCode="503")])))
    written = lane.run([a_request(60, 100)])
    assert [(one.json["id"], one.json["state"]) for one in raised] != []
    assert [
        (one.json["rule"]["id"], one.json["state"], one.json["reason"]["code"])
        for one in to(TOPICS.alerts, written)
    ] == [(one.json["rule"]["id"], "resolved", "forgotten") for one in raised]
    numbers = [(one.json["call"]["from"], one.json["call"]["to"]) for one in to(TOPICS.alerts, written)]
    assert numbers == [(None, None)] * len(raised)
    assert [one.output.value for one in to(TOPICS.alerts_active, written)] == [None] * len(raised)
    assert load(lane.states[KEY]).alerts is None


def test_its_pages_and_its_open_gaps_go_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.core.call.state, "SEEN_INLINE", 10)
    lane = Lane(policy=POLLED)
    lane.run([*records([callback("initiated", "0", 0), callback("completed", "3", 9)]), a_tick(30, 0)])
    lane.run([record(one, 200 + at) for at, one in enumerate(insight(f"n{n}", 2) for n in range(30))])
    assert len([key for key in lane.states if KEY in key]) > 2
    gaps = {"source": "twilio_status_callback"}
    assert lane.counted("sequence_gaps_open", **gaps) == 2
    lane.run([a_request(60, 100)])
    assert [key for key in lane.states if KEY in key] == [KEY]
    assert lane.counted("sequence_gaps_open", **gaps) == 0


def test_a_failure_behind_it_in_the_batch_leaves_it_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane()
    lane.run(records(answered_call()[:2]))
    apart = lane.processor.folder
    right = type(apart).fold

    def fold(self: object, call: object, readings: list[object], *rest: object) -> object:
        if readings[0].event.status == "completed":  # type: ignore[attr-defined]
            raise KeyError
        return right(apart, call, readings, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(type(apart), "fold", fold)
    written = lane.run([a_request(60, 100), record(callback("completed", "3", 61), 101)])
    assert len(to(TOPICS.dead_letters, written)) == 1
    assert load(lane.states[KEY]).forgotten


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (a_request(60, 100, key=b"twilio:CA1"), b"key_mismatch"),
        (Fetched(TOPICS.polled, 1, KEY, EMPTY), b"invalid_field"),
    ],
)
def test_a_request_that_is_not_one_is_a_dead_letter(bad: Fetched, reason: bytes) -> None:
    (letter,) = Lane().run([bad])
    assert (letter.topic, dict(letter.output.headers)["reason"]) == (TOPICS.dead_letters, reason)
