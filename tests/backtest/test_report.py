"""What a backtest tells of an outage with other rules: on the trace of a failing endpoint, without Kafka."""

from __future__ import annotations

import re

import msgspec

from stream.backtest.recording import RecordedDeliveries
from stream.backtest.report import BacktestReport, lines_of, report_of
from stream.backtest.run import Backtest, BacktestSpan
from stream.core.alerting.rules import DEFAULT_RULES, read_rules
from tests.agents.batches import TOPICS
from tests.backtest.recorded import START_S, job, records_of, slices_of
from tests.cases.playing import START_US
from tests.replay.replaying import read_trace

TRACE = read_trace("failing-endpoint-that-recovers")
ENDPOINT = "twilio:endpoint:AC0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a:https://app.example.test/answer"
HOUR_US = 3_600_000_000

SOONER = """
[[rules]]
id = "webhook.failing"
least = 3

[[rules]]
id = "call.short"
enabled = false
"""


def backtested(candidate: str, *, partitions: int = 3) -> BacktestReport:
    """The trace with the shipped rules and others."""
    span = BacktestSpan(START_US, START_US + HOUR_US)
    jobs = {"current": job(DEFAULT_RULES), "candidate": job(read_rules(candidate))}
    deliveries = RecordedDeliveries(None, (), {}, span.recorded, partitions, range(partitions))
    done = Backtest(jobs, TOPICS, span, deliveries)
    done.take(list(slices_of(records_of(TRACE, partitions))))
    done.advance(START_S + 3600)
    done.found.settle(done.reached_us, everything=True)
    return report_of(
        done.found,
        since_us=span.since_us,
        until_us=done.reached_us,
        complete=True,
        partitions=(partitions, partitions),
        records=done.records,
        unreadable=0,
        notes=[],
    )


def test_the_same_rules_change_nothing() -> None:
    report = backtested("")
    assert (report.added, report.removed, report.changed, report.same) == (0, 0, 0, 31)
    assert (report.current, report.examples) == (report.candidate, [])
    assert report.records == 240


def test_other_rules_are_told_rule_by_rule_with_examples() -> None:
    report = backtested(SOONER)
    assert (report.added, report.removed, report.changed, report.same) == (0, 30, 1, 0)
    rules = {one.rule: (one.current, one.candidate, one.changed, one.removed) for one in report.rules}
    assert rules == {"call.short": (30, 0, 0, 30), "webhook.failing": (1, 1, 1, 0)}
    assert [(one.scope, one.current, one.candidate) for one in report.noisiest] == [
        ("calls of default", 30, 0),
        (ENDPOINT, 1, 1),
    ]
    changed = report.examples[-1]
    assert changed.scope == ENDPOINT
    assert changed.current is not None
    assert changed.candidate is not None
    assert changed.candidate.detected_at < changed.current.detected_at
    assert changed.candidate.calls
    assert [one.rule for one in report.examples] == ["call.short"] * 3 + ["webhook.failing"]


def test_pages_are_counted_by_the_day() -> None:
    """Alone the error log makes a warning: a rule of lower severity that reaches critical is a page."""
    always = '[[rules]]\nid = "call.short"\nseverity = "critical"\n'
    report = backtested(always)
    assert (report.current.pages, report.current.busiest_day) == (0, None)
    assert (report.candidate.pages, report.candidate.pages_a_day) == (30, 720.0)
    assert (report.candidate.busiest_day, report.candidate.busiest_day_pages) == ("2026-03-02", 30)


def test_a_person_reads_lines_and_a_program_one_object() -> None:
    report = backtested(SOONER)
    lines = list(lines_of(report))
    assert lines[0] == "240 deliveries of 3 partitions, 2026-03-02T10:00Z to 2026-03-02T11:00Z"
    said = "\n".join(lines)
    assert re.search(r"^pages \(critical\) +0 +0\n  a day +0\.00 +0\.00$", said, re.MULTILINE)
    assert re.search(r"^call\.short +30 +0 +0 +0 +0 +30$", said, re.MULTILINE)
    assert f"\nchanged: webhook.failing of {ENDPOINT}\n  current: warning, from 2026-03-02T10:03:00Z" in said
    assert "\nremoved: call.short of call twilio:CA" in said
    assert msgspec.json.decode(msgspec.json.encode(report), type=BacktestReport) == report


def test_minutes_have_no_pages_a_day() -> None:
    report = report_of(
        Backtest(
            {"current": job(), "candidate": job()},
            TOPICS,
            BacktestSpan(START_US, START_US + 1),
            RecordedDeliveries(None, (), {}, BacktestSpan(START_US, START_US + 1).recorded, 1, [0]),
        ).found,
        since_us=START_US,
        until_us=START_US + HOUR_US - 1,
        complete=False,
        partitions=(1, 2),
        records=0,
        unreadable=0,
        notes=["it stopped"],
    )
    assert report.current.pages_a_day is None
    lines = list(lines_of(report))
    assert lines[:2] == [
        "0 deliveries of 1 of 2 partitions, 2026-03-02T10:00Z to 2026-03-02T10:59Z",
        "note: it stopped",
    ]
