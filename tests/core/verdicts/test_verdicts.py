"""Whose fault it was: the table of cases, and what a verdict must not depend on."""

from __future__ import annotations

import random
import runpy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.call.lifecycle import lifecycle_of, verdict_of
from stream.core.call.record import CallRecord
from stream.core.call.state import dump
from stream.core.call.timers import tick
from stream.core.effects import VerdictSettled
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.core.timestamps import SECOND_US
from stream.core.verdicts.evidence import Evidence
from stream.core.verdicts.table import FAULTS, RUNGS, SOURCES, TABLE
from tests.core.deliveries import START_US, Delivery, answered_call, callback
from tests.core.folding import settled, tell
from tests.core.verdicts.cases import EXAMPLES, MORE
from tests.core.verdicts.reports import CHILD, entry, summary, twilio
from tests.tree import ROOT

CASES = EXAMPLES | MORE


def said(deliveries: list[Delivery]) -> str:
    verdict = settled(tell(deliveries).call).verdict
    if verdict is None:
        return "null"
    return " ".join(filter(None, (verdict.fault, verdict.confidence)))


@pytest.mark.parametrize("name", CASES)
def test_what_was_reported_says_whose_fault_it_was(name: str) -> None:
    deliveries, expected = CASES[name]
    assert said(deliveries) == expected


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_depends_on_no_order_and_no_repetition(name: str) -> None:
    deliveries, _ = CASES[name]
    expected = settled(tell(deliveries).call).verdict
    for seed in range(3):
        shuffled = [*deliveries, *deliveries[::2]]
        random.Random(seed).shuffle(shuffled)
        assert settled(tell(shuffled).call).verdict == expected


MIXED = [one for deliveries, _ in CASES.values() for one in deliveries]


@given(st.lists(st.sampled_from(MIXED), min_size=2, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=64, deadline=None)
def test_whatever_is_reported_comes_to_one_verdict_in_any_order(
    deliveries: list[Delivery], order: Any
) -> None:
    of_one = [one for one in deliveries if one.key == deliveries[0].key]
    shuffled = [*of_one, *of_one[:2]]
    order.shuffle(shuffled)
    verdicts = []
    for some in (of_one, shuffled):
        call = tell(some).call
        verdicts.append(verdict_of(call, lifecycle_of(call)))
    assert verdicts[0] == verdicts[1]


def test_a_call_that_has_not_ended_has_no_verdict_until_it_is_overdue() -> None:
    call = tell([callback("initiated", "0", 0), callback("in-progress", "1", 5)]).call
    assert verdict_of(call, lifecycle_of(call)) is None
    call.overdue = True
    verdict = verdict_of(call, lifecycle_of(call))
    assert verdict is not None
    assert (verdict.fault, verdict.confidence) == ("unknown", None)
    assert [(one.fact, one.value) for one in verdict.evidence] == [("status", "none")]


def test_a_leg_that_lost_against_a_sibling_has_no_verdict() -> None:
    call = tell(twilio("canceled", 487, rang_s=4, **CHILD)).call
    call.evidence = (Evidence("sibling", "answered"),)
    assert verdict_of(call, lifecycle_of(call)) is None


def test_a_verdict_that_evidence_changes_is_written_at_once() -> None:
    told = tell(twilio("failed", 603))
    assert [record.verdict.fault for record in told.all_of(CallRecord)] == ["unknown"]
    told = tell([entry("32017")], call=told.call, offset=9)
    (record,) = told.all_of(CallRecord)
    assert (record.revision, record.verdict.fault, record.verdict.confidence) == (2, "spam_block", "high")
    assert [(one.fact, one.value, one.fault, one.sources) for one in record.verdict.evidence] == [
        ("error_code", "32017", "spam_block", ["twilio_notification"]),
        ("sip_response_code", "603", "unknown", ["twilio_status_callback"]),
        ("status", "failed", "unknown", ["twilio_status_callback"]),
    ]
    assert tell([summary(q850_cause=127)], call=told.call, offset=10).all_of(CallRecord) == []
    told = tell([*twilio("failed", 404), summary(q850_cause=1)])
    assert [record.verdict.confidence for record in told.all_of(CallRecord)] == ["medium", "high"]


def test_a_call_that_succeeded_keeps_no_evidence() -> None:
    assert tell(answered_call()).call.evidence == ()


def test_a_normal_end_and_an_unknown_cause_of_the_network_are_no_evidence() -> None:
    told = tell([*twilio("failed"), summary(q850_cause=0), summary(q850_cause=16), summary(q850_cause=128)])
    assert told.call.evidence == ()


def test_evidence_is_bounded() -> None:
    told = tell([*twilio("failed"), *(entry(str(code), sid=f"NO{code}") for code in range(40_000, 41_000))])
    assert [one.value for one in told.call.evidence] == [str(code) for code in range(40_000, 40_008)]
    assert len(dump(told.call)) < 20_000


def test_every_row_is_one_that_can_be_read() -> None:
    context = {"twilio", "telnyx", "inbound", "outbound", "outbound-api", "root", "child", "answered"}
    context |= {"to:pstn", "to:device", "from:device", "rang:2", "rang:10", "media:person"}
    known = context | {f"{row.fact}:{value}" for row in TABLE for value in row.values.split()}
    known |= {f"media:{word}" for word in ("reconnected", "network-quality-warning-cleared")}
    known |= {"request:2xx", "command:other", "q850_cause:102", "disconnected_by:callee"}
    for row in TABLE:
        assert row.fault in FAULTS
        assert (row.confidence == "") == (row.fault == "unknown")
        assert row.rung in RUNGS
        kind, _, source = row.mark.partition(" ")
        assert kind in {"O", "S", "M"}
        assert (source in SOURCES) if kind != "M" else source == ""
        for word in f"{row.needs} {row.unless} {row.recovered_by}".replace("|", " ").split():
            assert word in known, word


def test_the_page_says_what_the_table_says() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "scripts" / "verdicts_page.py"))["page"]
    assert (ROOT / "docs" / "verdicts.md").read_text() == page(), "make docs"


def test_the_verdict_is_counted_when_the_call_leaves_the_table() -> None:
    call = tell(twilio("failed", 608)).call
    effects = tick(call, call.arrival.last_us + 1_000_000 * SECOND_US, CallPolicy()).effects
    assert VerdictSettled("twilio", "outbound", "spam_block") in effects
    call = tell(answered_call()).call
    effects = tick(call, call.arrival.last_us + 1_000_000 * SECOND_US, CallPolicy()).effects
    assert VerdictSettled not in map(type, effects)
    call = tell([callback("ringing", "0", 0)]).call
    overdue = tick(call, START_US + 100_000 * SECOND_US, CallPolicy(max_age_s=200_000)).call
    assert overdue is not None
    effects = tick(overdue, START_US + 300_000 * SECOND_US, CallPolicy(max_age_s=200_000)).effects
    assert VerdictSettled("twilio", "outbound", "unknown") in effects


@pytest.mark.parametrize("mode", ["masked", "hashed", "full"])
@pytest.mark.parametrize("name", ["04 not in service", "SIP endpoint not registered", "12 ICE"])
def test_a_verdict_is_the_same_however_addresses_are_shown(name: str, mode: str) -> None:
    deliveries, expected = CASES[name]
    call = tell(deliveries, privacy=Privacy(mode, "secret")).call
    verdict = verdict_of(call, lifecycle_of(call))
    assert verdict is not None
    assert f"{verdict.fault} {verdict.confidence}" == expected
