"""What was to be read is missed where it was not: rows, sources, and records that are not complete."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest

from stream.simulator.calls.options import CALLBACK_SOURCES, Options
from stream.simulator.check.compare import Comparison
from stream.simulator.check.expected_outputs import ExpectedOutputs
from tests.simulator.fake_poller import START_US, run_served
from tests.simulator.outputs import Outputs, compared, first, only_example

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
def recorded() -> tuple[ExpectedOutputs, bytes]:
    traffic, outputs = run_served(SERVED, looks_every=25, ends_s=60)
    assert traffic.expected is not None
    return traffic.expected, orjson.dumps(outputs[:])


@pytest.fixture
def served(recorded: tuple[ExpectedOutputs, bytes]) -> tuple[ExpectedOutputs, Outputs]:
    """A served run's expected outputs, and a copy of its outputs to be changed."""
    return recorded[0], Outputs(*orjson.loads(recorded[1]))


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


def test_faultless_outputs_of_a_served_run_show_no_difference(
    served: tuple[ExpectedOutputs, Outputs],
) -> None:
    expected, outputs = served
    assert compared(expected, outputs).lines()[-1] == "No difference."


@pytest.mark.parametrize(
    ("source", "family"),
    [
        ("twilio_call_event", "request_log"),
        ("twilio_insights_event", "insights"),
        ("telnyx_call_event", "delivery"),
        ("telnyx_webhook_delivery", "delivery"),
    ],
)
def test_a_row_that_was_never_read_is_named(
    served: tuple[ExpectedOutputs, Outputs], source: str, family: str
) -> None:
    expected, outputs = served
    lost = outputs.events.pop(first(outputs.events, source=source, family=family))
    assert lost["id"] in only_example(expected, outputs, "event_missing")


def test_the_last_row_and_the_last_summary_must_be_read(served: tuple[ExpectedOutputs, Outputs]) -> None:
    expected, outputs = served
    summary = outputs.events.pop(states(outputs, "complete")[0])
    row = outputs.events.pop(first(outputs.events, source="twilio_call", status="completed"))
    report = compared(expected, outputs)
    assert report.differences == {"event_missing": 2}
    named = "\n".join(report.examples["event_missing"])
    assert summary["id"] in named
    assert row["id"] in named


def test_what_was_there_for_a_while_need_not_be_read_but_comes_once(
    served: tuple[ExpectedOutputs, Outputs],
) -> None:
    expected, outputs = served
    transient = [first(outputs.events, source="twilio_call", status="queued"), states(outputs, "partial")[0]]
    unread = [outputs.events.pop(at) for at in sorted(transient, reverse=True)]
    counts = [{record["key"]: record for record in outputs.records}[one["key"]]["counts"] for one in unread]
    for count in counts:
        count["events"] -= 1
    assert compared(expected, outputs).ok
    for count in counts:
        count["events"] += 1
    outputs.events.extend([*unread, unread[0]])
    assert unread[0]["id"] in only_example(expected, outputs, "event_repeated")


def test_a_call_of_which_every_callback_was_lost_must_end_all_the_same(
    served: tuple[ExpectedOutputs, Outputs],
) -> None:
    expected, outputs = served
    pushed = {
        call.key
        for call in expected.calls
        if {source for source, _ in call.delivered} & set(CALLBACK_SOURCES)
    }
    silent = next(call.key for call in expected.calls if call.key not in pushed)
    outputs.records[:] = [record for record in outputs.records if record["key"] != silent]
    assert silent in only_example(expected, outputs, "call_missing")


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
    served: tuple[ExpectedOutputs, Outputs], provider: str, source: str
) -> None:
    expected, outputs = served
    record = last_record(outputs, provider)
    record["completeness"]["seen"].remove(source)
    example = only_example(expected, outputs, "completeness_wrong")
    assert record["key"] in example
    assert f"{source} was not seen" in example


def test_a_source_that_nobody_can_have_seen_is_named(served: tuple[ExpectedOutputs, Outputs]) -> None:
    expected, outputs = served
    last_record(outputs)["completeness"]["seen"].append("telnyx_webhook")
    assert "telnyx_webhook was seen" in only_example(expected, outputs, "completeness_wrong")


def test_a_source_that_was_not_read_to_its_end_is_named_and_nothing_is_complete_before(
    served: tuple[ExpectedOutputs, Outputs],
) -> None:
    expected, outputs = served
    record = last_record(outputs)
    whole = copy.deepcopy(record)
    record["completeness"]["complete"].remove("twilio_call_summary")
    assert "twilio_call_summary is not complete" in only_example(expected, outputs, "completeness_wrong")
    comparison = Comparison(expected, alone=True)
    for event in outputs.events:
        comparison.event(event)
    for alert in outputs.alerts:
        comparison.alert(alert)
    for said in outputs.records:
        comparison.record(said)
    assert not comparison.complete
    comparison.record({**whole, "id": "another", "revision": record["revision"] + 1})
    assert comparison.complete


def test_only_the_last_record_of_a_call_must_be_complete(served: tuple[ExpectedOutputs, Outputs]) -> None:
    expected, outputs = served
    newest = {record["key"]: record["revision"] for record in outputs.records}
    early = [record for record in outputs.records if record["revision"] < newest[record["key"]]]
    assert early
    for record in early:
        record["completeness"] = {"expected": [], "seen": []}
    assert compared(expected, outputs).ok


def test_a_record_that_knows_nothing_of_completeness_is_wrong_in_a_served_run(
    served: tuple[ExpectedOutputs, Outputs],
) -> None:
    expected, outputs = served
    del last_record(outputs, "telnyx")["completeness"]["complete"]
    assert "telnyx_call_event is not complete" in only_example(expected, outputs, "completeness_wrong")
