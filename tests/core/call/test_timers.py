"""The deadlines of a call: gaps, overdue, settled, evicted."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from stream.core import effects
from stream.core.alerting.alert import Alert
from stream.core.call.deadlines import due_second
from stream.core.call.record import CallRecord
from stream.core.call.timers import Ticked, tick
from stream.core.policy import CallPolicy
from tests.core.deliveries import START_US, answered_call, at, callback, logged, parameters, recording
from tests.core.folding import knowledge, said_of, tell


def but_alerts(ticked: Ticked) -> list[Any]:
    """The effects of a tick without its alerts, which `test_alerts` is about."""
    return [effect for effect in ticked.effects if type(effect) is not Alert]


def test_the_second_at_which_a_call_is_due_is_never_too_early() -> None:
    assert [due_second(us, 10) for us in (0, 1, 999_999, 1_000_000)] == [10, 11, 11, 11]


def test_a_tick_that_finds_nothing_due_changes_nothing() -> None:
    call = tell(answered_call()).call
    before = knowledge(call), call.due_s
    ticked = tick(call, START_US + 60_000_000, CallPolicy())
    assert ticked.call is not None
    assert (knowledge(ticked.call), ticked.call.due_s, ticked.effects) == (*before, [])


def test_the_settled_record_is_the_last_one_but_for_being_settled() -> None:
    told = tell(answered_call())
    settled = tick(told.call, START_US + 9_000_000_000, CallPolicy())
    record, evicted = settled.effects
    assert said_of(record) == said_of(told.record) | {"settled": True}
    assert (record.revision, record.updated_at) == (2, at(9000))
    assert (settled.call, evicted) == (None, effects.CallEvicted("terminal_ttl"))


def test_a_call_without_an_end_is_overdue_and_then_leaves_without_a_record() -> None:
    policy = CallPolicy(overdue_s=100, max_age_s=1000)
    call = tell([callback("initiated", "0", 0, received_s=0.0)], policy=policy).call
    assert call.due_s == START_US // 1_000_000 + 100
    overdue = tick(call, START_US + 100_000_000, policy)
    assert overdue.call is not None
    assert (overdue.call.overdue, but_alerts(overdue)) == (True, [])
    assert overdue.call.due_s == START_US // 1_000_000 + 1000
    gone = tick(overdue.call, START_US + 1_000_000_000, policy)
    settled = effects.VerdictSettled("twilio", "outbound", "unknown")
    assert (gone.call, but_alerts(gone)) == (None, [settled, effects.CallEvicted("max_age")])


def test_a_call_leaves_at_its_greatest_age_also_where_that_comes_before_it_is_overdue() -> None:
    policy = CallPolicy(overdue_s=1000, max_age_s=100)
    call = tell([callback("initiated", "0", 0, received_s=0.0)], policy=policy).call
    assert call.due_s == START_US // 1_000_000 + 100
    gone = tick(call, START_US + 100_000_000, policy)
    assert (gone.call, gone.effects) == (None, [effects.CallEvicted("max_age")])


def test_a_recording_that_comes_after_its_call_has_left_the_table_begins_no_overdue_call() -> None:
    policy = CallPolicy(overdue_s=100, max_age_s=1000, polled=("twilio_call",))
    call = tell([recording("RE1", "completed", "48", received_s=0.0)], policy=policy).call
    gone = tick(call, START_US + 100_000_000, policy)
    assert (gone.call, gone.effects) == (None, [effects.CallEvicted("max_age")])


def test_a_missing_number_is_a_gap_after_its_grace_and_closed_by_the_delivery_that_brings_it() -> None:
    first, ringing, answered, _ = answered_call()
    told = tell([first, answered])
    assert told.all_of(effects.SequenceGapOpened) == []
    grace = tick(told.call, told.call.due_s * 1_000_000, CallPolicy())
    assert grace.call is not None
    assert but_alerts(grace) == [effects.SequenceGapOpened("twilio_status_callback", [1])]
    late = tell([ringing], call=grace.call, offset=2)
    assert late.all_of(effects.SequenceGapClosed) == [
        effects.SequenceGapClosed("twilio_status_callback", "late_arrival", 1)
    ]
    assert late.call.gaps_open == 0


def test_a_gap_that_nothing_closes_expires_with_its_call() -> None:
    first, _, answered, _ = answered_call()
    told = tell([first, answered])
    opened = tick(told.call, told.call.due_s * 1_000_000, CallPolicy()).call
    assert opened is not None
    gone = tick(opened, START_US + 90_000_000_000, CallPolicy())
    assert but_alerts(gone) == [
        effects.SequenceGapClosed("twilio_status_callback", "expired", 1),
        effects.CallEvicted("max_age"),
    ]


SENT = [("ringing", "1", 1), ("in-progress", "2", 6), ("completed", "3", 55)]
"""Of a call without a subscription to `initiated`, whose number Twilio counts all the same."""


def test_a_number_that_the_request_log_shows_as_not_sent_is_no_gap() -> None:
    came = [callback(*one) for one in SENT]
    told = tell(came)
    assert [gap["sequence_number"] for gap in told.record.gaps] == [0]
    opened = tick(told.call, told.call.due_s * 1_000_000, CallPolicy()).call
    assert opened is not None
    rows = [logged(parameters(*one)) for one in SENT]
    some = tell(rows[:2], call=opened, offset=3)
    assert (some.all_of(effects.SequenceGapClosed), some.call.gaps_open) == ([], 1)
    whole = tell(rows[2:], call=some.call, offset=5)
    assert (whole.all_of(effects.SequenceGapClosed), whole.record.gaps) == ([], [])
    closed = tick(whole.call, whole.call.arrival.gap_due_us, CallPolicy())
    assert closed.call is not None
    assert effects.SequenceGapClosed("twilio_status_callback", "not_sent", 0) in closed.effects
    assert closed.call.gaps_open == 0
    late = tell([callback("ringing", "1", 1, Extra="x"), recording("RE1", "completed")], call=closed.call)
    (record,) = tick(late.call, START_US + 3_000_000_000, CallPolicy()).effects
    assert record.gaps == []  # it opens no gap again


def test_which_numbers_were_not_sent_does_not_depend_on_the_order() -> None:
    deliveries = [callback(*one) for one in SENT] + [logged(parameters(*one)) for one in SENT]
    for order in list(permutations(deliveries))[::7]:
        assert tell(list(order)).record.gaps == []


@pytest.mark.parametrize("row", [("initiated", "0", 0), ("ringing", "1", 1)])
def test_a_callback_that_the_request_log_has_and_nobody_received_is_a_gap_that_it_heals(
    row: tuple[str, str, int],
) -> None:
    every = [("initiated", "0", 0), *SENT]
    received = [callback(*one) for one in every if one != row]
    told = tell([*received, *(logged(parameters(*one)) for one in reversed(every))])
    healed = {"sequence_number": int(row[1]), "name": row[0], "state": "closed", "closed_by": "poll_heal"}
    assert told.record.gaps == [healed]


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_lost_callback_is_healed_and_not_unsent_in_whichever_order_the_request_log_has_it(
    newest_first: bool,
) -> None:
    every = [("initiated", "0", 0), *SENT]
    told = tell([callback(*every[3])])
    opened = tick(told.call, told.call.due_s * 1_000_000, CallPolicy()).call
    assert opened is not None
    rows = [logged(parameters(*one)) for one in (every[::-1] if newest_first else every)]
    read = tell(rows, call=opened, offset=1)
    assert {(gap.by, gap.number) for gap in read.all_of(effects.SequenceGapClosed)} == {
        ("poll_heal", number) for number in (0, 1, 2)
    }
    ticked = tick(read.call, START_US + 3_000_000_000, CallPolicy())
    (record,) = [effect for effect in ticked.effects if type(effect) is CallRecord]
    assert [gap["closed_by"] for gap in record.gaps] == ["poll_heal"] * 3
