"""A child's partition tells its parent's: the record that crosses, and what it changes."""

from __future__ import annotations

import orjson
import pytest

from stream.core.call.state import load
from stream.engine.batch import KEYED
from tests.agents.batches import KEY, TOPICS, Fetched, Lane, Written, a_tick, active, records, to
from tests.agents.test_own_errors import half_way
from tests.core.deliveries import ACCOUNT, CALL_ID, TWILIO_KEY, answered_call, at, callback

CHILD = "CA" + "1c" * 16
CROSSES = {
    "kind": "child",
    "parent_key": TWILIO_KEY,
    "account": ACCOUNT,
    "child_call_id": CHILD,
    "received_at": at(0.5),
    "answered": False,
    "answered_us": None,
    "derived": False,
}


def crossing(offset: int = 0, key: bytes | None = KEY, **changes: object) -> Fetched:
    return Fetched(TOPICS.scopes, offset, key, orjson.dumps({**CROSSES, **changes}))


def children(lane: Lane) -> tuple[str, ...]:
    return load(lane.states[KEY]).children


def last_record(some: list[Written]) -> list[str]:
    known: list[str] = to(TOPICS.ended, some)[-1].json["child_call_ids"]
    return known


def test_a_child_writes_one_record_for_its_parent_to_the_partition_of_the_parents_key() -> None:
    lane = Lane()
    told = [callback("ringing", str(n), n, call_id=CHILD, ParentCallSid=CALL_ID) for n in (0, 1)]
    (one,) = to(TOPICS.scopes, lane.run(records([*told, *told])))
    assert (one.output.key, one.output.partition, one.json) == (KEY, KEYED, CROSSES)


@pytest.mark.parametrize("place", [0, 2, 4])
def test_the_parents_record_names_its_child_whenever_that_is_told(place: int) -> None:
    lane = Lane()
    batch = records(answered_call())
    batch.insert(place, crossing())
    written = lane.run(batch) + lane.run([a_tick(120, 0)])
    assert last_record(written) == [CHILD]
    assert (
        lane.counted("calls_started_total", provider="twilio", account="default", direction="outbound") == 1
    )


def test_a_parent_of_which_nothing_else_is_known_writes_nothing_and_is_not_counted() -> None:
    lane = Lane()
    assert lane.run([crossing()]) == []
    assert children(lane) == (CHILD,)
    assert active(lane) == lane.counted("calls_active", provider="twilio", account="default") == 0
    assert lane.run([a_tick(100_000, 0)]) == []
    assert (lane.states, lane.due) == ({}, [])


def test_an_error_of_our_own_leaves_the_parent_its_child(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane()
    half_way(monkeypatch, "Bad")
    lane.run([crossing(), *records([callback("ringing", "1", 1), callback("completed", "3", 9, Bad="1")])])
    assert children(lane) == (CHILD,)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (crossing(key=b"twilio:CA2"), b"key_mismatch"),
        (crossing(child_call_id=7), b"invalid_field"),
        (crossing(received_at="yesterday"), b"invalid_field"),
        (crossing(account="AC" + "ee" * 16), b"key_mismatch"),
    ],
)
def test_what_cannot_be_applied_is_a_dead_letter_and_changes_nothing(bad: Fetched, reason: bytes) -> None:
    lane = Lane()
    lane.run(records(answered_call()))
    before = dict(lane.states)
    (letter,) = to(TOPICS.dead_letters, lane.run([bad]))
    assert dict(letter.output.headers)["reason"] == reason
    assert (letter.output.key, letter.output.value) == (bad.key, bad.value)
    assert lane.states == before


def test_a_call_that_lost_a_dial_is_told_and_its_record_says_at_once_that_nobody_is_at_fault() -> None:
    """Case 18, all legs in one partition: nine are canceled, one is answered."""
    lane = Lane()
    legs = [f"CA{n:032x}" for n in range(10)]
    told = [
        callback("ringing", "1", 1, call_id=leg, ParentCallSid=CALL_ID, Direction="outbound-dial")
        for leg in legs
    ]
    told += [callback("in-progress", "2", 5, call_id=legs[3], ParentCallSid=CALL_ID)]
    told += [
        callback("canceled", "2", 6, call_id=leg, ParentCallSid=CALL_ID) for leg in legs if leg != legs[3]
    ]
    written = lane.run(records(told))
    assert {one.json["verdict"] is None for one in to(TOPICS.ended, written)} == {False}
    for _ in range(2):  # to the parent, and from there to its children
        crossings = [(one.output.key, one.output.value) for one in to(TOPICS.scopes, written)]
        written = lane.run([Fetched(TOPICS.scopes, n, *one) for n, one in enumerate(crossings)])
    assert {one.json["call_id"]: one.json["verdict"] for one in to(TOPICS.ended, written)} == {
        leg: None for leg in legs if leg != legs[3]
    }


@pytest.mark.parametrize(("ended", "fault"), [(20, "callee"), (25, None), (40, None)])
def test_a_call_that_had_ended_before_the_next_one_was_answered_lost_nothing(
    ended: int, fault: str | None
) -> None:
    lane = Lane()
    legs = ["CA" + "a1" * 16, "CA" + "b2" * 16]
    steps = [
        (0, "ringing", "1", 1),
        (0, "no-answer", "2", ended),
        (1, "ringing", "1", 22),
        (1, "in-progress", "2", 25),
    ]
    told = [callback(*step, call_id=legs[leg], ParentCallSid=CALL_ID) for leg, *step in steps]
    written = lane.run(records(told))
    for _ in range(2):
        crossings = [(one.output.key, one.output.value) for one in to(TOPICS.scopes, written)]
        more = lane.run([Fetched(TOPICS.scopes, n, *one) for n, one in enumerate(crossings)])
        written = [one for one in written if one.topic == TOPICS.ended] + more
    verdict = to(TOPICS.ended, written)[-1].json["verdict"]
    assert (verdict and verdict["fault"]) == fault
