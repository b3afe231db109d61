"""A checker must be able to fail: each way in which outputs can be wrong is named, and nothing else is."""

from __future__ import annotations

import copy

import orjson
import pytest

from stream.simulator.calls.options import Options
from stream.simulator.check.compare import Comparison
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.traffic import Traffic
from tests.simulator.outputs import Outputs, compared, first, first_alert, only_example, outputs_of

OPTIONS = Options(calls=60, duplicates=0.2, failed=0.2, errors=0.2, failing_webhooks=0.2, seed=42)


@pytest.fixture(scope="module")
def run() -> tuple[ExpectedOutputs, bytes]:
    traffic = Traffic(OPTIONS)
    outputs = outputs_of(traffic)
    assert traffic.expected is not None
    return traffic.expected, orjson.dumps(outputs[:])


@pytest.fixture
def expected(run: tuple[ExpectedOutputs, bytes]) -> ExpectedOutputs:
    return run[0]


@pytest.fixture
def outputs(run: tuple[ExpectedOutputs, bytes]) -> Outputs:
    """A copy to be doctored."""
    return Outputs(*orjson.loads(run[1]))


def differences(expected: ExpectedOutputs, outputs: Outputs, *, alone: bool = True) -> dict[str, int]:
    return compared(expected, outputs, alone=alone).differences


def last_revision(outputs: Outputs, status: str) -> int:
    newest = {record["key"]: at for at, record in enumerate(outputs.records)}
    return next(at for at in newest.values() if outputs.records[at]["status"] == status)


def test_a_wrong_verdict_is_named(expected: ExpectedOutputs, outputs: Outputs) -> None:
    record = outputs.records[last_revision(outputs, "busy")]
    assert record["verdict"]["fault"] == "callee"
    record["verdict"]["fault"] = "carrier"
    said = f"{record['key']}: expected fault callee, found carrier"
    assert only_example(expected, outputs, "call_wrong") == said
    record["verdict"] = None
    assert "found None" in only_example(expected, outputs, "call_wrong")


def test_faultless_outputs_show_no_difference(expected: ExpectedOutputs, outputs: Outputs) -> None:
    assert differences(expected, outputs) == {}


@pytest.mark.parametrize(
    "family", ["progress", "insights", "request_log", "resource", "delivery", "recording"]
)
def test_a_missing_event_is_named(expected: ExpectedOutputs, outputs: Outputs, family: str) -> None:
    lost = outputs.events.pop(first(outputs.events, family=family))
    example = only_example(expected, outputs, "event_missing")
    assert lost["key"] in example
    assert lost["id"] in example


def test_a_repeated_event_is_named(expected: ExpectedOutputs, outputs: Outputs) -> None:
    outputs.events.append(outputs.events[5])
    example = only_example(expected, outputs, "event_repeated")
    assert outputs.events[5]["id"] in example
    assert "2 times" in example


def test_an_event_that_nobody_reported_is_named(expected: ExpectedOutputs, outputs: Outputs) -> None:
    outputs.events.append({**outputs.events[0], "id": "00000000-0000-5000-8000-000000000000"})
    assert "00000000-0000-5000-8000-000000000000" in only_example(expected, outputs, "event_unexpected")


@pytest.mark.parametrize(
    ("family", "field"),
    [
        *(("progress", field) for field in ("status", "name", "sequence_number", "family", "occurred_at")),
        *(("progress", field) for field in ("account", "call_id", "parent_call_id")),
        *(("insights", field) for field in ("level", "edge", "occurred_at")),
        *(("resource", field) for field in ("account", "call_id")),
    ],
)
def test_an_event_that_says_something_else_is_named(
    expected: ExpectedOutputs, outputs: Outputs, family: str, field: str
) -> None:
    event = outputs.events[first(outputs.events, family=family, provider="twilio")]
    event[field] = "odd"
    example = only_example(expected, outputs, "event_different")
    assert event["key"] in example
    assert "odd" in example


@pytest.mark.parametrize("field", ["session_id", "occurred_at"])
def test_an_event_of_telnyx_that_says_something_else_is_named(
    expected: ExpectedOutputs, outputs: Outputs, field: str
) -> None:
    outputs.events[first(outputs.events, family="progress", provider="telnyx")][field] = "odd"
    assert f"expected {field} " in only_example(expected, outputs, "event_different")


