"""The results of deliveries, by case of the provider reference's table."""

from __future__ import annotations

from itertools import permutations

import pytest

from stream.core import effects
from stream.core.alerting.alert import Alert
from stream.core.call.lifecycle import numbers_of
from stream.core.call.record import CallRecord
from stream.core.events import Event
from tests.core.deliveries import (
    ACCOUNT,
    CALL_ID,
    START_US,
    answered_call,
    at,
    callback,
    delivery,
    insight,
    machine_detection,
    parameters,
    recording,
)
from tests.core.folding import picked, summary, tell


def test_an_answered_call_is_told_once_for_each_step_and_ends_once() -> None:
    told = tell(answered_call())
    assert told.results == ["applied"] * 4
    assert [(event.name, event.status, event.outcome) for event in told.events] == [
        ("initiated", "initiated", None),
        ("ringing", "ringing", None),
        ("answered", "in-progress", None),
        ("completed", "completed", "answered"),
    ]
    assert told.all_of(effects.CallStarted) == [effects.CallStarted("twilio", told.call.account, "outbound")]
    assert told.all_of(effects.CallEnded) == [
        effects.CallEnded("twilio", told.call.account, "outbound", "answered", 200, 1.0, 6.0, 49)
    ]
    assert len(told.all_of(CallRecord)) == 1
    assert told.alerts == []


def test_the_same_delivery_again_is_a_duplicate_by_its_number() -> None:
    """Cases 1, 51."""
    told = tell([callback("ringing", "1", 1), callback("ringing", "1", 1)])
    assert [(one.result, one.match, one.effects) for one in told.folded[1:]] == [
        ("duplicate", "sequence_number", [])
    ]
    arrival = told.call.arrival
    assert (arrival.deliveries, arrival.duplicates, arrival.late) == (2, 1, 0)


@pytest.mark.parametrize("order", [*permutations((5, 6))])
def test_a_repetition_a_second_off_is_the_same_event_and_the_earliest_time_counts(
    order: tuple[int, ...],
) -> None:
    """Case 2."""
    told = tell(callback("ringing", "1", second) for second in order)
    assert told.results == ["applied", "duplicate"]
    assert told.call.lifecycle[0].at_us == START_US + 5_000_000
    assert told.events[0].occurred_at == at(order[0])


def test_what_comes_above_a_gap_is_told_at_once() -> None:
    """Case 9."""
    told = tell([callback("initiated", "0", 0), callback("completed", "3", 55, CallDuration="49")])
    assert [[type(effect) for effect in one.effects].count(Event) for one in told.folded] == [1, 1]
    assert [record.outcome for record in told.all_of(CallRecord)] == ["answered"]


@pytest.mark.parametrize("order", [*permutations(("ringing", "completed"))])
def test_one_number_with_two_statuses_is_two_events_and_a_conflict_and_the_end_wins(
    order: tuple[str, ...],
) -> None:
    """Case 4."""
    told = tell(callback(status, "2", 5) for status in order)
    assert len(told.events) == 2
    assert summary(told) == ("completed", "answered")
    assert told.record.conflicts == [
        {"field": "sequence_number 2", "values": ["ringing", "completed"], "chosen": "completed"}
    ]


def test_an_event_behind_its_end_fills_its_place_late_and_ends_nothing_again() -> None:
    """Case 5."""
    first, second, third, last = answered_call()
    told = tell([first, second, last, third])
    assert told.results == ["applied", "applied", "applied", "late"]
    assert [event.late for event in told.events] == [False, False, False, True]
    assert len(told.all_of(effects.CallEnded)) == 1
    assert [item.name for item in told.record.timeline] == ["initiated", "ringing", "answered", "completed"]
    assert (len(told.all_of(CallRecord)), told.record.revision) == (1, 2)


def test_ringing_may_come_before_initiated() -> None:
    """Case 6."""
    first, second, *_ = answered_call()
    told = tell([second, first])
    assert told.results == ["applied", "late"]
    assert summary(told) == ("ringing", None)


def test_a_call_of_which_only_the_end_is_heard_has_no_answer_time_rather_than_a_zero() -> None:
    """Cases 7, 14."""
    told = tell([callback("completed", "0", 55)])
    assert picked(told.record, ["status", "outcome", "initiated_at", "answered_at", "duration_s"]) == {
        "status": "completed",
        "outcome": "answered",
        "initiated_at": None,
        "answered_at": None,
        "duration_s": None,
    }


def test_an_answer_that_nobody_told_is_derived_from_the_end_and_the_talk() -> None:
    """Case 8."""
    told = tell([callback("completed", "3", 55, CallDuration="49")])
    assert picked(told.record, ["answered_at", "answered_at_quality", "duration_s"]) == {
        "answered_at": at(6),
        "answered_at_quality": "derived",
        "duration_s": 49,
    }


@pytest.mark.parametrize(
    ("status", "outcome"), [("busy", "busy"), ("no-answer", "no_answer"), ("canceled", "canceled")]
)
def test_busy_no_answer_and_canceled_end_a_call_without_talk_and_without_alert(
    status: str, outcome: str
) -> None:
    """Case 10."""
    told = tell([callback(status, "2", 9, CallDuration="0", SipResponseCode="487")])
    assert summary(told) == (status, outcome)
    assert (told.record.duration_s, told.alerts) == (None, [])


@pytest.mark.parametrize("code", ["404", "503", None])
def test_a_failed_call_is_failed_whatever_its_code(code: str | None) -> None:
    """Case 11."""
    more = {} if code is None else {"SipResponseCode": code}
    told = tell([callback("failed", "1", 3, **more)])
    assert summary(told) == ("failed", "failed")
    assert told.record.sip_response_code == (None if code is None else int(code))
    assert [alert.rule.id for alert in told.alerts] == ["call.failed"]


