"""Gaps and what closes them; when a call is read completely; its callbacks compared with its resources."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from stream.core.alerting.alert import Alert
from stream.core.call.record import CallRecord
from stream.core.call.timers import answered, tick
from stream.core.effects import CallbackMissing, CallReconciled, SequenceGapClosed, SequenceGapOpened
from stream.core.fetches import FetchRequest
from stream.core.policy import CallPolicy
from tests.core.deliveries import (
    ACCOUNT,
    CALL_ID,
    ENDED,
    START_US,
    TWILIO_KEY,
    answered_call,
    callback,
    calls_row,
    delivery,
    logged,
    parameters,
    recording,
    telnyx,
    telnyx_event,
    telnyx_row,
)
from tests.core.folding import tell
from tests.core.lives import POLICY, live, result
from tests.core.mixtures import texml


def test_what_is_complete_is_told_when_all_is_or_nothing_more_is_awaited() -> None:
    """In between it would depend on what came first."""
    told = tell(answered_call(), policy=POLICY)
    (request,) = told.all_of(FetchRequest)
    answered(told.call, result(request, outcome="success", complete=True), START_US + 60_000_000, "", POLICY)
    assert (
        tell([recording("RE1", "completed")], call=told.call, policy=POLICY).record.completeness["complete"]
        == []
    )
    tick(told.call, START_US + 4_000_000_000, POLICY)
    settled = tick(told.call, START_US + 9_000_000_000, POLICY)
    (record,) = (effect for effect in settled.effects if type(effect) is CallRecord)
    assert record.completeness["complete"] == ["twilio_call"]


def test_a_call_of_which_all_is_read_says_so_once_and_is_reconciled() -> None:
    requests = [
        logged(parameters(status, str(n), second), received_s=960.0)
        for status, n, second in [
            ("initiated", 0, 0),
            ("ringing", 1, 1),
            ("in-progress", 2, 6),
            ("completed", 3, 55),
        ]
    ]
    lived = live([*answered_call(), *requests[:3]], until_s=7000)
    read = ["twilio_call", "twilio_call_event", "twilio_call_summary", "twilio_insights_event"]
    assert lived.records[-1].completeness == {
        "expected": [*read, "twilio_status_callback"],
        "seen": ["twilio_call_event", "twilio_status_callback"],
        "complete": read,
    }
    assert [e for e in lived.effects if type(e) is CallReconciled] == [CallReconciled("twilio", "match")]
    assert [record.settled for record in lived.records[-2:]] == [False, False]
    first_whole = [bool(record.completeness["complete"]) for record in lived.records]
    assert first_whole == [False] * (len(first_whole) - 1) + [True]


def test_a_callback_that_only_the_log_knows_is_missing() -> None:
    sent = [callback("initiated", "0", 0), callback("completed", "1", 55)]
    rows = [logged(parameters("initiated", "0", 0)), logged(parameters("completed", "1", 55))]
    lived = live([sent[0], *rows], until_s=9000)
    found = [e for e in lived.effects if type(e) in (CallReconciled, CallbackMissing)]
    assert found == [
        CallbackMissing("twilio_status_callback", "completed"),
        CallReconciled("twilio", "missing_callback"),
    ]


def test_an_entry_of_the_error_log_is_neither_a_callback_nor_a_resource_of_the_call() -> None:
    entry = {"sid": "NO1", "call_sid": CALL_ID, "error_code": "11200", "log": "0"}
    read = delivery("twilio_notification", TWILIO_KEY, entry, 60.0)
    sent = delivery("twilio_debugger", TWILIO_KEY, {"Sid": "NO1", "AccountSid": ACCOUNT} | _payload(), 60.0)
    for deliveries, expected in (
        ([*answered_call(), read], "missing_poll"),
        ([calls_row("completed", end_time=ENDED), sent], "missing_callback"),
    ):
        lived = live(deliveries)
        (found,) = [e for e in lived.effects if type(e) is CallReconciled]
        assert found.result == expected


def _payload() -> dict[str, str]:
    return {"PayloadType": "application/json", "Payload": f'{{"resource_sid": "{CALL_ID}"}}'}


def test_a_resource_that_tells_another_end_than_the_callbacks_is_a_mismatch() -> None:
    lived = live([*answered_call(), calls_row("failed", end_time=ENDED)])
    assert [e for e in lived.effects if type(e) is CallReconciled] == [CallReconciled("twilio", "mismatch")]
    same = live([*answered_call(), calls_row("completed", end_time=ENDED)])
    assert [e for e in same.effects if type(e) is CallReconciled] == [CallReconciled("twilio", "match")]


def test_a_callback_that_is_missing_says_more_than_ends_that_differ() -> None:
    """Which callback was lost is for the operator to mend; the ends then have their reason."""
    lost = logged(parameters("completed", "3", 55))
    lived = live(
        [*answered_call()[:3], callback("busy", "4", 55), lost, calls_row("completed")], until_s=9000
    )
    found = [e.result for e in lived.effects if type(e) is CallReconciled]
    assert found == ["missing_callback"]


def test_a_call_that_leaves_unread_is_reconciled_with_what_is_there() -> None:
    lived = live(answered_call(), lambda *_: None)
    assert [e for e in lived.effects if type(e) is CallReconciled] == [
        CallReconciled("twilio", "missing_poll")
    ]
    assert lived.call is None
    assert lived.records[-1].completeness["complete"] == []


def test_a_call_of_a_provider_of_which_nothing_is_polled_is_not_reconciled() -> None:
    hangup = telnyx(telnyx_event("call.hangup", "e1", 10, hangup_cause="normal_clearing"))
    lived = live([hangup], policy=CallPolicy(polled=("twilio_call",)))
    assert lived.call is None
    assert [one for one in lived.effects if type(one) is CallReconciled] == []


def test_of_a_texml_call_only_its_callbacks_are_expected_and_there_is_nothing_to_compare() -> None:
    body = {"CallSid": "v3:abc", "CallStatus": "completed", "SequenceNumber": "3", "AccountSid": "org"}
    lived = live([delivery("telnyx_texml_callback", "telnyx:v3:abc", body, 60.0)])
    assert [record.completeness for record in lived.records] == [
        {"expected": ["telnyx_texml_callback"], "seen": ["telnyx_texml_callback"], "complete": []}
    ] * len(lived.records)
    assert [effect for effect in lived.effects if type(effect) is CallReconciled] == []


def test_of_a_texml_call_no_number_is_missing_because_it_may_count_what_it_does_not_send() -> None:
    steps = [texml("initiated", "0", 0, received_s=0.5), texml("failed", "3", 9, received_s=9.5)]
    lived = live(steps)
    assert [record.gaps for record in lived.records] == [[]] * len(lived.records)
    alerts = [one for one in lived.effects if type(one) is Alert]
    assert {one.rule.id for one in alerts} == {"call.failed"}
    assert [one.call.missing_sequence_numbers for one in alerts if one.call is not None] == [[]] * len(alerts)
    assert [one for one in lived.effects if type(one) in (SequenceGapOpened, SequenceGapClosed)] == []


def gap(number: int | None, name: str | None, closed_by: str | None) -> dict[str, Any]:
    state = "open" if closed_by is None else "closed"
    return {"sequence_number": number, "name": name, "state": state, "closed_by": closed_by}


def gaps_of(told: Any) -> list[list[dict[str, Any]]]:
    """The gaps of each record, repeated ones left out."""
    return [key for key, _ in groupby(record.gaps for record in told.records)]


def test_a_gap_is_told_when_its_grace_is_over_and_how_it_ended() -> None:
    initiated, ringing, answered, completed = answered_call()
    late = [initiated, answered, completed, callback("ringing", "1", 1, received_s=80.0)]
    assert gaps_of(live(late, lambda *_: None)) == [
        [gap(1, None, None)],
        [gap(1, "ringing", "late_arrival")],
    ]
    healed = [initiated, answered, completed, logged(parameters("ringing", "1", 1))]
    assert gaps_of(live(healed, lambda *_: None)) == [
        [gap(1, None, None)],
        [gap(1, "ringing", "poll_heal")],
    ]
    lost = live([initiated, answered, completed], lambda *_: None)
    assert gaps_of(lost) == [[gap(1, None, None)], [gap(1, None, "expired")]]
    assert gaps_of(live([completed], lambda *_: None))[0] == []
    assert gaps_of(live([initiated, ringing, answered, completed])) == [[]]


def test_a_request_log_that_neither_fills_nor_explains_a_gap_is_read_again() -> None:
    initiated, _, answered, completed = answered_call()
    some = [logged(parameters("initiated", "0", 0), received_s=956.0)]
    lived = live([initiated, answered, completed, *some])
    assert lived.steps("twilio_call_event") == [900, 1200, 1800, 3600]
    whole = live([*answered_call(), *some])
    assert whole.steps("twilio_call_event") == [900]


def test_a_leg_of_telnyx_whose_begin_is_missing_has_a_gap() -> None:
    initiated, answered = telnyx_event("call.initiated", "e1", 0), telnyx_event("call.answered", "e2", 6)
    hangup = telnyx_event("call.hangup", "e3", 20, hangup_cause="normal_clearing")
    came = [telnyx(answered, received_s=6.1), telnyx(hangup, received_s=20.1)]
    lost = live(came, lambda *_: None)
    assert [e for e in lost.effects if type(e) in (SequenceGapOpened, SequenceGapClosed)] == [
        SequenceGapOpened("telnyx_webhook", [256]),
        SequenceGapClosed("telnyx_webhook", "expired", 256),
    ]
    assert lost.asked[0].reason == "gap"
    assert gaps_of(lost)[-1] == [gap(None, "initiated", "expired")]
    late = live([*came, telnyx(initiated, received_s=60.0)], lambda *_: None)
    assert gaps_of(late)[-1] == [gap(None, "initiated", "late_arrival")]
    polled = live([*came, telnyx_row(initiated, received_s=60.0)], lambda *_: None)
    assert gaps_of(polled)[-1] == [gap(None, "initiated", "poll_heal")]
    assert [e.by for e in polled.effects if type(e) is SequenceGapClosed] == ["poll_heal"]


def test_a_call_of_which_only_resources_are_read_has_no_gaps() -> None:
    rows = [logged(parameters("initiated", "0", 0)), logged(parameters("completed", "2", 55))]
    hangup = telnyx_event("call.hangup", "e3", 20, hangup_cause="normal_clearing")
    for deliveries in (rows, [telnyx_row(hangup)]):
        assert gaps_of(live(deliveries)) == [[]]
