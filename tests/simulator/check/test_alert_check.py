"""Alerts that are missing, invented, repeated or not active are named, and nothing else is."""

from __future__ import annotations

import copy

import pytest

from stream.core.alerting.rules import read_rules
from stream.simulator.calls.options import CALLBACK_SOURCES, Options
from stream.simulator.check.compare import Comparison
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.traffic import Traffic
from tests.simulator.outputs import (
    RUN,
    Outputs,
    compared,
    first_alert,
    last_revision,
    only_example,
    outputs_of,
)

RULES = ["call.failed", "call.error_event", "webhook.failing"]


@pytest.mark.parametrize("rule", RULES)
def test_a_missing_alert_is_named(expected: ExpectedOutputs, outputs: Outputs, rule: str) -> None:
    lost = outputs.alerts[first_alert(outputs, rule)]
    outputs.alerts[:] = [one for one in outputs.alerts if one["fingerprint"] != lost["fingerprint"]]
    example = only_example(expected, outputs, "alert_missing")
    assert f"{rule} of {lost['scope']['id']}" in example


@pytest.mark.parametrize("rule", RULES)
def test_an_alert_that_is_written_twice_is_named(
    expected: ExpectedOutputs, outputs: Outputs, rule: str
) -> None:
    alert = outputs.alerts[first_alert(outputs, rule)]
    outputs.alerts.append(alert)
    assert alert["id"] in only_example(expected, outputs, "alert_repeated")


@pytest.mark.parametrize(
    ("reason", "found"), [("settled", {}), ("retracted_by_reconciliation", {"alert_missing": 1})]
)
def test_an_alert_may_settle_and_must_not_be_retracted(
    expected: ExpectedOutputs, outputs: Outputs, reason: str, found: dict[str, int]
) -> None:
    fired = copy.deepcopy(outputs.alerts[first_alert(outputs, "call.failed")])
    fired |= {"id": "x", "state": "resolved", "revision": 9, "reason": {"code": reason}}
    outputs.alerts.append(fired)
    assert compared(expected, outputs).differences == found


@pytest.mark.parametrize(("fires", "said"), [(True, "is not active"), (False, "is still active")])
def test_an_alert_that_is_active_and_does_not_fire_or_the_other_way_round_is_named(
    expected: ExpectedOutputs, outputs: Outputs, *, fires: bool, said: str
) -> None:
    alert = copy.deepcopy(outputs.alerts[first_alert(outputs, "call.failed")])
    comparison = Comparison(expected)
    comparison.alerts.active(alert["fingerprint"], active=not fires)
    if not fires:
        alert |= {"state": "resolved", "reason": {"code": "settled"}}
    comparison.alert(alert)
    assert said in comparison.report().examples["alert_active"][0]


def test_alerts_of_rules_that_are_not_enabled_are_not_expected_and_others_are_not_allowed(
    expected: ExpectedOutputs, outputs: Outputs
) -> None:
    rules = read_rules(
        """
        [[rules]]
        id = "call.failed"
        enabled = false
        [[rules]]
        id = "webhook.failing"
        least = 1000
        """
    )
    obeyed = outputs_of(Traffic(RUN), rules=rules)
    assert {alert["rule"]["id"] for alert in obeyed.alerts} == {"call.error_event"}
    assert compared(expected, obeyed, rules=rules).differences == {}
    assert set(compared(expected, outputs, rules=rules).differences) == {"alert_unexpected"}


SHORT = Options(calls=300, seed=5, sources=frozenset(CALLBACK_SOURCES))


