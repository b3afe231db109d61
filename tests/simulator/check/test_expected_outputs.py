"""Truth and program meet: one comes from what took place, the other from what arrived."""

from __future__ import annotations

from typing import Any

import pytest

from stream.simulator.calls.options import (
    ALL_SERVED_SOURCES,
    ALL_SOURCES,
    CALLBACK_SOURCES,
    OPTIONAL_SOURCES,
    SERVED_SOURCES,
    Options,
)
from stream.simulator.check.compare import completeness_by_key
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.traffic import Traffic
from tests.simulator.fake_poller import START_US, run_served
from tests.simulator.outputs import Outputs, compared, outputs_of

FAULTS = {"duplicates": 0.15, "reorder": 0.15, "drop": 0.08, "late": 0.05, "failed": 0.15}
EVERY_SOURCE = ALL_SOURCES + OPTIONAL_SOURCES
RARE = {*OPTIONAL_SOURCES, "twilio_notification"} - {"twilio_event_stream"}
"""Few calls have a recording, a conference, …"""

FAILING = {"errors": 0.1, "failing_webhooks": 0.5}


@pytest.mark.parametrize(
    "sources",
    [
        ALL_SOURCES + OPTIONAL_SOURCES,
        ALL_SOURCES,
        CALLBACK_SOURCES,
        *[(source,) for source in ALL_SOURCES + OPTIONAL_SOURCES],
    ],
    ids=lambda sources: "+".join(sources) if len(sources) < 3 else str(len(sources)),
)
def test_a_faultless_worker_meets_the_truth_whatever_the_network_does(sources: tuple[str, ...]) -> None:
    calls = 150 if len(sources) > 1 else 900 if sources[0] in RARE else 60
    traffic = Traffic(
        Options(calls=calls, seed=7, sources=frozenset(sources), start_us=START_US, **FAULTS, **FAILING)
    )
    outputs = outputs_of(traffic)
    assert traffic.expected is not None
    report = compared(traffic.expected, outputs)
    assert report.lines()[-1] == "No difference.", "\n".join(report.lines())
    assert report.events_expected > 20


def test_live_calls_that_are_cut_off_meet_the_truth_too() -> None:
    traffic = Traffic(
        Options(calls=None, seconds=45, rate=40, seed=3, start_us=1_760_000_000_000_000, **FAULTS)
    )
    outputs = outputs_of(traffic)
    assert traffic.expected is not None
    report = compared(traffic.expected, outputs)
    assert report.ok, "\n".join(report.lines())
    assert 0 < report.calls_ended < report.calls


def test_a_call_of_which_nothing_arrived_is_not_expected() -> None:
    options = Options(calls=50, drop=1.0, sources=frozenset(CALLBACK_SOURCES))
    traffic = Traffic(options)
    assert list(traffic) == []
    assert traffic.expected is not None
    assert list(traffic.expected.expected()) == []


def test_a_lost_end_that_no_row_tells_of_is_not_an_end() -> None:
    traffic = Traffic(Options(calls=400, drop=0.5, sources=frozenset(CALLBACK_SOURCES), seed=5))
    for _ in traffic:
        pass
    assert traffic.expected is not None
    expected = list(traffic.expected.expected())
    open_ended = [call for call in expected if call.status is None]
    assert 50 < len(open_ended) < len(expected)
    assert not any(alert.rule == "call.failed" for call in open_ended for alert in call.alerts)


@pytest.mark.parametrize(
    "sources",
    [
        *(ALL_SERVED_SOURCES + OPTIONAL_SOURCES, ALL_SERVED_SOURCES, SERVED_SOURCES),
        *[(source,) for source in SERVED_SOURCES],
    ],
    ids=lambda sources: "+".join(sources) if len(sources) < 3 else str(len(sources)),
)
def test_a_served_run_that_is_read_meets_the_truth_whatever_callbacks_are_lost(
    sources: tuple[str, ...],
) -> None:
    faults = {**FAULTS, **FAILING, "drop": 0.4}
    calls = 75 if len(sources) == 1 and sources[0] != "twilio_notification" else 150
    options = Options(
        calls=calls, seed=7, served=True, sources=frozenset(sources), start_us=START_US, **faults
    )
    traffic, outputs = run_served(options)
    assert traffic.expected is not None
    report = compared(traffic.expected, outputs)
    assert report.ok, "\n".join(report.lines())
    assert report.events_found > 40


def test_of_a_served_call_the_end_is_known_whatever_was_lost() -> None:
    options = Options(calls=80, seed=5, served=True, drop=1.0, start_us=START_US)
    traffic, _ = run_served(options)
    assert traffic.expected is not None
    expected = list(traffic.expected.expected())
    assert len(expected) == 80
    assert None not in {call.status for call in expected}


