"""The content of alerts, and their ids as functions of the input alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from stream.core.alerting.alert import Alert
from stream.core.alerting.rules import read_rules
from stream.core.call.state import dump, load
from stream.core.call.timers import tick
from stream.core.identity import VERSION, name_id
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from tests.core.deliveries import (
    ACCOUNT,
    CALL_ID,
    START_US,
    TWILIO_KEY,
    Delivery,
    answered_call,
    at,
    callback,
    calls_row,
    insight,
    logged,
    parameters,
    telnyx,
    telnyx_event,
)
from tests.core.folding import Told, tell
from tests.core.mixtures import orders, several

FAILED = [
    callback("initiated", "0", 0),
    callback("failed", "2", 3, SipResponseCode="503", ErrorCode="13224"),
]

RANKS = ("info", "warning", "critical")


def test_the_alert_of_a_failed_call() -> None:
    told = tell(FAILED, policy=CallPolicy(account_alias="acme"))
    (alert,) = told.alerts
    opening = told.events[1]
    fingerprint = name_id(VERSION, "alert", "call.failed", "twilio", None, "call", TWILIO_KEY)
    episode_id = name_id(VERSION, "episode", fingerprint, opening.id)
    condition = name_id(
        VERSION,
        *("alert", "calls.failing", "twilio", ACCOUNT),
        *("failure", f"twilio:failures:{ACCOUNT}:outbound:sip-503"),
    )
    assert msgspec.to_builtins(alert) == {
        "schema_version": 1,
        "id": name_id(VERSION, "revision", fingerprint, episode_id, 1),
        "fingerprint": fingerprint,
        "episode_id": episode_id,
        "revision": 1,
        "state": "firing",
        "severity": "info",
        "rule": {"id": "call.failed", "version": 1},
        "provider": "twilio",
        "account": ACCOUNT,
        "account_alias": "acme",
        "scope": {"type": "call", "id": TWILIO_KEY},
        "starts_at": at(3),
        "ends_at": None,
        "detected_at": at(3.5),
        "updated_at": at(3.5),
        "confidence": "provisional",
        "reason": {
            "code": "failed",
            "text": "The call failed with SIP response code 503 and error code 13224.",
            "help": "The destination number is not valid or not supported: check it.",
            "provider_error_code": "13224",
            "sip_response_code": 503,
        },
        "call": {
            "id": CALL_ID,
            "parent_id": None,
            "session_id": None,
            "leg_id": None,
            "direction": "outbound",
            "status": "failed",
            "outcome": "failed",
            "verdict": "request",
            "started_at": at(0),
            "ended_at": at(3),
            "duration_s": None,
            "from": "+15*******06",
            "to": "+15*******09",
            "edge": None,
            "stir_attestation": None,
            "last_sequence_number": 2,
            "missing_sequence_numbers": [1],
        },
        "webhook": None,
        "window": None,
        "occurrences": 1,
        "samples": [],
        "evidence": [
            {
                "source": "twilio_status_callback",
                "event_id": opening.id,
                "name": "completed",
                "level": None,
                "sequence_number": 2,
                "occurred_at": at(3),
                "received_at": at(3.5),
                "topic": "calls.callbacks.v1",
                "partition": 0,
                "offset": 1,
                "edge": None,
            }
        ],
        "links": {
            "error_code": "https://www.twilio.com/docs/api/errors/13224",
            "parent_alert": f"urn:uuid:{condition}",
        },
        "labels": {},
    }


def revisions(told: Told) -> list[tuple[str, int, str, str, str]]:
    """(rule, revision, state, confidence, reason's code) of each alert record."""
    return [(one.rule.id, one.revision, one.state, one.confidence, one.reason.code) for one in told.alerts]


@pytest.mark.parametrize("last", [callback, lambda *said: logged(parameters(*said))])
def test_the_evidence_of_a_failed_call_is_its_last_event_from_any_source(last: Any) -> None:
    told = tell([callback("initiated", "0", 0), last("failed", "1", 3)])
    (alert,) = told.alerts
    (failed,) = [event for event in told.events if event.status == "failed"]
    assert [(one.event_id, one.name) for one in alert.evidence] == [(failed.id, "completed")]
    assert alert.episode_id == name_id(VERSION, "episode", alert.fingerprint, failed.id)


def test_a_second_source_confirms_and_says_no_more_than_that() -> None:
    told = tell([*FAILED, *FAILED, calls_row("failed"), logged(parameters("failed", "2", 3)), *FAILED])
    assert revisions(told) == [
        ("call.failed", 1, "firing", "provisional", "failed"),
        ("call.failed", 2, "firing", "confirmed", "failed"),
    ]
    first, second = told.alerts
    assert (first.episode_id, first.evidence) == (second.episode_id, second.evidence)


def test_what_the_resource_disproves_is_retracted() -> None:
    told = tell([*FAILED, calls_row("completed")])
    failed, retracted, _ = told.alerts
    assert revisions(told)[:2] == [
        ("call.failed", 1, "firing", "provisional", "failed"),
        ("call.failed", 2, "resolved", "provisional", "retracted_by_reconciliation"),
    ]
    assert retracted.reason.text == "Retracted: the call is completed (answered), according to twilio_call."
    assert (retracted.ends_at, retracted.episode_id) == (retracted.updated_at, failed.episode_id)
    assert (retracted.links, "parent_alert" in failed.links) == ({}, True)
    assert list(told.firing) == ["state.conflict"]


def test_nothing_of_a_call_fires_once_it_has_settled() -> None:
    told = tell([*FAILED, calls_row("failed")])
    ticked = tick(load(dump(told.call)), START_US + 90_000_000_000, CallPolicy())
    (last,) = (effect for effect in ticked.effects if type(effect) is Alert)
    assert (last.state, last.reason.code, last.revision) == ("resolved", "settled", 3)
    assert last.call is not None
    fired = told.alerts[-1]
    assert (last.evidence, last.links) == (fired.evidence, fired.links)
    assert last.reason.text == f"The call has settled. {fired.reason.text}"
    assert (last.reason.provider_error_code, last.reason.sip_response_code) == ("13224", 503)


def test_the_name_of_an_account_does_not_change_what_an_alert_is() -> None:
    first, second = (tell(FAILED, policy=CallPolicy(account_alias=alias)).alerts[0] for alias in ("a", "b"))
    assert (first.id, first.fingerprint, first.episode_id) == (
        second.id,
        second.fingerprint,
        second.episode_id,
    )


def test_an_account_that_becomes_known_later_does_not_change_what_an_alert_is() -> None:
    first = tell([telnyx(telnyx_event("call.speak.failed", "e1", 4))])
    (opened,) = first.alerts
    assert opened.account is None
    first.call.facts["account"] = first.call.account = "known"
    ended = tell([telnyx(telnyx_event("call.hangup", "e2", 9, hangup_cause="not_found"))], call=first.call)
    resolved, *_ = ended.alerts
    assert (resolved.account, resolved.state) == ("known", "resolved")
    assert (resolved.fingerprint, resolved.episode_id) == (opened.fingerprint, opened.episode_id)


def error(second: int) -> Delivery:
    return insight("error", second, level="ERROR", edge="sdk_edge", sdk_edge={"error": {"code": 31600}})


def test_error_events_of_a_call_are_one_episode_with_a_revision_at_each_power_of_ten() -> None:
    told = tell([*answered_call(), *map(error, range(3, 15)), insight("x", level="WARNING"), error(3)])
    first, second = told.alerts
    assert (first.severity, first.starts_at, first.detected_at, first.occurrences) == (
        "info",
        at(3),
        at(150),
        1,
    )
    assert (second.revision, second.occurrences, len(second.evidence)) == (2, 10, 5)
    assert first.episode_id == second.episode_id
    assert second.reason.text == ("The provider reported 10 errors: error at sdk_edge, error code 31600.")


def test_an_error_is_told_with_its_own_edge_not_with_that_of_another_event() -> None:
    elsewhere = insight("initiated", 1, edge="carrier_edge")
    without_edge = tell(
        [elsewhere, insight("error", 3, level="ERROR", edge=None, sdk_edge={"error": {"code": 31600}})]
    )
    (alert,) = without_edge.alerts
    assert alert.reason.text == "The provider reported an error: error, error code 31600."
    texts = {tell(order).alerts[0].reason.text for order in ([elsewhere, error(3)], [error(3), elsewhere])}
    assert texts == {"The provider reported an error: error at sdk_edge, error code 31600."}


@pytest.mark.parametrize("first", [FAILED, []])
def test_an_error_event_of_a_call_that_fails_is_evidence_of_that(first: list[Delivery]) -> None:
    told = tell([*first, error(2), *FAILED, calls_row("failed")])
    assert list(told.firing) == ["call.failed"]
    sources = {one.source for one in told.firing["call.failed"].evidence}
    assert sources == {"twilio_status_callback", "twilio_insights_event"}
    if not first:
        assert ("call.error_event", 2, "resolved", "confirmed", "call_failed") in revisions(told)


@pytest.mark.parametrize("severity", RANKS)
def test_a_fault_of_the_application_is_no_less_severe_than_the_rule(severity: str) -> None:
    rules = read_rules(f'[[rules]]\nid = "call.failed"\nseverity = "{severity}"')
    failed = [callback("failed", "1", 3, ErrorCode="11200")]
    (alert,) = tell(failed, policy=CallPolicy(alert_rules=rules)).alerts
    assert alert.call is not None
    assert (alert.call.verdict, alert.severity) == ("application", max("warning", severity, key=RANKS.index))


def test_a_call_without_an_end_fires_until_it_has_one() -> None:
    policy = CallPolicy(overdue_s=100, max_age_s=1000)
    begun = tell([callback("initiated", "0", 0)], policy=policy).call
    ticked = tick(begun, START_US + 101_000_000, policy)
    (overdue,) = (effect for effect in ticked.effects if type(effect) is Alert)
    assert (overdue.rule.id, overdue.severity, overdue.evidence) == ("call.no_terminal_event", "warning", [])
    assert ticked.call is not None
    ended = tell([callback("completed", "1", 102)], call=ticked.call, policy=policy)
    assert ("call.no_terminal_event", 2, "resolved", "confirmed", "ended") in revisions(ended)


def test_a_gap_fires_after_its_grace_and_says_what_closed_it() -> None:
    call = tell([callback("initiated", "0", 0), callback("in-progress", "2", 5)]).call
    ticked = tick(call, START_US + 60_000_000, CallPolicy())
    (gap,) = (effect for effect in ticked.effects if type(effect) is Alert)
    assert (gap.rule.id, gap.reason.text) == ("delivery.gap", "Not received: sequence number 1.")
    assert ticked.call is not None
    healed = tell([callback("ringing", "1", 2)], call=ticked.call)
    assert revisions(healed) == [("delivery.gap", 2, "resolved", "confirmed", "late_arrival")]


def test_a_very_short_call_is_a_fact_that_the_rule_can_be_told_to_leave_out() -> None:
    short = [callback("in-progress", "1", 5), callback("completed", "2", 6, CallDuration="1")]
    (alert,) = tell(short).alerts
    assert (alert.rule.id, alert.reason.text) == (
        "call.short",
        "The call was answered and ended after 1 s of talk.",
    )
    off = read_rules('[[rules]]\nid = "call.short"\nenabled = false')
    assert tell(short, policy=CallPolicy(alert_rules=off)).alerts == []
    # Switched off later, it is resolved with the next delivery.
    later = tell(
        [calls_row("completed", duration="1")], call=tell(short).call, policy=CallPolicy(alert_rules=off)
    )
    assert ("call.short", 2, "resolved", "confirmed", "rule_disabled") in revisions(later)


def test_a_usual_call_raises_nothing_and_keeps_nothing_of_it() -> None:
    told = tell(answered_call())
    assert (told.alerts, told.call.alerts) == ([], None)


@given(several, orders)
@settings(max_examples=48, deadline=None)
def test_what_fires_in_the_end_does_not_depend_on_the_order(deliveries: list[Delivery], order: Any) -> None:
    shuffled = deliveries + [one for one in deliveries if order.random() < 0.3]
    order.shuffle(shuffled)
    first, second = (
        {rule: (one.fingerprint, one.severity, one.confidence) for rule, one in tell(some).firing.items()}
        for some in (deliveries, shuffled)
    )
    assert first == second


@given(several)
@settings(max_examples=24, deadline=None)
def test_each_revision_has_an_id_of_its_own_and_the_same_once_more(deliveries: list[Delivery]) -> None:
    ids = [alert.id for alert in tell(deliveries).alerts]
    assert len(set(ids)) == len(ids)
    assert [alert.id for alert in tell(deliveries).alerts] == ids
    assert tell([*deliveries, *deliveries]).alerts[len(ids) :] == []


def test_a_telnyx_event_that_says_it_failed_is_an_error_event() -> None:
    (alert,) = tell([telnyx(telnyx_event("call.speak.failed", "e1", 4))]).alerts
    assert (alert.rule.id, alert.provider, alert.starts_at) == ("call.error_event", "telnyx", at(4))


def test_an_event_without_a_time_starts_its_alert_when_it_was_received() -> None:
    (alert,) = tell([callback("failed", "1", None, received_s=9)]).alerts
    assert alert.starts_at == alert.detected_at == at(9)


@pytest.mark.parametrize(
    ("mode", "from_masked"),
    [
        ("masked", "+15*******06"),
        ("hashed", Privacy("hashed", "s").address("+15005550006")),
        ("full", "+15*******06"),
    ],
)
def test_what_is_named_masked_is_masked_in_every_mode(mode: str, from_masked: str) -> None:
    (alert,) = tell(FAILED, privacy=Privacy(mode, "s")).alerts
    assert alert.call is not None
    assert alert.call.from_ == from_masked