def test_no_answer_with_487_is_no_answer_and_not_canceled() -> None:
    """Case 12."""
    assert summary(tell([callback("no-answer", "2", 30, SipResponseCode="487")])) == (
        "no-answer",
        "no_answer",
    )


def test_a_call_canceled_in_the_queue_is_a_whole_life_cycle() -> None:
    """Case 13."""
    told = tell([callback("canceled", "0", 2)])
    assert summary(told) == ("canceled", "canceled")
    assert told.record.gaps == []


def test_a_talk_of_zero_seconds_is_zero_and_answered() -> None:
    """Case 15."""
    told = tell([callback("completed", "3", 55, CallDuration="0")])
    assert picked(told.record, ["outcome", "duration_s", "answered_at"]) == {
        "outcome": "answered",
        "duration_s": 0,
        "answered_at": at(55),
    }


def test_minutes_are_never_read_as_seconds() -> None:
    """Case 16."""
    told = tell([callback("completed", "3", 55, Duration="1")])
    assert (told.events[0].duration_s, told.record.duration_s) == (None, None)


def test_a_child_leg_is_a_call_of_its_own_that_names_its_parent() -> None:
    """Cases 17, 18."""
    told = tell([callback("canceled", "1", 3, call_id="CA-child", ParentCallSid="CA-parent")])
    assert picked(told.record, ["call_id", "parent_call_id", "child_call_ids", "outcome"]) == {
        "call_id": "CA-child",
        "parent_call_id": "CA-parent",
        "child_call_ids": [],
        "outcome": "canceled",
    }
    assert told.alerts == []


def test_recordings_after_the_end_join_the_call_and_do_not_reopen_it() -> None:
    """Cases 19, 20."""
    told = tell(
        [
            *answered_call(),
            recording("RE2", "absent"),
            recording("RE1", "in-progress"),
            recording("RE1", "completed", "44"),
            recording("RE1", "completed", "44"),
        ]
    )
    assert told.results[4:] == ["applied", "applied", "applied", "duplicate"]
    assert summary(told) == ("completed", "answered")
    assert told.record.recordings == [
        {"id": "RE1", "status": "completed", "duration_s": 44},
        {"id": "RE2", "status": "absent", "duration_s": None},
    ]
    assert told.record.revision == 2
    assert len(told.all_of(effects.CallEnded)) == 1


def test_who_answered_is_an_update_of_the_call_and_no_change_of_its_status() -> None:
    """Case 21."""
    told = tell([*answered_call(), machine_detection("machine_start"), machine_detection("machine_start")])
    assert told.results[4:] == ["applied", "duplicate"]
    assert (told.record.answered_by, told.record.revision, summary(told)) == (
        "machine_start",
        2,
        ("completed", "answered"),
    )


def test_a_conference_callback_that_names_the_call_has_a_counter_of_its_own() -> None:
    """Case 22."""
    body = {
        "CallSid": told_id(),
        "ConferenceSid": "CF1",
        "StatusCallbackEvent": "participant-join",
        "SequenceNumber": "1",
    }
    joined = delivery("twilio_conference_callback", f"twilio:{told_id()}", body, 2)
    told = tell([callback("initiated", "0", 0), joined, callback("ringing", "1", 1)])
    assert told.results == ["applied"] * 3
    assert told.call.families == {"progress": 2, "conference": 1}
    assert numbers_of(told.call).missing() == []


def told_id() -> str:
    return answered_call()[0].key.partition(":")[2]


def test_times_of_receipt_and_of_update_are_those_of_the_deliveries() -> None:
    told = tell([callback("ringing", "0", 1, received_s=3), callback("busy", "1", 2, received_s=2)])
    assert told.record.updated_at == at(2)
    assert told.record.arrival == {
        "deliveries": 2,
        "duplicates": 0,
        "late": 0,
        "first_received_at": at(3),
        "last_received_at": at(3),
    }


def test_effects_are_events_records_alerts_and_facts_that_have_a_counter() -> None:
    told = tell([*answered_call(), insight("error", level="ERROR", sdk_edge={"error": {"code": 31600}})])
    kinds = {type(effect) for effect in told.effects}
    assert kinds == {
        Event,
        CallRecord,
        Alert,
        effects.CallStarted,
        effects.CallEnded,
        effects.InsightsEventSeen,
        effects.CallErrorSeen,
        effects.Observed,
    }


@pytest.mark.parametrize(("told", "second"), [({}, 0), (parameters("in-progress", "2", 6), 6)])
def test_a_request_without_an_answer_counts_where_the_call_was_not_where_the_log_was_read(
    told: dict[str, str], second: int
) -> None:
    """It is the fetch of instructions, or a callback."""
    row = {"request": {"method": "POST", "url": "https://hooks.example.test/tw", "parameters": told}}
    endpoint = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL_ID}/Events.json"
    unanswered = delivery("twilio_call_event", f"twilio:{CALL_ID}", row, 1000.0, endpoint)
    counted = tell([*answered_call(), unanswered]).all_of(effects.Observed)
    bad = {one.counters: one.at_us for one in counted if len(one.counters) == 2 or "reported" in one.counters}
    at_us = START_US + second * 1_000_000
    assert bad == {("answers", "failing"): at_us, ("reported",): at_us}


def test_of_two_numbers_the_lower_one_is_behind_whatever_their_times_say() -> None:
    assert tell([callback("ringing", "1", 9), callback("in-progress", "2", 6)]).results == ["applied"] * 2
    assert tell([callback("in-progress", "2", 6), callback("ringing", "1", 9)]).results == ["applied", "late"]