@pytest.mark.parametrize("provider", ["twilio", "telnyx"])
@pytest.mark.parametrize(
    ("field", "odd"),
    [
        ("duration_s", 1000),
        ("sip_response_code", 399),
        ("ended_at", "2020-01-01T00:00:00.000000Z"),
        ("parent_call_id", "other"),
        ("direction", None),
        ("conflicts", [{"field": "status", "values": [], "chosen": None}]),
        ("counts", {"events": 1}),
    ],
)
def test_a_record_that_says_something_else_of_its_call_is_named(
    expected: ExpectedOutputs, outputs: Outputs, provider: str, field: str, odd: object
) -> None:
    newest = {one["key"]: one for one in outputs.records if one["provider"] == provider}
    record = next(one for one in newest.values() if one["status"] == "completed")
    record[field] = odd
    name = "events" if field == "counts" else field
    assert f"{record['key']}: expected {name} " in only_example(expected, outputs, "call_wrong")


def test_a_record_of_another_account_is_named(expected: ExpectedOutputs, outputs: Outputs) -> None:
    record = next(one for one in reversed(outputs.records) if one["provider"] == "twilio")
    account, record["account"] = record["account"], "another"
    assert f"expected account {account}, found another" in only_example(expected, outputs, "call_wrong")


def test_a_wrong_final_status_is_named_with_what_was_expected(
    expected: ExpectedOutputs, outputs: Outputs
) -> None:
    record = outputs.records[last_revision(outputs, "busy")]
    record["status"], record["outcome"] = "completed", "answered"
    example = only_example(expected, outputs, "call_wrong")
    assert record["key"] in example
    assert "expected busy (busy), found completed (answered)" in example


def test_an_earlier_revision_does_not_count(expected: ExpectedOutputs, outputs: Outputs) -> None:
    revised = first(outputs.records, revision=2)
    key = outputs.records[revised]["key"]
    outputs.records[first(outputs.records, key=key, revision=1)]["status"] = "failed"
    assert differences(expected, outputs) == {}


def test_a_call_without_a_record_is_named(expected: ExpectedOutputs, outputs: Outputs) -> None:
    key = outputs.records[0]["key"]
    outputs.records[:] = [record for record in outputs.records if record["key"] != key]
    assert key in only_example(expected, outputs, "call_missing")


def test_a_repeated_record_is_named(expected: ExpectedOutputs, outputs: Outputs) -> None:
    outputs.records.append(outputs.records[3])
    assert outputs.records[3]["id"] in only_example(expected, outputs, "record_repeated")


def test_two_records_of_one_revision_are_named(expected: ExpectedOutputs, outputs: Outputs) -> None:
    newest = {record["key"]: record for record in outputs.records}
    record = next(iter(newest.values()))
    outputs.records.append({**record, "id": "another"})
    assert "two records of revision" in only_example(expected, outputs, "record_repeated")


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
    assert differences(expected, outputs) == found


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


def test_a_dead_letter_of_the_run_is_named(expected: ExpectedOutputs) -> None:
    comparison = Comparison(expected)
    comparison.dead_letter(expected.calls[0].key, "internal_error", "KeyError()")
    assert comparison.report().examples["dead_letter"] == [
        f"{expected.calls[0].key}: internal_error (KeyError())"
    ]


def test_other_traffic_is_counted_apart_unless_the_run_is_alone(
    expected: ExpectedOutputs, outputs: Outputs
) -> None:
    other = Traffic(Options(calls=20, failed=1.0, seed=43))
    strange = outputs_of(other)
    for mine, theirs in zip(outputs, strange, strict=True):
        mine.extend(theirs)
    report = compared(expected, outputs, alone=False)
    assert report.ok
    assert report.others == sum(len(theirs) for theirs in strange)
    assert {"event_unexpected", "call_unexpected", "alert_unexpected"} <= set(differences(expected, outputs))


def test_nothing_at_all_is_everything_missing(expected: ExpectedOutputs) -> None:
    report = compared(expected, Outputs([], [], []))
    assert set(report.differences) == {"event_missing", "call_missing", "alert_missing"}
    assert report.differences["event_missing"] == report.events_expected
    assert len(report.examples["event_missing"]) == 10
    assert any("… and" in line for line in report.lines())


def test_it_is_complete_when_all_is_there_and_not_before(expected: ExpectedOutputs, outputs: Outputs) -> None:
    comparison = Comparison(expected)
    for record in outputs.records:
        comparison.record(record)
    for alert in outputs.alerts:
        comparison.alert(alert)
    *most, last = outputs.events
    for event in most:
        comparison.event(event)
    assert not comparison.complete
    comparison.event(last)
    assert comparison.complete
