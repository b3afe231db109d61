"""Which children of a call lost a dial: the same ones whatever comes first, late, twice or not at all."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.call.lifecycle import lifecycle_of, verdict_of
from stream.core.call.state import dump
from stream.core.call.timers import answer_of
from stream.core.verdicts.siblings import AnsweredCall
from tests.core.deliveries import START_US, TWILIO_KEY, Delivery, answered_call
from tests.core.families import Family, child_row, child_step, family_of
from tests.core.folding import knowledge, said_of, settled, tell

orders = st.integers(0, 1 << 32).map(random.Random)

FIRST = [
    child_step("won", "initiated", 0, 0),
    child_step("won", "in-progress", 2, 9),
    child_step("won", "completed", 3, 40, CallDuration="20"),
    child_step("lost", "initiated", 0, 0),
    child_step("lost", "canceled", 2, 10),
]
"""A simultaneous dial. Its end minus its talk time is another time of the answer, and does not count."""
SECOND = [child_step("later", "initiated", 0, 42), child_step("later", "no-answer", 2, 70)]
"""A dial in the same call after the first one's conversation."""


@given(orders)
@settings(max_examples=100, deadline=None)
def test_a_call_that_was_dialled_after_the_answer_has_not_lost(order: random.Random) -> None:
    family = family_of([*FIRST, *SECOND, *answered_call()], order)
    assert family.faults() == {"won": None, "lost": None, "later": "callee", TWILIO_KEY[7:]: None}


@given(orders)
@settings(max_examples=50, deadline=None)
def test_each_dial_of_a_call_has_its_winner(order: random.Random) -> None:
    second = [
        child_step("again", "ringing", 1, 44),
        child_step("again", "in-progress", 2, 50),
        child_step("later", "ringing", 1, 44),
        child_step("later", "no-answer", 2, 51),
        child_step("last", "ringing", 1, 90),
        child_step("last", "no-answer", 2, 120),
    ]
    assert family_of([*FIRST, *second], order).faults() == {
        "won": None,
        "lost": None,
        "later": None,
        "last": "callee",
    }


@pytest.mark.parametrize(
    ("began", "ended", "has_lost"),
    [
        (0, 6, False),
        (0, 7, True),
        (0, 10, True),
        (0, 40, True),
        (11, 20, True),
        (12, 20, False),
        (None, 6, False),
        (None, 10, True),
        (None, 21, True),
        (None, 22, False),
        (0, None, True),
        (None, None, True),
    ],
)
def test_a_call_has_lost_that_was_being_dialled_when_another_one_was_answered(
    began: int | None, ended: int | None, *, has_lost: bool
) -> None:
    """`won` was answered in second 9. Times are whole seconds of different clocks."""
    steps = [child_step("other", "initiated", 0, began)] if began is not None else []
    steps.append(child_step("other", "no-answer", 2, ended, received_s=100))
    fault = family_of([*FIRST, *steps]).faults()["other"]
    assert fault == (None if has_lost else "callee")


def test_what_comes_late_does_not_say_that_its_call_was_dialled_late() -> None:
    steps = [
        child_step("other", "initiated", 0, None, received_s=100),
        child_step("other", "canceled", 2, None, received_s=101),
    ]
    assert family_of([*FIRST, *steps]).faults()["other"] is None


@pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
def test_an_answer_whose_time_becomes_known_is_told_again(order: tuple[int, ...]) -> None:
    """First nobody knows when `won` was answered, then its end minus its talk time, then the time itself."""
    steps = [
        child_step("won", "in-progress", 1, None, received_s=50),
        child_row("won", "completed", 40, 29),
        child_step("won", "in-progress", 2, 9),
    ]
    family = Family()
    for one in (*FIRST[3:], *SECOND):
        family.deliver(one)
    for place in order:
        family.deliver(steps[place])
        family.settle()
    won = AnsweredCall("won", START_US + 9_000_000)
    assert family.calls[TWILIO_KEY].winners == family.calls["twilio:later"].siblings == (won,)
    assert family.faults() == {"won": None, "lost": None, "later": "callee"}
    record = family.records["twilio:later"]
    assert record.verdict is not None
    assert record.verdict.fault == "callee"


def test_only_a_better_time_is_told_again() -> None:
    family = family_of(FIRST)
    sent = family.sent
    for one in (child_row("won", "completed", 41, 33), child_step("won", "completed", 4, 41)):
        family.deliver(one)
        assert family.under_way == []
    family.deliver(child_step("won", "in-progress", 5, 8))
    family.settle()
    assert family.sent == sent + 2, "one to the parent, and one from it to the other child"


