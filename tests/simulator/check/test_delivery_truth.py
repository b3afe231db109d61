"""The truth of lost callbacks: gaps that a log healed, and what an audit must find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from stream.simulator.calls.options import ALL_SERVED_SOURCES, EVENT_STREAM, Options
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.traffic import Traffic
from tests.simulator.fake_poller import START_US, run_served
from tests.simulator.outputs import Outputs, only_example

LOSSY = Options(calls=150, seed=7, served=True, drop=0.4, failing_webhooks=0.3, start_us=START_US)


@pytest.fixture(scope="module")
def run() -> tuple[ExpectedOutputs, Outputs]:
    traffic, outputs = run_served(LOSSY)
    assert traffic.expected is not None
    return traffic.expected, outputs


def truths(expected: ExpectedOutputs) -> list[Any]:
    return [call.delivery for call in expected.expected()]


def test_of_every_call_whose_log_was_read_it_is_known_what_was_lost(
    run: tuple[ExpectedOutputs, Outputs],
) -> None:
    told = truths(run[0])
    assert None not in told
    results = Counter(result for truth in told for _, _, result in truth.audited)
    assert results["missing"] > 50
    assert results["refused_by_application"] > 20
    assert sum(len(truth.healed) for truth in told) > 80


def without_gaps(record: dict[str, Any]) -> None:
    record["gaps"] = []


def with_another_result(record: dict[str, Any]) -> None:
    record["delivery_audit"][0]["result"] = "refused_by_us"


def with_an_open_gap(record: dict[str, Any]) -> None:
    record["gaps"] = [
        *record["gaps"],
        {"sequence_number": 0, "name": None, "state": "open", "closed_by": None},
    ]


@pytest.mark.parametrize("wrong", [without_gaps, with_another_result, with_an_open_gap])
def test_a_record_that_says_otherwise_is_named(
    run: tuple[ExpectedOutputs, Outputs], wrong: Callable[[dict[str, Any]], None]
) -> None:
    expected, outputs = run
    newest = {record["key"]: record for record in outputs.records}
    key = next(key for key, record in newest.items() if record["delivery_audit"] and record["gaps"])
    record = {**newest[key], "delivery_audit": [dict(one) for one in newest[key]["delivery_audit"]]}
    wrong(record)
    records = [record if one is newest[key] else one for one in outputs.records]
    example = only_example(expected, outputs._replace(records=records), "call_wrong")
    assert f"{key}: expected delivery [gaps: " in example
    assert "refused_by_application" in example or "missing" in example


def test_where_an_event_stream_may_tell_of_a_lost_callback_too_nothing_is_expected() -> None:
    sources = frozenset((*ALL_SERVED_SOURCES, EVENT_STREAM))
    traffic = Traffic(Options(calls=40, served=True, telnyx=0.0, sources=sources, start_us=START_US))
    for delivery in traffic.outgoing():
        delivery.arrived()
    assert traffic.expected is not None
    assert {*truths(traffic.expected)} == {None}
