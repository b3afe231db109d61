"""A worker's metrics with a clock that stands still, and the same after it has counted everything once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from stream.core import effects
from stream.core.fetches import FetchRead, FetchRequest
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.family import DEAD_LETTERS
from stream.service.metrics.worker import WorkerMetrics

NOW_S = 1_800_000_000.0
NOW_US = 1_800_000_000_000_000

TOPICS = {"calls.events.v1": "events", "calls.callbacks.v1": "callbacks", "calls.ticks.v1": "ticks"}


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics("main", TOPICS, clock=lambda: NOW_S)


@pytest.fixture
def fed(metrics: WorkerMetrics) -> WorkerMetrics:
    """Every family has been fed at least once."""
    metrics.opened(0)
    metrics.add(held(0, {("twilio", "AC1", "inbound"): 3}, {"twilio": 3}, {"twilio_status_callback": 2}))
    metrics.add(full_counts())
    metrics.indexed(0, 7, 2)
    metrics.phase("running")
    metrics.rebalance_started()
    metrics.rebalance_ended(3.2, 12)
    metrics.recovery(17)
    metrics.batch(0, 100, 0.002, 0.03)
    metrics.produced("calls.events.v1", 100, 0.012, True)
    metrics.produced("calls.events.v1", 1, 0.5, False)
    metrics.lag("calls.callbacks.v1", 0, 42)
    metrics.entries(0, 1000)
    metrics.error("aborted")
    metrics.log_counter.handle(_log_record())
    return metrics


def held(
    partition: int,
    active: Mapping[tuple[str, str, str], int],
    overdue: Mapping[str, int] = MappingProxyType({}),
    gaps_open: Mapping[str, int] = MappingProxyType({}),
) -> BatchCounts:
    """What a partition holds when it is opened."""
    counts = BatchCounts(partition)
    counts.gauges.update({(f.CALLS_ACTIVE, *labels): n for labels, n in active.items()})
    counts.gauges.update({(f.CALLS_OVERDUE, provider): n for provider, n in overdue.items()})
    counts.gauges.update({(f.SEQUENCE_GAPS_OPEN, source): n for source, n in gaps_open.items()})
    return counts


def full_counts() -> BatchCounts:
    counts = BatchCounts(0)
    source = "twilio_status_callback"
    counts[f.EVENTS_PROCESSED, source, "applied"] += 2
    counts[f.EVENTS_PROCESSED, source, "duplicate"] += 1
    counts[f.EVENTS_PROCESSED, "unknown", "dead_lettered"] += 1
    counts[f.EVENTS_DEDUPLICATED, source, "sequence_number"] += 1
    counts[f.EVENTS_OUT_OF_ORDER, source] += 1
    counts[f.SEQUENCE_NUMBERS_UNREADABLE, source] += 1
    counts[DEAD_LETTERS, "unknown", "unknown_source"] += 1
    counts[f.PROCESSING_ERRORS, "callbacks", "KeyError"] += 1
    counts.times_us[source] += (NOW_US - 700_000, NOW_US - 400_000)
    counts.times_us[source] += (NOW_US - 3_000_000, NOW_US - 1_500_000)
    counts.alerted_us[source].append(NOW_US - 700_000)
    counts.processed_us = NOW_US - 100_000
    counts.heartbeat_us = NOW_US + 1_000_000
    counts[f.SCOPE_REPORTS_AHEAD,] += 1
    counts[f.ALERTS_PUBLISHED, "call.failed", "warning", "firing"] += 1
    for effect in (
        effects.CallStarted("twilio", "AC1", "outbound"),
        effects.CallEnded("twilio", "AC1", "outbound", "answered", 200, 2.5, 6.0, 61.0),
        effects.StateConflict("twilio", "status"),
        effects.CallbackAudited("twilio", "AC1", "https://a.example.test/status", "ringing", "missing"),
        effects.SequenceGapOpened(source, [2, 3]),
        effects.SequenceGapClosed(source, "late_arrival", 1),
        effects.InsightsEventSeen("carrier_edge", "WARNING"),
        effects.CallErrorSeen("twilio", "13224"),
        effects.CallErrorSeen("twilio", "99999"),
        effects.ErrorLogged("error", "application"),
        effects.ApplicationAnswered("twilio", "https://app.example.test/voice", "5xx", 0.4),
        effects.ApplicationAnswered("twilio", "https://elsewhere.example.test/CA1", "timeout", None),
        effects.CallEvicted("terminal_ttl"),
        FetchRequest(
            key="twilio:CA1",
            account="AC1",
            reads=[FetchRead("twilio_call", None)],
            reason="ended",
            due_at="2026-03-02T10:00:00.000000Z",
            attempt=1,
            priority="heal",
        ),
        effects.FetchAnswered("twilio_call", "success"),
        effects.CallReconciled("twilio", "missing_callback"),
        effects.VerdictSettled("twilio", "outbound", "carrier"),
        effects.CallbackMissing("twilio_status_callback", "completed"),
    ):
        counts.count_effect(effect)
    counts.gauges[f.CALLS_ACTIVE, "twilio", "AC2", "inbound"] += 1
    counts.gauges[f.CALLS_ACTIVE, "twilio", "AC1", "inbound"] -= 1
    counts.gauges[f.CALLS_OVERDUE, "twilio"] -= 1
    counts.gauges[f.ALERTS_ACTIVE, "call.failed", "warning"] += 1
    return counts


def _log_record() -> logging.LogRecord:
    return logging.LogRecord("callstream", logging.CRITICAL, __file__, 1, "gone", None, None)
