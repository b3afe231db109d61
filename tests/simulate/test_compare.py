"""A checker must be able to fail: each way in which outputs can be wrong is named, and nothing else is."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest

from stream.simulate.compare import Comparison
from stream.simulate.options import CALLBACK_SOURCES, Options
from stream.simulate.traffic import generate
from stream.simulate.truth import Truth
from tests.simulate.outputs import Outputs, compared, outputs_of
from tests.simulate.reader import START_US, circle

OPTIONS = Options(calls=60, duplicates=0.2, failed=0.2, errors=0.2, failing_webhooks=0.2, seed=42)


@pytest.fixture(scope="module")
def run() -> tuple[Truth, bytes]:
    traffic = generate(OPTIONS)
    outputs = outputs_of(traffic)
    assert traffic.truth is not None
    return traffic.truth, orjson.dumps(outputs[:])


@pytest.fixture
def truth(run: tuple[Truth, bytes]) -> Truth:
    return run[0]


@pytest.fixture
def outputs(run: tuple[Truth, bytes]) -> Outputs:
    """A copy to be doctored."""
    return Outputs(*orjson.loads(run[1]))


def differences(truth: Truth, outputs: Outputs, *, alone: bool = True) -> dict[str, int]:
    return compared(truth, outputs, alone=alone).differences


def only_example(truth: Truth, outputs: Outputs, kind: str) -> str:
    report = compared(truth, outputs)
    assert report.differences == {kind: 1}, "\n".join(report.lines())
    return report.examples[kind][0]


def first(records: list[dict[str, Any]], **wanted: Any) -> int:
    return next(at for at, r in enumerate(records) if all(r[name] == value for name, value in wanted.items()))


def last_revision(outputs: Outputs, status: str) -> int:
    newest = {record["key"]: at for at, record in enumerate(outputs.records)}
    return next(at for at in newest.values() if outputs.records[at]["status"] == status)


def first_alert(outputs: Outputs, rule: str) -> int:
    return next(at for at, alert in enumerate(outputs.alerts) if alert["rule"]["id"] == rule)


def test_faultless_outputs_show_no_difference(truth: Truth, outputs: Outputs) -> None:
    assert differences(truth, outputs) == {}


@pytest.mark.parametrize(
    "family", ["progress", "insights", "request_log", "resource", "delivery", "recording"]
)
def test_a_missing_event_is_named(truth: Truth, outputs: Outputs, family: str) -> None:
    lost = outputs.events.pop(first(outputs.events, family=family))
    example = only_example(truth, outputs, "event_missing")
    assert lost["key"] in example
    assert lost["id"] in example


def test_a_repeated_event_is_named(truth: Truth, outputs: Outputs) -> None:
    outputs.events.append(outputs.events[5])
    example = only_example(truth, outputs, "event_repeated")
    assert outputs.events[5]["id"] in example
    assert "2 times" in example


def test_an_event_that_nobody_reported_is_named(truth: Truth, outputs: Outputs) -> None:
    outputs.events.append({**outputs.events[0], "id": "00000000-0000-5000-8000-000000000000"})
    assert "00000000-0000-5000-8000-000000000000" in only_example(truth, outputs, "event_unexpected")


@pytest.mark.parametrize("field", ["status", "name", "sequence_number", "family"])
def test_an_event_that_says_something_else_is_named(truth: Truth, outputs: Outputs, field: str) -> None:
    outputs.events[first(outputs.events, family="progress")][field] = "odd"
    assert "odd" in only_example(truth, outputs, "event_different")


def test_a_wrong_final_status_is_named_with_what_was_expected(truth: Truth, outputs: Outputs) -> None:
    record = outputs.records[last_revision(outputs, "busy")]
    record["status"], record["outcome"] = "completed", "answered"
    example = only_example(truth, outputs, "call_wrong")
    assert record["key"] in example
    assert "expected busy (busy), found completed (answered)" in example


def test_an_earlier_revision_does_not_count(truth: Truth, outputs: Outputs) -> None:
    revised = first(outputs.records, revision=2)
    key = outputs.records[revised]["key"]
    outputs.records[first(outputs.records, key=key, revision=1)]["status"] = "failed"
    assert differences(truth, outputs) == {}


def test_a_call_without_a_record_is_named(truth: Truth, outputs: Outputs) -> None:
    key = outputs.records[0]["key"]
    outputs.records[:] = [record for record in outputs.records if record["key"] != key]
    assert key in only_example(truth, outputs, "call_missing")


def test_a_repeated_record_is_named(truth: Truth, outputs: Outputs) -> None:
    outputs.records.append(outputs.records[3])
    assert outputs.records[3]["id"] in only_example(truth, outputs, "record_repeated")


def test_two_records_of_one_revision_are_named(truth: Truth, outputs: Outputs) -> None:
    newest = {record["key"]: record for record in outputs.records}
    record = next(iter(newest.values()))
    outputs.records.append({**record, "id": "another"})
    assert "two records of revision" in only_example(truth, outputs, "record_repeated")


@pytest.mark.parametrize("rule", ["call.failed", "call.error_event", "webhook.failing"])
def test_a_missing_alert_is_named(truth: Truth, outputs: Outputs, rule: str) -> None:
    lost = outputs.alerts.pop(first_alert(outputs, rule))
    example = only_example(truth, outputs, "alert_missing")
    assert f"{rule} of {lost['scope']['id']}" in example


@pytest.mark.parametrize("rule", ["call.failed", "call.error_event", "webhook.failing"])
def test_an_alert_that_fires_twice_is_named(truth: Truth, outputs: Outputs, rule: str) -> None:
    alert = outputs.alerts[first_alert(outputs, rule)]
    outputs.alerts.append(alert)
    assert alert["id"] in only_example(truth, outputs, "alert_repeated")


def test_an_alert_without_a_cause_is_named(truth: Truth, outputs: Outputs) -> None:
    answered = outputs.records[last_revision(outputs, "completed")]["key"]
    alert = copy.deepcopy(outputs.alerts[first_alert(outputs, "call.failed")])
    alert["scope"]["id"] = answered
    outputs.alerts.append(alert)
    assert answered in only_example(truth, outputs, "alert_unexpected")


def test_an_alert_that_is_opened_by_another_event_is_missing_and_unexpected(
    truth: Truth, outputs: Outputs
) -> None:
    alert = outputs.alerts[first_alert(outputs, "webhook.failing")]
    alert["evidence"][0]["event_id"] = "another"
    assert differences(truth, outputs) == {"alert_missing": 1, "alert_unexpected": 1}


def test_a_dead_letter_of_the_run_is_named(truth: Truth) -> None:
    comparison = Comparison(truth)
    comparison.dead_letter(truth.calls[0].key, "internal_error", "KeyError()")
    assert comparison.report().examples["dead_letter"] == [
        f"{truth.calls[0].key}: internal_error (KeyError())"
    ]


def test_other_traffic_is_counted_apart_unless_the_run_is_alone(truth: Truth, outputs: Outputs) -> None:
    other = generate(Options(calls=20, failed=1.0, seed=43))
    strange = outputs_of(other)
    for mine, theirs in zip(outputs, strange, strict=True):
        mine.extend(theirs)
    report = compared(truth, outputs, alone=False)
    assert report.ok
    assert report.others == sum(len(theirs) for theirs in strange)
    assert {"event_unexpected", "call_unexpected", "alert_unexpected"} <= set(differences(truth, outputs))


def test_nothing_at_all_is_everything_missing(truth: Truth) -> None:
    report = compared(truth, Outputs([], [], []))
    assert set(report.differences) == {"event_missing", "call_missing", "alert_missing"}
    assert report.differences["event_missing"] == report.events_expected
    assert len(report.examples["event_missing"]) == 10
    assert any("… and" in line for line in report.lines())


def test_it_is_complete_when_all_is_there_and_not_before(truth: Truth, outputs: Outputs) -> None:
    comparison = Comparison(truth)
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


def everything_doubtful() -> tuple[Truth, Outputs]:
    """Callbacks that all were given up, and what comes out if all of them have arrived."""
    options = Options(calls=80, failed=0.4, seed=8, sources=frozenset(CALLBACK_SOURCES))
    outputs = outputs_of(generate(options))
    traffic = generate(options)
    for sending in traffic.sendings():
        traffic.doubtful(sending)
    assert traffic.truth is not None
    return traffic.truth, outputs


def test_what_may_have_arrived_need_not_come_out() -> None:
    truth, _ = everything_doubtful()
    report = compared(truth, Outputs([], [], []))
    assert (report.ok, report.events_expected, report.landed) == (True, 0, 0)


def test_what_may_have_arrived_may_come_out_in_any_order_of_the_topics() -> None:
    truth, outputs = everything_doubtful()
    comparison = Comparison(truth, alone=True)
    assert comparison.complete
    for alert in outputs.alerts:
        comparison.alert(alert)
    for record in outputs.records:
        comparison.record(record)
    for event in outputs.events:
        comparison.event(event)
    assert comparison.complete
    report = comparison.report()
    assert report.ok, "\n".join(report.lines())
    assert report.landed == report.events_expected == report.events_found == len(outputs.events)
    assert report.alerts_found == report.alerts_expected == len(outputs.alerts) > 10


def test_of_what_has_arrived_all_that_follows_must_come_out() -> None:
    truth, outputs = everything_doubtful()
    lost = outputs.alerts.pop(first_alert(outputs, "call.failed"))
    assert lost["scope"]["id"] in only_example(truth, outputs, "alert_missing")
    key = lost["scope"]["id"]
    outputs.alerts.append(lost)
    outputs.records[:] = [record for record in outputs.records if record["key"] != key]
    assert key in only_example(truth, outputs, "call_missing")


def test_what_follows_without_its_event_is_named_also_where_that_may_have_arrived() -> None:
    truth, outputs = everything_doubtful()
    outputs.events.clear()
    report = compared(truth, outputs)
    assert set(report.differences) == {"call_unexpected", "alert_unexpected"}
    assert report.differences["alert_unexpected"] == len(outputs.alerts)


def test_what_certainly_arrived_is_missed_whatever_else_may_have() -> None:
    options = Options(calls=40, seed=8, sources=frozenset(CALLBACK_SOURCES))
    traffic = generate(options)
    for sending in traffic.sendings():
        traffic.doubtful(sending)
        traffic.arrived(sending)
    assert traffic.truth is not None
    report = compared(traffic.truth, Outputs([], [], []))
    assert report.differences["event_missing"] == report.events_expected > 0


SERVED = Options(
    calls=50,
    drop=0.3,
    failed=0.2,
    errors=0.2,
    failing_webhooks=0.2,
    seed=42,
    served=True,
    time_factor=60,
    start_us=START_US,
)


@pytest.fixture(scope="module")
def served_run() -> tuple[Truth, bytes]:
    traffic, outputs = circle(SERVED, looks_every=25, ends_s=60)
    assert traffic.truth is not None
    return traffic.truth, orjson.dumps(outputs[:])


@pytest.fixture
def served(served_run: tuple[Truth, bytes]) -> tuple[Truth, Outputs]:
    """A served run's truth, and a copy of its outputs to be doctored."""
    return served_run[0], Outputs(*orjson.loads(served_run[1]))


