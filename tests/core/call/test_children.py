"""Calls that were dialled by another one: the parent knows them, whichever comes first."""

from __future__ import annotations

from itertools import permutations

import pytest

from stream.core.call.record import CallRecord
from stream.core.call.state import Call, dump, load
from stream.core.call.timers import child_found, sibling_answered, tick
from stream.core.effects import CallStarted, ChildFound, SiblingAnswered
from stream.core.events import DecodeError
from stream.core.policy import CallPolicy
from stream.core.timestamps import SECOND_US
from stream.core.verdicts.siblings import AnsweredCall
from tests.core.deliveries import (
    ACCOUNT,
    CALL_ID,
    START_US,
    TWILIO_KEY,
    Delivery,
    answered_call,
    at,
    callback,
)
from tests.core.folding import Told, said_of, tell

CHILD = "CA" + "1c" * 16
POLICY = CallPolicy()


def named(
    call: Call | None, child: str = CHILD, account: str | None = ACCOUNT, *, answered: bool = False
) -> Call | None:
    """The parent after a child has named it, as it comes back from the store."""
    told = ChildFound(TWILIO_KEY, account, child, at(0), answered)
    found, _ = child_found(call, told, START_US, POLICY)
    return None if found is None else load(dump(found))


def test_a_child_tells_its_parent_once() -> None:
    child = [
        callback("initiated", "0", 0, call_id=CHILD, ParentCallSid=CALL_ID),
        callback("ringing", "1", 1, call_id=CHILD, ParentCallSid=CALL_ID),
    ]
    told = tell([*child, *child])
    assert told.all_of(ChildFound) == [ChildFound(TWILIO_KEY, ACCOUNT, CHILD, at(0.5))]


def test_a_child_of_which_two_parents_are_told_tells_both() -> None:
    other = "CA" + "2d" * 16
    parents = [CALL_ID, other, CALL_ID]
    told = tell(callback("ringing", str(n), n, call_id=CHILD, ParentCallSid=p) for n, p in enumerate(parents))
    assert [found.parent_key for found in told.all_of(ChildFound)] == [TWILIO_KEY, f"twilio:{other}"]


@pytest.mark.parametrize("order", [*permutations(("child", "end", "ringing"))], ids=str)
def test_a_parent_knows_its_child_whatever_comes_first(order: tuple[str, ...]) -> None:
    deliveries = {"end": answered_call()[3], "ringing": answered_call()[1]}
    call: Call | None = None
    started = 0
    folded = []
    for n, name in enumerate(order):
        if name == "child":
            call = named(call)
        else:
            told = tell([deliveries[name]], call=call, offset=n)
            started += len(told.all_of(CallStarted))
            folded, call = [*folded, *told.folded], told.call
    assert call is not None
    last = Told(call, folded).record
    assert said_of(last) == said_of(tell(deliveries.values()).record) | {"child_call_ids": [CHILD]}
    assert started == 1


def test_a_child_that_is_known_changes_nothing() -> None:
    assert named(named(None)) is None


def test_a_parent_of_which_nothing_else_comes_is_not_counted_and_leaves_at_the_maximum_age() -> None:
    call = named(None)
    assert call is not None
    assert load(dump(call)).ended
    now_us = START_US
    for after_s, is_kept in ((POLICY.max_age_s - 1, True), (POLICY.max_age_s, False)):
        now_us = START_US + int(after_s) * SECOND_US
        ticked = tick(call, now_us, POLICY)
        assert (ticked.call is not None, ticked.effects) == (is_kept, [])
    assert call.due_s == now_us // SECOND_US


def test_a_child_of_another_account_is_refused() -> None:
    parent = tell(answered_call()).call
    with pytest.raises(DecodeError, match="key_mismatch"):
        named(parent, account="AC" + "ee" * 16)


def test_a_parent_knows_no_more_children_than_it_may() -> None:
    call: Call | None = None
    for n in range(60):
        call = named(call, f"CA{n:032x}") or call
    assert call is not None
    assert call.children == tuple(f"CA{n:032x}" for n in range(48))


def child(status: str, number: int, second: int) -> Delivery:
    return callback(status, str(number), second, call_id=CHILD, ParentCallSid=CALL_ID)


def test_a_child_tells_once_more_when_it_is_answered_and_when_that_becomes_known_better() -> None:
    steps = [child("ringing", 1, 1), child("in-progress", 2, 5), child("completed", 3, 9)]
    assert [found.answered for found in tell(steps).all_of(ChildFound)] == [False, True]
    assert [found.answered for found in tell(steps[::-1]).all_of(ChildFound)] == [True, True]


@pytest.mark.parametrize("order", [*permutations("abc")], ids="".join)
def test_the_other_children_of_a_dial_are_told_that_one_was_answered(order: tuple[str, ...]) -> None:
    """Case 18: `b` was answered."""
    parent: Call | None = None
    told: list[str] = []
    for name in order:
        found = ChildFound(TWILIO_KEY, ACCOUNT, name, at(0), answered=name == "b")
        parent, losers = child_found(parent, found, START_US, POLICY)
        assert parent is not None
        parent = load(dump(parent))
        told += [loser.key for loser in losers]
    assert sorted(told) == ["twilio:a", "twilio:c"]


def test_a_loser_that_an_event_of_the_parent_has_named_first_is_told_too() -> None:
    parent = named(tell(answered_call()).call, "b", answered=True)
    assert parent is not None
    parent.adopt("a")
    found = ChildFound(TWILIO_KEY, ACCOUNT, "a", at(0))
    assert child_found(parent, found, START_US, POLICY) == (
        None,
        [SiblingAnswered("twilio:a", ACCOUNT, at(0), (AnsweredCall("b"),))],
    )


TOLD = SiblingAnswered(f"twilio:{CHILD}", ACCOUNT, at(9), (AnsweredCall("b"),))


@pytest.mark.parametrize("order", [*permutations(range(2))], ids=str)
def test_nobody_is_at_fault_that_a_call_lost_a_dial(order: tuple[int, ...]) -> None:
    call: Call | None = None
    records: list[CallRecord] = []
    for step in order:
        if step:
            told = tell([child("ringing", 1, 1), child("canceled", 2, 9)], call=call)
            records += told.all_of(CallRecord)
            call = told.call
        elif call is not None:
            effects = sibling_answered(call, TOLD, POLICY)
            records += effects or []
            assert sibling_answered(call, TOLD, POLICY) is None
        else:
            call = tell([child("initiated", 0, 0)]).call
            assert sibling_answered(call, TOLD, POLICY) == []
    assert (records[-1].status, records[-1].verdict) == ("canceled", None)
    assert (records[0].verdict is None) is (order == (0, 1))
