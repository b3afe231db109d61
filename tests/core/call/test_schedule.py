"""The reads of a call: which, when, how often, when an answer is final, and what follows a failed one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from stream.core.call.record import CallRecord
from stream.core.call.state import dump
from stream.core.call.timers import answered, tick
from stream.core.effects import FetchAnswered
from stream.core.fetches import FetchRead, FetchRequest
from stream.core.policy import CallPolicy
from stream.core.sources import FETCHED_SOURCES, RETRY_SCHEDULES
from tests.core.deliveries import (
    START_US,
    answered_call,
    at,
    callback,
    calls_row,
    delivery,
    rfc2822,
    telnyx,
    telnyx_event,
)
from tests.core.folding import tell
from tests.core.lives import ALL, END_S, POLICY, Asked, live, outcome_of, result, success


def test_everything_is_read_after_the_end_and_no_more_once_it_is_enough() -> None:
    lived = live(answered_call(), until_s=8000)
    assert lived.asked == [
        Asked(0.5, "twilio_call", None, "ended", 1, "heal"),
        Asked(90.0, "twilio_insights_event", "carrier_edge", "ended", 1, "terminal"),
        # Once more, because two reads have to be the same.
        Asked(180.0, "twilio_insights_event", "carrier_edge", "ended", 2, "terminal"),
        Asked(900.0, "twilio_call_event", None, "ended", 1, "terminal"),
        Asked(1800.0, "twilio_call_summary", None, "ended", 1, "terminal"),
    ]
    assert len({request.id for request in lived.effects if type(request) is FetchRequest}) == 5


def test_a_call_of_telnyx_is_read_by_its_leg() -> None:
    hangup = telnyx(telnyx_event("call.hangup", "e3", END_S, hangup_cause="normal_clearing"), received_s=55.5)
    lived = live([hangup], until_s=5000)
    assert [(asked.after_s, asked.source) for asked in lived.asked] == [
        (60.0, "telnyx_call_event"),
        (300.0, "telnyx_call_event"),
    ]


def test_a_texml_call_is_not_asked_for_because_its_key_is_not_a_leg() -> None:
    body = {"CallSid": "v3:abc", "CallStatus": "completed", "SequenceNumber": "3", "AccountSid": "org"}
    ended = delivery("telnyx_texml_callback", "telnyx:v3:abc", body, 60.0)
    assert live([ended], until_s=5000).asked == []
    begun = delivery("telnyx_texml_callback", "telnyx:v3:abc", body | {"CallStatus": "ringing"}, 60.0)
    assert live([begun], policy=CallPolicy(polled=ALL, overdue_s=100), until_s=5000).asked == []


def test_what_is_not_polled_is_not_asked_for() -> None:
    assert live(answered_call(), policy=CallPolicy()).asked == []
    only = live(answered_call(), policy=CallPolicy(polled=("twilio_call_event",)))
    assert {asked.source for asked in only.asked} == {"twilio_call_event"}


@pytest.mark.parametrize("source", ["twilio_call", "twilio_call_event", "twilio_call_summary"])
def test_what_is_not_there_yet_is_asked_for_until_the_retry_schedule_ends(source: str) -> None:
    """Case 28."""
    lived = live(answered_call(), lambda *_: {"outcome": "not_ready"}, until_s=7000)
    assert [round(step, -1) for step in lived.steps(source)] == list(RETRY_SCHEDULES[source].after_s)


def test_rows_that_still_change_are_read_again_until_they_do_not() -> None:
    contents = iter(["01", "02", "03", "03", "04"])

    def changing(read: FetchRead, after_s: float) -> dict[str, Any]:
        if read.source != "twilio_insights_event":
            return success(read, after_s)
        return {"outcome": "success", "rows": 1, "content": next(contents)}

    lived = live(answered_call(), changing)
    assert lived.steps("twilio_insights_event") == [90, 180, 600, 1800]


def test_an_empty_answer_is_not_final_before_the_last_step() -> None:
    """Case 28."""
    lived = live(answered_call(), lambda *_: {"outcome": "empty", "content": "00"}, until_s=7000)
    assert lived.steps("twilio_insights_event") == [90, 180, 600, 1800]
    assert lived.steps("twilio_call_event") == [900, 1200, 1800, 3600]
    assert lived.records[-1].completeness["complete"] == [
        "twilio_call",
        "twilio_call_event",
        "twilio_call_summary",
        "twilio_insights_event",
    ]


def test_a_time_factor_runs_the_schedule_so_many_times_faster() -> None:
    lived = live(answered_call(), policy=CallPolicy(polled=ALL, time_factor=60), until_s=1000)
    assert lived.steps("twilio_call_summary") == [30.0]
    assert lived.steps("twilio_call_event") == [15.0]


def test_a_row_that_told_the_end_leaves_only_the_price_to_be_read() -> None:
    row = calls_row("completed", received_s=56.0, end_time=rfc2822(END_S), duration="49")
    assert live([row]).steps("twilio_call") == [300.0]


def test_what_a_window_brought_is_not_asked_for() -> None:
    """A row with the price was read while a later step was due."""
    rows = [
        calls_row("completed", received_s=56.0, end_time=rfc2822(END_S), duration="49"),
        calls_row(
            "completed", updated=90, received_s=90.0, end_time=rfc2822(END_S), duration="49", price="-1"
        ),
    ]
    only = CallPolicy(polled=("twilio_call",))
    lived = live(rows, policy=only, until_s=7000)
    assert lived.asked == []
    assert [record.completeness["complete"] for record in lived.records] == [[], [], ["twilio_call"]]
    assert live(rows[:1], policy=only).steps("twilio_call") == [300.0]
    unanswered = calls_row("busy", received_s=56.0, end_time=rfc2822(END_S))
    assert live([unanswered], policy=only).asked == []


def test_what_a_window_brought_was_read_in_the_end_whether_or_not_it_was_asked_for_first() -> None:
    policy = CallPolicy(polled=("twilio_call",))
    told = [callback("busy", "1", END_S), calls_row("busy", received_s=600.0, end_time=rfc2822(END_S))]
    lives = live(told, lambda *_: None, policy=policy), live(reversed(told), policy=policy)
    assert [len(tell(some, policy=policy).all_of(FetchRequest)) for some in (told, told[::-1])] == [1, 0]
    assert [lived.records[-1].completeness["complete"] for lived in lives] == [["twilio_call"]] * 2


def test_a_result_whose_row_told_the_end_leaves_only_the_price_to_be_read() -> None:
    policy = CallPolicy(polled=("twilio_call",))
    told = tell(answered_call(), policy=policy)
    (request,) = told.all_of(FetchRequest)
    row = calls_row("completed", received_s=56.0, end_time=rfc2822(END_S), duration="49")
    call = tell([row], call=told.call, policy=policy).call
    answered(call, result(request, outcome="success", content="01"), START_US + 56_000_000, "", policy)
    assert [fetch.due_s for fetch in call.fetches] == [START_US // 1_000_000 + 56 + 300]


def test_each_edge_of_a_call_is_read() -> None:
    client = [callback("completed", "3", END_S, To="client:anna", CallDuration="49")]
    edges = {asked.edge for asked in live(client).asked if asked.source == "twilio_insights_event"}
    assert edges == {"carrier_edge", "sdk_edge", "client_edge"}


def test_without_an_account_it_is_asked_for_as_rarely_as_may_be() -> None:
    steps = live(answered_call(), lambda *_: {"outcome": "no_account"}).steps("twilio_call")
    assert {round(b - a) for a, b in pairwise(steps)} == {600}


def test_a_fetch_that_failed_takes_no_step_and_is_asked_again_ever_more_slowly() -> None:
    def refused(read: FetchRead, after_s: float) -> dict[str, Any]:
        return {"outcome": "auth_error"} if after_s < 1000 else success(read, after_s)

    steps = live(answered_call(), refused).steps("twilio_call")
    pauses = [round(b - a) for a, b in pairwise(steps)]
    assert pauses == [60, 120, 240, 480, 600]


def test_a_poller_whose_clock_is_behind_does_not_have_a_call_asked_for_without_a_pause() -> None:
    def steps(outcome: str) -> list[list[float]]:
        answers = {"outcome": outcome}
        lives = (live(answered_call(), lambda *_: answers, until_s=7000, behind_s=s) for s in (0, 3600))
        return [[round(step) for step in lived.steps("twilio_insights_event")] for lived in lives]

    for outcome in ("server_error", "no_account", "not_ready"):
        right, behind = steps(outcome)
        assert behind == right


def test_an_answer_ends_the_growing_pauses() -> None:
    fails = [True, True, False, True, False, False, False]
    outcomes = iter(["server_error" if failed else "not_ready" for failed in fails])

    def flapping(read: FetchRead, after_s: float) -> dict[str, Any]:
        return {"outcome": next(outcomes)} if read.source == "twilio_call" else success(read, after_s)

    steps = live(answered_call(), flapping, policy=CallPolicy(polled=("twilio_call",))).steps("twilio_call")
    assert [round(b - a) for a, b in pairwise(steps)] == [60, 120, 30, 60, 270, 1500]


def test_a_request_that_nobody_answers_is_not_repeated() -> None:
    """The request stays in Kafka until a poller answers it."""
    lived = live(answered_call(), lambda *_: None, until_s=7000)
    assert [asked.attempt for asked in lived.asked] == [1] * 4


def test_a_result_that_came_twice_or_too_late_changes_nothing() -> None:
    told = tell(answered_call(), policy=POLICY)
    request = told.all_of(FetchRequest)[0]
    came = result(request, outcome="not_ready")
    first = answered(told.call, came, START_US + 60_000_000, "", POLICY)
    before = dump(told.call)
    assert first == [FetchAnswered("twilio_call", "not_ready")]
    assert answered(told.call, came, START_US + 61_000_000, "", POLICY) == []
    other = result(request, [outcome_of(FetchRead("twilio_call_summary", None), outcome="success")])
    assert answered(told.call, other, START_US + 61_000_000, "", POLICY) == []
    assert dump(told.call) == before


def test_the_result_of_an_older_attempt_is_not_that_of_the_one_that_is_awaited() -> None:
    told = tell(answered_call(), policy=POLICY)
    (first,) = told.all_of(FetchRequest)
    answered(told.call, result(first, outcome="not_ready"), START_US + 60_000_000, "", POLICY)
    ticked = tick(told.call, START_US + 100_000_000, POLICY)
    assert ticked.call is not None
    (second,) = ticked.effects
    late = result(first, outcome="success", complete=True)
    assert answered(ticked.call, late, START_US + 101_000_000, "", POLICY) == []
    late.attempt = second.attempt
    assert answered(ticked.call, late, START_US + 101_000_000, "", POLICY) != []


def test_reads_of_one_request_are_answered_each_for_itself() -> None:
    ended = [callback("completed", "0", END_S, To="client:anna", CallDuration="49")]
    policy = CallPolicy(polled=("twilio_insights_event",))
    ticked = tick(tell(ended, policy=policy).call, START_US + 150_000_000, policy)
    assert ticked.call is not None
    (request,) = ticked.effects
    assert [read.edge for read in request.reads] == ["carrier_edge", "sdk_edge", "client_edge"]
    _, sdk, client = request.reads
    outcomes = [outcome_of(sdk, outcome="success", content="0f"), outcome_of(client, outcome="server_error")]
    effects = answered(ticked.call, result(request, outcomes), START_US + 151_000_000, "", policy)
    assert [effect.outcome for effect in effects] == ["success", "server_error"]
    fetches = [(fetch.due_s, fetch.content, fetch.errors) for fetch in ticked.call.fetches]
    start_s = START_US // 1_000_000
    assert fetches == [(0, 0, 0), (start_s + 241, 15, 0), (start_s + 211, 0, 1)]
    (again,) = tick(ticked.call, START_US + 250_000_000, policy).effects
    assert [read.content for read in again.reads] == ["000000000000000f", None]


def test_the_attempt_of_a_request_is_greater_than_any_of_its_reads_had() -> None:
    told = tell(answered_call(), policy=POLICY)
    (first,) = told.all_of(FetchRequest)
    answered(told.call, result(first, outcome="not_ready"), START_US + 60_000_000, "", POLICY)
    (second,) = tick(told.call, START_US + 7_000_000_000, POLICY).effects
    assert (len(second.reads), second.attempt, second.due_at) == (4, 2, at(90))


def test_a_schedule_that_is_behind_asks_at_once_and_then_leaves_time_between() -> None:
    late = [callback("completed", "3", END_S, CallDuration="49", received_s=END_S + 4000.0)]
    lived = live(late, lambda *_: {"outcome": "not_ready"}, until_s=9000, policy=CallPolicy(polled=ALL))
    assert [round(at - 4000) for at in lived.steps("twilio_call_event")] == [0, 300, 900, 2700]


def test_calls_that_ended_before_the_worker_was_away_for_long_are_read_all_the_same() -> None:
    told = tell(answered_call(), policy=POLICY)
    back_us = START_US + 3 * 3600 * 1_000_000
    ticked = tick(told.call, back_us, POLICY)
    assert ticked.call is not None
    (asked,) = (effect for effect in ticked.effects if type(effect) is FetchRequest)
    assert [read.source for read in asked.reads] == [
        *("twilio_insights_event", "twilio_call_event", "twilio_call_summary")
    ]
    assert (asked.due_at, asked.attempt, asked.priority) == (at(END_S + 90), 1, "backfill")
    stays = tick(ticked.call, back_us + 3600 * 1_000_000, POLICY)
    assert stays.call is not None
    gone = tick(stays.call, back_us + 7200 * 1_000_000, POLICY)
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
    (request,) = tell([row], policy=POLICY).all_of(FetchRequest)
    assert len(request.reads) == 4
    assert request.due_at == at(3 * 86_400)


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
        source for source in FETCHED_SOURCES if "twilio" in source and source != "twilio_notification"
    }


@pytest.mark.parametrize(
    ("status", "steps"),
    [("completed", []), ("failed", [60, 600]), ("busy", [60, 600]), ("canceled", [60, 600])],
)
def test_notifications_are_read_of_calls_that_were_not_answered(status: str, steps: list[int]) -> None:
    ended = [callback(status, "3", END_S, SipResponseCode="200")]

    def empty(read: FetchRead, _after_s: float) -> dict[str, Any]:
        return {"outcome": "not_found"} if read.source == "twilio_notification" else success(read, 0)

    lived = live(ended, empty, until_s=9000)
    assert [round(step, -1) for step in lived.steps("twilio_notification")] == steps
    # That there are none, or no such resource any more, leaves no call incomplete.
    assert lived.records[-1].completeness["complete"] == lived.records[-1].completeness["expected"][:4]


def test_an_overdue_call_is_asked_for_at_the_resource_that_knows_and_ends_by_its_row() -> None:
    policy = CallPolicy(polled=ALL, overdue_s=100)
    call = tell([callback("initiated", "0", 0, received_s=0.0)], policy=policy).call
    ticked = tick(call, START_US + 100_000_000, policy)
    request, _ = ticked.effects
    assert (request.reads, request.reason, request.attempt, request.priority) == (
        *([FetchRead("twilio_call", None)], "overdue"),
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
