"""The results of a Telnyx leg's deliveries (case numbers: the provider reference's table)."""

from __future__ import annotations

from typing import Any

import pytest

from stream.core import effects
from stream.core.call.record import CallRecord
from tests.core.deliveries import LEG_ID, at, delivery, telnyx, telnyx_event, telnyx_row
from tests.core.folding import picked, summary, tell


def hangup(cause: str, second: float = 55, event_id: str = "e-hangup", **payload: Any) -> dict[str, Any]:
    return telnyx_event("call.hangup", event_id, second, hangup_cause=cause, **payload)


def test_a_second_attempt_and_a_failover_of_one_event_are_one_event() -> None:
    """Case 35."""
    event = telnyx_event("call.answered", "e1", 6)
    told = tell([telnyx(event), telnyx(event, attempt=2)])
    assert [(folded.result, folded.match) for folded in told.folded] == [
        ("applied", None),
        ("duplicate", "event_id"),
    ]


def test_two_digits_at_one_instant_are_two_events() -> None:
    """Case 36."""
    told = tell(telnyx(telnyx_event("call.dtmf.received", event_id, 9, digit="1")) for event_id in "ab")
    assert told.results == ["applied", "applied"]


@pytest.mark.parametrize("answered_first", [True, False])
def test_a_hangup_before_its_answer_is_corrected_when_the_answer_comes(answered_first: bool) -> None:
    """Cases 37, 38."""
    answer = telnyx(telnyx_event("call.answered", "e1", 6))
    end = telnyx(hangup("normal_clearing"))
    told = tell([answer, end] if answered_first else [end, answer])
    assert summary(told) == ("completed", "answered")
    assert picked(told.record, ["outcome", "duration_s", "answered_at", "leg_id", "terminal_source"]) == {
        "outcome": "answered",
        "duration_s": 49.0,
        "answered_at": at(6),
        "leg_id": LEG_ID,
        "terminal_source": "telnyx_webhook",
    }
    assert [record.outcome for record in told.all_of(CallRecord)] == (
        ["answered"] if answered_first else ["no_answer", "answered"]
    )
    assert len(told.all_of(effects.CallEnded)) == 1
    # A counter cannot go back: the correction of the outcome that was counted is a conflict.
    corrections = [] if answered_first else [effects.StateConflict("telnyx", "status")]
    assert told.all_of(effects.StateConflict) == corrections
    again = tell([telnyx(telnyx_event("call.answered", "e3", 7)), answer, end], call=told.call, offset=2)
    assert again.all_of(effects.StateConflict) == []


@pytest.mark.parametrize(
    ("cause", "payload", "meaning"),
    [
        ("user_busy", {"sip_hangup_cause": "486"}, ("busy", "busy")),
        ("TIMEOUT", {}, ("no-answer", "no_answer")),
        ("call_rejected", {"sip_hangup_cause": "603"}, ("no-answer", "rejected")),
        ("originator_cancel", {}, ("canceled", "canceled")),
        ("not_found", {"sip_hangup_cause": "404"}, ("failed", "failed")),
        ("something_new", {"sip_hangup_cause": "503"}, ("failed", "failed")),
        ("something_new", {}, ("completed", "unknown")),
        ("normal_clearing", {}, ("no-answer", "no_answer")),
    ],
)
def test_a_call_that_nobody_answered_ended_as_its_cause_says(
    cause: str, payload: dict[str, Any], meaning: tuple[str, str]
) -> None:
    """Cases 38, 41, 60."""
    told = tell([telnyx(hangup(cause, **payload))])
    assert summary(told) == meaning
    assert told.raised == (["call.failed"] if meaning[0] == "failed" else [])


def test_what_comes_after_the_hangup_joins_the_leg_and_leaves_it_closed() -> None:
    """Case 39."""
    told = tell(
        [
            telnyx(hangup("user_busy")),
            telnyx(
                telnyx_event("call.cost", "e2", 60, total_cost="0.0042", cost_parts=[{"currency": "USD"}])
            ),
            telnyx(telnyx_event("call.recording.saved", "e3", 61, recording_id="rec1")),
            telnyx(telnyx_event("call.analyzed", "e4", 62)),
        ]
    )
    assert told.results == ["applied"] * 4
    assert picked(told.record, ["status", "price", "price_unit", "recordings"]) == {
        "status": "busy",
        "price": "0.0042",
        "price_unit": "USD",
        "recordings": [{"id": "rec1", "status": "saved", "duration_s": None}],
    }


def test_legs_of_one_session_name_it_and_stay_calls_of_their_own() -> None:
    """Case 40."""
    told = tell([telnyx(telnyx_event("call.bridged", "e1", 7))])
    assert told.call.facts["session_id"] == "c3f1ca00-0000-11ef-8000-02420a0d7e70"
    assert (told.events[0].name, told.events[0].status) == ("call.bridged", None)


def test_a_telnyx_event_and_the_row_that_logs_it_are_one_event_and_one_delivery() -> None:
    event = hangup("user_busy")
    told = tell([telnyx(event), telnyx_row(event, status="failed")])
    assert [event.family for event in told.events] == ["progress", "delivery"]
    assert told.raised == ["webhook.failing"]
    assert summary(told) == ("busy", "busy")


def test_a_texml_call_and_its_call_control_leg_are_linked_by_the_leg() -> None:
    form = {
        "CallSid": "v3:abc",
        "CallStatus": "completed",
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "3",
        "Timestamp": at(55),
        "CallLegId": LEG_ID,
        "CallSessionId": "c3f1ca00-0000-11ef-8000-02420a0d7e70",
    }
    texml = tell([delivery("telnyx_texml_callback", "telnyx:v3:abc", form, 56)]).record
    leg = tell([telnyx(hangup("normal_clearing"))]).record
    assert (texml.leg_id, texml.session_id) == (leg.leg_id, leg.session_id) == (leg.call_id, leg.session_id)
    assert texml.key != leg.key


@pytest.mark.parametrize("version_first", [1, 2])
def test_an_event_in_both_versions_of_the_envelope_is_one(version_first: int) -> None:
    """Case 42."""
    event = telnyx_event("call.recording.saved", "e7", 60, recording_id="rec1")
    old = {
        "event_type": "recording_saved",
        "id": "e7",
        "created_at": at(60),
        "payload": event["payload"],
    }
    versions = [delivery("telnyx_webhook", f"telnyx:{LEG_ID}", old, 61), telnyx(event, received_s=62)]
    told = tell(versions if version_first == 1 else versions[::-1])
    assert told.results == ["applied", "duplicate"]
    assert [(one.name, one.family) for one in told.events] == [("call.recording.saved", "recording")]