def last_record(outputs: Outputs, provider: str = "twilio") -> dict[str, Any]:
    """The newest record of some call."""
    newest = {record["key"]: record for record in outputs.records if record["provider"] == provider}
    return next(iter(newest.values()))


def states(outputs: Outputs, processing: str) -> list[int]:
    """Where the events of summaries in this state are."""
    return [
        at
        for at, event in enumerate(outputs.events)
        if event["name"] == "call_summary" and event["attributes"]["processing_state"] == processing
    ]


def test_faultless_outputs_of_a_served_run_show_no_difference(served: tuple[Truth, Outputs]) -> None:
    truth, outputs = served
    assert compared(truth, outputs).lines()[-1] == "No difference."


@pytest.mark.parametrize(
    ("source", "family"),
    [
        ("twilio_call_event", "request_log"),
        ("twilio_insights_event", "insights"),
        ("telnyx_call_event", "delivery"),
        ("telnyx_webhook_delivery", "delivery"),
    ],
)
def test_a_row_that_was_never_read_is_named(served: tuple[Truth, Outputs], source: str, family: str) -> None:
    truth, outputs = served
    lost = outputs.events.pop(first(outputs.events, source=source, family=family))
    assert lost["id"] in only_example(truth, outputs, "event_missing")


def test_the_last_row_and_the_last_summary_must_be_read(served: tuple[Truth, Outputs]) -> None:
    truth, outputs = served
    summary = outputs.events.pop(states(outputs, "complete")[0])
    row = outputs.events.pop(first(outputs.events, source="twilio_call", status="completed"))
    report = compared(truth, outputs)
    assert report.differences == {"event_missing": 2}
    named = "\n".join(report.examples["event_missing"])
    assert summary["id"] in named
    assert row["id"] in named