def test_a_child_alone_costs_two_messages_and_its_parent_its_id_twice_and_a_time() -> None:
    first = [child_step(CHILD, "ringing", 1, 1), child_step(CHILD, "in-progress", 2, 9)]
    family = family_of([*first, *answered_call()])
    alone = family_of(answered_call())
    assert family.sent == 2
    assert len(dump(family.calls[TWILIO_KEY])) - len(dump(alone.calls[TWILIO_KEY])) < 100


def test_a_dial_of_ten_costs_each_call_two_messages() -> None:
    names = [f"c{number}" for number in range(10)]
    ringing = [child_step(name, "ringing", 1, 1) for name in names]
    canceled = [child_step(name, "canceled", 2, 10) for name in names[1:]]
    assert family_of([*ringing, child_step("c0", "in-progress", 2, 9), *canceled]).sent == 20


def test_the_record_of_a_call_that_has_not_lost_is_not_written_again() -> None:
    family = family_of(SECOND)
    before = family.records["twilio:later"]
    for one in FIRST:
        family.deliver(one)
    family.settle()
    assert family.calls["twilio:later"].siblings
    assert family.records["twilio:later"] is before


def test_of_many_answered_children_a_few_are_kept_and_the_same_ones_in_any_order() -> None:
    names = [f"c{number:02}" for number in range(12)]
    steps = [child_step(name, "in-progress", 2, number) for number, name in enumerate(names)]
    forwards, backwards = family_of(steps), family_of(steps[::-1])
    kept = forwards.calls[TWILIO_KEY].winners
    assert [one.call_id for one in kept] == names[:8]
    assert backwards.calls[TWILIO_KEY].winners == kept
    for family in (forwards, backwards):
        assert {family.calls[f"twilio:{name}"].siblings for name in names} == {kept}


CHILD = "CA" + "1c" * 16

seconds = st.one_of(st.none(), st.integers(0, 60))
names = st.sampled_from("abc")


@st.composite
def steps(draw: st.DrawFn) -> Delivery:
    statuses = ("initiated", "ringing", "in-progress", "completed", "canceled", "no-answer", "busy")
    duration = draw(st.sampled_from((None, "3", "40", "99")))
    return child_step(
        draw(names),
        draw(st.sampled_from(statuses)),
        draw(st.integers(0, 3)),
        draw(seconds),
        received_s=draw(st.integers(0, 200)),
        **({} if duration is None else {"CallDuration": duration}),
    )


rows = st.builds(
    child_row,
    names,
    st.sampled_from(("completed", "canceled", "no-answer")),
    st.integers(0, 60),
    st.one_of(st.none(), st.integers(0, 40)),
)
deliveries_of_a_family = st.lists(
    st.one_of(steps(), steps(), rows, st.sampled_from(answered_call())), min_size=2, max_size=16
)


@given(deliveries_of_a_family, orders)
@settings(max_examples=60, deadline=None)
def test_what_is_known_of_a_dial_does_not_depend_on_what_came_first_late_twice_or_not_at_all(
    deliveries: list[Delivery], order: random.Random
) -> None:
    first, second = family_of(deliveries), family_of(deliveries, order)
    assert {key: knowledge(call) for key, call in first.calls.items()} == {
        key: knowledge(call) for key, call in second.calls.items()
    }
    for key, call in first.calls.items():
        if call.ended and call.lifecycle:
            assert said_of(settled(call)) == said_of(settled(second.calls[key]))


@given(deliveries_of_a_family, orders)
@settings(max_examples=40, deadline=None)
def test_the_record_says_at_once_that_a_call_lost_a_dial_or_that_it_did_not(
    deliveries: list[Delivery], order: random.Random
) -> None:
    family = family_of(deliveries, order)
    for key, record in family.records.items():
        call = family.calls[key]
        verdict = verdict_of(call, lifecycle_of(call))
        assert (record.verdict and record.verdict.fault) == (verdict and verdict.fault)


@given(st.lists(st.one_of(steps().filter(lambda one: one.key == "twilio:a"), rows), min_size=2, max_size=12))
@settings(max_examples=60, deadline=None)
def test_more_deliveries_never_make_a_time_of_answer_worse(deliveries: list[Delivery]) -> None:
    of_one = [one for one in deliveries if one.key == "twilio:a"]
    worst = (True, True, 1 << 62)
    for number in range(1, len(of_one) + 1):
        answer = answer_of(tell(of_one[:number]).call)
        if answer is not None:
            assert answer.precedence() <= worst
            worst = answer.precedence()
