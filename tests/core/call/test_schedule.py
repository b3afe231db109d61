"""The reads after a call's end: which, when, how often, and when an answer is final."""

from __future__ import annotations

from typing import Any

import pytest

from stream.core.call.timers import answered
from stream.core.fetches import FetchRequest
from stream.core.policy import CallPolicy
from stream.core.sources import RETRY_SCHEDULES
from tests.core.deliveries import (
    START_US,
    answered_call,
    callback,
    calls_row,
    delivery,
    rfc2822,
    telnyx,
    telnyx_event,
)
from tests.core.folding import tell
from tests.core.lives import ALL, END_S, Asked, live, result, success


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


def test_a_texml_call_is_not_asked_for_because_its_key_is_no_leg() -> None:
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
    lived = live(answered_call(), lambda *_: {"outcome": "not_ready"}, until_s=7000)
    assert [round(step, -1) for step in lived.steps(source)] == list(RETRY_SCHEDULES[source].after_s)


def test_rows_that_still_change_are_read_again_until_they_do_not() -> None:
    contents = iter(["01", "02", "03", "03", "04"])

    def changing(request: FetchRequest, after_s: float) -> dict[str, Any]:
        if request.source != "twilio_insights_event":
            return success(request, after_s)
        return {"outcome": "success", "rows": 1, "content": next(contents)}

    lived = live(answered_call(), changing)
    assert lived.steps("twilio_insights_event") == [90, 180, 600, 1800]


def test_an_empty_answer_is_not_final_before_the_last_step() -> None:
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
    assert call.due_s == START_US // 1_000_000 + 56 + 300


def test_each_edge_of_a_call_is_read() -> None:
    client = [callback("completed", "3", END_S, To="client:anna", CallDuration="49")]
    edges = {asked.edge for asked in live(client).asked if asked.source == "twilio_insights_event"}
    assert edges == {"carrier_edge", "sdk_edge", "client_edge"}