def test_what_was_there_for_a_while_need_not_be_read_but_comes_once(
    served: tuple[Truth, Outputs],
) -> None:
    truth, outputs = served
    transient = [first(outputs.events, source="twilio_call", status="queued"), states(outputs, "partial")[0]]
    unread = [outputs.events.pop(at) for at in sorted(transient, reverse=True)]
    assert compared(truth, outputs).ok
    outputs.events.extend([*unread, unread[0]])
    assert unread[0]["id"] in only_example(truth, outputs, "event_repeated")


def test_a_call_of_which_every_callback_was_lost_must_end_all_the_same(
    served: tuple[Truth, Outputs],
) -> None:
    truth, outputs = served
    pushed = {call.key for call in truth.calls if {source for source, _ in call.seen} & set(CALLBACK_SOURCES)}
    silent = next(call.key for call in truth.calls if call.key not in pushed)
    outputs.records[:] = [record for record in outputs.records if record["key"] != silent]
    assert silent in only_example(truth, outputs, "call_missing")


@pytest.mark.parametrize(
    ("provider", "source"),
    [
        ("twilio", "twilio_call"),
        ("twilio", "twilio_call_event"),
        ("twilio", "twilio_insights_event"),
        ("twilio", "twilio_call_summary"),
        ("telnyx", "telnyx_call_event"),
        ("telnyx", "telnyx_webhook_delivery"),
    ],
)
def test_a_source_that_the_last_record_has_not_seen_is_named(
    served: tuple[Truth, Outputs], provider: str, source: str
) -> None:
    truth, outputs = served
    record = last_record(outputs, provider)
    record["completeness"]["seen"].remove(source)
    example = only_example(truth, outputs, "completeness_wrong")
    assert record["key"] in example
    assert f"{source} was not seen" in example


