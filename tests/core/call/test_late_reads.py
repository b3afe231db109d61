"""Reads of calls that were reported late, ended while no worker ran, or do not end."""

from __future__ import annotations

from stream.core.call.record import CallRecord
from stream.core.call.timers import answered, tick
from stream.core.fetches import FetchRequest
from stream.core.policy import CallPolicy
from stream.core.sources import FETCHED_SOURCES
from stream.core.timestamps import utc
from tests.core.deliveries import START_US, answered_call, callback, calls_row, rfc2822
from tests.core.folding import tell
from tests.core.lives import ALL, END_S, POLICY, live, result


def test_a_schedule_that_is_behind_asks_at_once_and_then_leaves_time_between() -> None:
    late = [callback("completed", "3", END_S, CallDuration="49", received_s=END_S + 4000.0)]
    lived = live(late, lambda *_: {"outcome": "not_ready"}, until_s=9000, policy=CallPolicy(polled=ALL))
    assert [round(at - 4000) for at in lived.steps("twilio_call_event")] == [0, 300, 900, 2700]


def test_calls_that_ended_before_the_worker_was_away_for_long_are_read_all_the_same() -> None:
    told = tell(answered_call(), policy=POLICY)
    back_us = START_US + 3 * 3600 * 1_000_000
    ticked = tick(told.call, back_us, POLICY)
    assert ticked.call is not None
    asked = [effect.source for effect in ticked.effects if type(effect) is FetchRequest]
    assert asked == ["twilio_insights_event", "twilio_call_event", "twilio_call_summary"]
    gone = tick(ticked.call, back_us + 7200 * 1_000_000, POLICY)
    assert gone.call is None


def test_a_call_of_which_all_is_known_waits_for_nobody_however_long_the_worker_was_away() -> None:
    policy = CallPolicy(polled=("twilio_call",))
    told = tell([calls_row("completed", end_time=rfc2822(END_S), price="-0.0075")], policy=policy)
    assert told.call.fetches
    ticked = tick(told.call, START_US + 3 * 3600 * 1_000_000, policy)
    (record,) = (effect for effect in ticked.effects if type(effect) is CallRecord)
    assert (ticked.call, record.settled) == (None, True)
    assert record.completeness["complete"] == ["twilio_call"]


def test_what_is_overdue_when_it_is_planned_is_due_now_and_has_waited_for_nobody() -> None:
    row = calls_row("completed", received_s=3 * 86_400, end_time=rfc2822(END_S), duration="49")
    requests = tell([row], policy=POLICY).all_of(FetchRequest)
    assert len(requests) == 4
    assert {request.due_at for request in requests} == {utc(START_US + 3 * 86_400_000_000)}


def test_a_call_that_ended_long_before_it_was_told_of_is_read_behind_those_of_now() -> None:
    row = calls_row("completed", received_s=3 * 86_400, end_time=rfc2822(END_S), duration="49")
    lived = live([row], lambda *_: {"outcome": "not_ready"}, until_s=3 * 86_400 + 3000)
    assert len(lived.asked) > 4
    assert {asked.priority for asked in lived.asked} == {"backfill"}
    late = [callback("completed", "3", END_S, received_s=END_S + 7000.0)]
    assert {asked.priority for asked in live(late).asked} == {"heal", "terminal"}


def test_a_call_that_ended_in_the_future_is_read_as_if_it_had_ended_when_we_heard_of_it() -> None:
    """A provider's clock, or a date that it made up."""
    skewed = [
        callback("completed", "3", END_S, CallDuration="49", Timestamp="Fri, 01 Jan 2100 00:00:00 +0000")
    ]
    lived = live(skewed, until_s=8000)
    assert {asked.source for asked in lived.asked} == {
        source for source in FETCHED_SOURCES if "twilio" in source
    }


def test_an_overdue_call_is_asked_for_at_the_resource_that_knows_and_ends_by_its_row() -> None:
    policy = CallPolicy(polled=ALL, overdue_s=100)
    call = tell([callback("initiated", "0", 0, received_s=0.0)], policy=policy).call
    ticked = tick(call, START_US + 100_000_000, policy)
    (request,) = ticked.effects
    assert (request.source, request.reason, request.attempt, request.priority) == (
        *("twilio_call", "overdue"),
        *(1, "heal"),
    )
    row = calls_row("completed", received_s=101.0, end_time=rfc2822(END_S), duration="49")
    told = tell([row], call=ticked.call, policy=policy)
    # The result of the overdue read is behind its row, and nobody awaits it any more.
    assert answered(told.call, result(request, outcome="success"), START_US + 101_000_000, "", policy) == []
    assert [fetch.overdue for fetch in told.call.fetches] == [False] * 4
    assert told.record.status == "completed"


def test_a_call_that_is_really_that_long_is_asked_for_more_and_more_rarely() -> None:
    policy = CallPolicy(polled=ALL, overdue_s=100)
    lived = live(
        [callback("initiated", "0", 0, received_s=0.0)],
        lambda *_: {"outcome": "success", "rows": 1, "content": "01"},
        policy=policy,
        until_s=90_000,
    )
    assert [round(asked.after_s + END_S - 100) for asked in lived.asked] == [
        *(0, 300, 1800, 7200),
        *(21_600, 43_200),
    ]
    assert lived.call is None
