"""A checker must be able to fail: each way in which outputs can be wrong is named, and nothing else is."""

from __future__ import annotations

import pytest

from stream.simulator.calls.call import SimulatedCall
from stream.simulator.calls.options import Options
from stream.simulator.check.compare import Comparison, Place
from stream.simulator.check.event_ids import event_id_of
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.traffic import Traffic
from tests.simulator.outputs import Outputs, compared, first, last_revision, only_example, outputs_of


def differences(expected: ExpectedOutputs, outputs: Outputs, *, alone: bool = True) -> dict[str, int]:
    return compared(expected, outputs, alone=alone).differences


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
        ("recordings", [{"id": "another"}]),
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


def test_a_record_that_comes_after_its_successor_or_without_its_predecessor_is_named(
    expected: ExpectedOutputs, outputs: Outputs
) -> None:
    at = next(at for at, record in enumerate(outputs.records) if record["revision"] == 2)
    key = outputs.records[at]["key"]
    one = first(outputs.records, key=key, revision=1)
    outputs.records[one], outputs.records[at] = outputs.records[at], outputs.records[one]
    report = compared(expected, outputs)
    assert report.differences == {"record_order": 2}
    assert report.examples["record_order"][:2] == [
        f"{key}: revision 2 after none",
        f"{key}: revision 1 after 2",
    ]


def test_a_record_with_another_key_or_in_another_partition_is_named(
    expected: ExpectedOutputs, outputs: Outputs
) -> None:
    comparison = Comparison(expected)
    record, alert = outputs.records[0], outputs.alerts[0]
    scope = alert["scope"]["id"]
    comparison.record(record, Place("calls.ended.v1", record["key"], 3))
    event = next(one for one in outputs.events if one["key"] == record["key"])
    comparison.event(event, Place("calls.events.v1", record["key"], 2))
    comparison.alert(alert, Place("calls.alerts.v1", None, 3))
    assert comparison.report().examples["misplaced"] == [
        f"{record['key']}: partition 2 of calls.events.v1, 3 before",
        f"{scope}: a record of calls.alerts.v1 has the key None",
    ]


def test_a_record_whose_headers_say_something_else_is_named(
    expected: ExpectedOutputs, outputs: Outputs
) -> None:
    comparison = Comparison(expected)
    event, record, alert = outputs.events[0], outputs.records[0], outputs.alerts[0]
    events = Place("events", event["key"], 0, {"ce_id": event["id"], "callstream-family": "odd"})
    ended = Place("ended", record["key"], 0, {"ce_id": "odd", "callstream-outcome": record["outcome"]})
    comparison.event(event, events)
    comparison.record(record, ended)
    comparison.alert(alert, Place("alerts", alert["scope"]["id"], 0, {"ce_id": alert["id"]}))
    found = comparison.report().examples["misplaced"]
    assert [said.partition("has ")[2] for said in found if "odd" in said or "None" in said] == [
        f"callstream-family odd, expected {event['family']}",
        f"ce_id odd, expected {record['id']}",
        f"callstream-rule None, expected {alert['rule']['id']}",
        f"callstream-severity None, expected {alert['severity']}",
    ]


def test_events_that_share_an_id_are_named(
    expected: ExpectedOutputs, outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where an identity leaves something out: the second event of a call never comes out."""

    def lacks_the_number(call: SimulatedCall, source: str, number: int) -> str:
        return event_id_of(call, source, 0 if source == "twilio_status_callback" else number)

    monkeypatch.setattr("stream.simulator.check.expected_call.event_id_of", lacks_the_number)
    report = compared(expected, Outputs([], [], []))
    assert report.differences["event_id_shared"] > 10
    assert "another event has it, too" in report.examples["event_id_shared"][0]


def test_two_records_of_one_revision_are_named(expected: ExpectedOutputs, outputs: Outputs) -> None:
    newest = {record["key"]: record for record in outputs.records}
    record = next(iter(newest.values()))
    outputs.records.append({**record, "id": "another"})
    assert "two records of revision" in only_example(expected, outputs, "record_repeated")


def test_a_dead_letter_of_the_run_is_named(expected: ExpectedOutputs) -> None:
    comparison = Comparison(expected)
    comparison.dead_letter(expected.calls[0].key, "internal_error", "KeyError()")
    assert comparison.report().examples["dead_letter"] == [
        f"{expected.calls[0].key}: internal_error (KeyError())"
    ]


def test_a_dead_letter_without_a_key_is_one_of_other_traffic(expected: ExpectedOutputs) -> None:
    """Every record of a run has a key."""
    for alone in (True, False):
        comparison = Comparison(expected, alone=alone)
        comparison.dead_letter(None, "not_json", "…")
        assert ("dead_letter" in comparison.report().differences) is alone


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