def test_a_source_that_nobody_can_have_seen_is_named(served: tuple[Truth, Outputs]) -> None:
    truth, outputs = served
    last_record(outputs)["completeness"]["seen"].append("telnyx_webhook")
    assert "telnyx_webhook was seen" in only_example(truth, outputs, "completeness_wrong")


def test_a_source_that_was_not_read_to_its_end_is_named_and_nothing_is_complete_before(
    served: tuple[Truth, Outputs],
) -> None:
    truth, outputs = served
    record = last_record(outputs)
    whole = copy.deepcopy(record)
    record["completeness"]["complete"].remove("twilio_call_summary")
    assert "twilio_call_summary is not complete" in only_example(truth, outputs, "completeness_wrong")
    comparison = Comparison(truth, alone=True)
    for event in outputs.events:
        comparison.event(event)
    for alert in outputs.alerts:
        comparison.alert(alert)
    for said in outputs.records:
        comparison.record(said)
    assert not comparison.complete
    comparison.record({**whole, "id": "another", "revision": record["revision"] + 1})
    assert comparison.complete


def test_only_the_last_record_of_a_call_must_be_complete(served: tuple[Truth, Outputs]) -> None:
    truth, outputs = served
    newest = {record["key"]: record["revision"] for record in outputs.records}
    early = [record for record in outputs.records if record["revision"] < newest[record["key"]]]
    assert early
    for record in early:
        record["completeness"] = {"expected": [], "seen": []}
    assert compared(truth, outputs).ok


def test_a_record_that_knows_nothing_of_completeness_is_wrong_in_a_served_run(
    served: tuple[Truth, Outputs],
) -> None:
    truth, outputs = served
    del last_record(outputs, "telnyx")["completeness"]["complete"]
    assert "telnyx_call_event is not complete" in only_example(truth, outputs, "completeness_wrong")