@pytest.mark.parametrize("options", [{"calls": 40}, {"calls": None, "seconds": 20, "rate": 20}], ids=str)
def test_what_is_read_meanwhile_may_come_out_too(options: dict[str, Any]) -> None:
    """Of calls that are cut off too: their rows are there, and need not have been read."""
    asked = Options(seed=7, served=True, start_us=START_US, time_factor=60, **FAULTS, **options)
    traffic, outputs = run_served(asked, looks_every=30, ends_s=100)
    assert traffic.expected is not None
    at_first = {event.id for call in traffic.expected.expected() for event in call.events}
    passing = [event for event in outputs.events if event["id"] not in at_first]
    assert {"queued", "ringing", "in-progress"} <= {event["status"] for event in passing}
    report = compared(traffic.expected, outputs)
    assert report.ok, "\n".join(report.lines())
    assert report.landed == 0, "none of it is a callback that was given up"
    assert report.events_found == len(at_first) + len(passing)


def test_the_summary_that_is_complete_must_come_out_and_the_partial_one_may() -> None:
    options = Options(
        calls=10, telnyx=0.0, served=True, sources=frozenset({"twilio_call_summary"}), start_us=START_US
    )
    traffic, _ = run_served(options)
    assert traffic.expected is not None
    for call in traffic.expected.calls:
        assert call.readable() == {("twilio_call_summary", 1)}
        assert call.transient() == {("twilio_call_summary", 0)}
    assert len(list(traffic.expected.possible())) == 10


def test_of_a_telnyx_call_that_lasts_only_what_has_happened_may_be_read() -> None:
    options = Options(calls=20, telnyx=1.0, served=True, start_us=START_US)
    traffic, _ = run_served(options)
    assert traffic.expected is not None
    for call in traffic.expected.calls:
        assert isinstance(call, TelnyxCall)
        may = {call.log[n].name for source, n in call.transient() if source == "telnyx_call_event"}
        sent = {
            call.events[call.deliveries[n].event].name
            for source, n in call.transient()
            if source == "telnyx_webhook_delivery"
        }
        assert "call.initiated" in may
        assert not (may | sent) & {"call.hangup", "call.cost", "call.recording.saved"}
        assert call.transient() < call.readable()


def test_a_run_that_is_not_served_says_nothing_of_completeness() -> None:
    traffic = Traffic(Options(calls=20))
    for _ in traffic:
        pass
    assert traffic.expected is not None
    assert completeness_by_key(traffic.expected) == {}


def test_no_verdict_is_expected_on_legs_that_lost_a_simultaneous_dial() -> None:
    options = Options(calls=150, seed=7, sources=frozenset(EVERY_SOURCE), start_us=START_US)
    traffic = Traffic(options)
    outputs = outputs_of(traffic)
    assert traffic.expected is not None
    lost = {key for call in traffic.expected.expected() for key in call.won_over}
    last = {record["key"]: record for record in outputs.records}
    assert {(last[key]["outcome"], last[key]["verdict"]) for key in lost & last.keys()} == {
        ("canceled", None),
        ("no_answer", None),
    }
    for record in outputs.records:
        if record["key"] in lost:
            record["verdict"] = {"fault": "callee"}
    assert compared(traffic.expected, outputs).differences == {"call_wrong": len(lost & last.keys())}
    usual = Traffic(Options(calls=150, seed=7, start_us=START_US))
    for _ in usual:
        pass
    assert usual.expected is not None
    assert not any(call.won_over for call in usual.expected.expected())


def test_a_leg_that_was_dialled_after_the_first_ones_conversation_has_not_lost() -> None:
    options = Options(calls=300, seed=7, telnyx=0.0, sources=frozenset(EVERY_SOURCE), start_us=START_US)
    traffic = Traffic(options)
    outputs = outputs_of(traffic)
    assert traffic.expected is not None
    won = {call.parent: call.leg for call in traffic.expected.calls if call.rivals}
    later = {
        call.key
        for call in traffic.expected.calls
        if call.leg.answered_us is None
        and call.parent in won
        and call.leg.began_us > won[call.parent].ended_us
    }
    assert compared(traffic.expected, outputs).differences == {}
    blamed = {record["key"] for record in outputs.records if record["verdict"] and record["key"] in later}
    assert blamed == later
    for record in outputs.records:
        if record["key"] in later:
            record["verdict"] = None
    assert compared(traffic.expected, outputs).differences == {"call_wrong": len(later)}


def test_a_conference_tells_its_begin_and_end_under_its_own_key_also_when_it_is_told_twice() -> None:
    sources = frozenset(EVERY_SOURCE)
    traffic = Traffic(Options(calls=100, seed=7, sources=sources, start_us=START_US, duplicates=0.9))
    outputs = outputs_of(traffic)
    assert traffic.expected is not None
    told = [(event["key"], event["name"]) for event in outputs.events if ":conference:" in event["key"]]
    assert {name for _, name in told} == {"conference-start", "conference-end"}
    assert len(told) > len(set(told))
    assert compared(traffic.expected, outputs).differences == {}
    lost = [event for event in outputs.events if event["name"] != "conference-end"]
    missing = compared(traffic.expected, Outputs(lost, outputs.records, outputs.alerts))
    assert missing.differences == {"event_missing": len({key for key, name in told if name.endswith("end")})}