def test_a_short_call_must_have_its_alert_and_no_other_call() -> None:
    traffic = Traffic(SHORT)
    rules = read_rules('rules = [{id = "call.short", at_most_s = 8}]')
    outputs = outputs_of(traffic, rules=rules)
    assert traffic.expected is not None
    short = [alert for alert in outputs.alerts if alert["rule"]["id"] == "call.short"]
    assert len(short) > 5
    assert compared(traffic.expected, outputs, rules=rules).differences == {}
    rest = [alert for alert in outputs.alerts if alert not in short]
    missing = compared(traffic.expected, outputs._replace(alerts=rest), rules=rules)
    assert missing.differences == {"alert_missing": len(short)}
    shipped = compared(traffic.expected, outputs).examples["alert_unexpected"]
    assert shipped[0].startswith("call.short of ")


@pytest.mark.parametrize("rule", ["state.conflict", "call.no_terminal_event", "delivery.gap"])
@pytest.mark.parametrize(("state", "found"), [("firing", {"alert_unexpected": 1}), ("resolved", {})])
def test_an_alert_of_an_ended_call_that_goes_on_without_a_cause_is_named(
    expected: ExpectedOutputs, outputs: Outputs, rule: str, state: str, found: dict[str, int]
) -> None:
    key = outputs.records[last_revision(outputs, "completed")]["key"]
    alert = copy.deepcopy(outputs.alerts[first_alert(outputs, "call.failed")])
    alert |= {"id": "x", "fingerprint": "y", "state": state, "rule": {"id": rule}}
    alert["scope"]["id"] = key
    outputs.alerts.append(alert)
    assert compared(expected, outputs).differences == found


def test_all_is_not_there_before_the_alerts_of_endpoints(expected: ExpectedOutputs, outputs: Outputs) -> None:
    comparison = Comparison(expected)
    for event in outputs.events:
        comparison.event(event)
    for record in outputs.records:
        comparison.record(record)
    failing = [alert for alert in outputs.alerts if alert["rule"]["id"] == "webhook.failing"]
    for alert in outputs.alerts:
        if alert not in failing:
            comparison.alert(alert)
    assert not comparison.complete
    for alert in failing:
        comparison.alert(alert)
    assert comparison.complete


def test_an_alert_without_a_cause_is_named(expected: ExpectedOutputs, outputs: Outputs) -> None:
    answered = outputs.records[last_revision(outputs, "completed")]["key"]
    alert = copy.deepcopy(outputs.alerts[first_alert(outputs, "call.failed")])
    alert["scope"]["id"], alert["id"] = answered, "x"
    outputs.alerts.append(alert)
    assert answered in only_example(expected, outputs, "alert_unexpected")


def test_an_endpoint_that_answers_well_and_is_said_to_fail_is_named(
    expected: ExpectedOutputs, outputs: Outputs
) -> None:
    alert = copy.deepcopy(outputs.alerts[first_alert(outputs, "webhook.failing")])
    alert |= {"id": "x", "confidence": "confirmed"}
    alert["scope"]["id"] += "/other"
    outputs.alerts.append(alert)
    assert "/other" in only_example(expected, outputs, "alert_unexpected")


def test_an_endpoint_that_other_calls_of_the_account_use_too_may_fail() -> None:
    """As of two simulators with the account of one gateway, which has one of them rehearse an incident."""
    account = {"twilio_account": "AC7", "telnyx_account": "7", "telnyx": 0.0}
    mine = Traffic(Options(calls=60, seed=1, failing_webhooks=0.0, **account))
    theirs = Traffic(Options(calls=60, seed=2, failing_webhooks=0.6, **account))
    outputs = outputs_of([*mine, *theirs])
    assert "webhook.failing" in {alert["rule"]["id"] for alert in outputs.alerts}
    assert mine.expected is not None
    assert compared(mine.expected, outputs, alone=False).differences == {}
    alone = outputs._replace(events=[one for one in outputs.events if one["key"] in keys_of(mine)])
    assert set(compared(mine.expected, alone, alone=False).differences) == {"alert_unexpected"}


def keys_of(traffic: Traffic) -> set[str]:
    assert traffic.expected is not None
    return {call.key for call in traffic.expected.calls}
