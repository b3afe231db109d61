"""A worker's metrics with a clock that stands still, and the same after it has counted everything once."""

from __future__ import annotations

import logging

import pytest

from stream.core import effects
from stream.core.fetches import FetchRequest
from stream.service.metrics.batch_counts import Tally
from stream.service.metrics.label_values import Vocabulary
from stream.service.metrics.partition_gauges import Standing
from stream.service.metrics.worker import Metrics

NOW_S = 1_800_000_000.0
NOW_US = 1_800_000_000_000_000

VOCABULARY = Vocabulary(
    account_alias="main",
    accounts={"AC1": "main", "AC2": "second"},
    endpoints={"https://app.example.test/voice": "voice"},
    topics={"calls.events.v1": "events", "calls.callbacks.v1": "callbacks"},
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(VOCABULARY, clock=lambda: NOW_S)


@pytest.fixture
def fed(metrics: Metrics) -> Metrics:
    """Every family has been fed at least once."""
    metrics.opened(
        0, Standing({("twilio", "AC1", "inbound"): 3}, {"twilio": 3}, {"twilio_status_callback": 2})
    )
    metrics.add(full_tally())
    metrics.indexed(0, 7, 2)
    observer = metrics.observer
    observer.phase("running")
    observer.rebalance_started()
    observer.rebalance_ended(3.2, 12)
    observer.recovery(17)
    observer.batch(0, 100, 0.002, 0.03)
    observer.produced("calls.events.v1", 100, 0.012, True)
    observer.produced("calls.events.v1", 1, 0.5, False)
    observer.lag("calls.callbacks.v1", 0, 42)
    observer.entries(0, 1000)
    observer.error("aborted")
    metrics.log_counter.handle(_log_record())
    return metrics


def full_tally() -> Tally:
    tally = Tally(0)
    source = "twilio_status_callback"
    tally.processed[source, "applied"] += 2
    tally.processed[source, "duplicate"] += 1
    tally.processed["unknown", "dead_lettered"] += 1
    tally.deduplicated[source, "sequence_number"] += 1
    tally.out_of_order[source] += 1
    tally.dead_letters["unknown", "unknown_source"] += 1
    tally.errors["callbacks", "KeyError"] += 1
    tally.occurred_us[source] += [NOW_US - 700_000, NOW_US - 3_000_000]
    tally.received_after_us[source] += [300_000, 1_500_000]
    tally.alerted_us[source].append(NOW_US - 700_000)
    tally.processed_us = NOW_US - 100_000
    tally.heartbeat_us = NOW_US + 1_000_000
    tally.alerts_published["call.failed", "warning", "firing"] += 1
    for effect in (
        effects.CallStarted("twilio", "AC1", "outbound-api"),
        effects.CallEnded("twilio", "AC1", "outbound-api", "answered", 200, 2.5, 6.0, 61.0),
        effects.StateConflict("twilio", "status"),
        effects.SequenceGapOpened(source, [2, 3]),
        effects.SequenceGapClosed(source, "late_arrival"),
        effects.InsightsEventSeen("carrier_edge", "WARNING"),
        effects.CallErrorSeen("twilio", "13224"),
        effects.ApplicationAnswered("twilio", "https://app.example.test/voice", "5xx", 0.4),
        effects.ApplicationAnswered("twilio", "https://elsewhere.example.test/CA1", "timeout", None),
        effects.CallEvicted("terminal_ttl"),
        FetchRequest(
            key="twilio:CA1",
            account="AC1",
            source="twilio_call",
            edge=None,
            reason="ended",
            due_at="2026-03-02T10:00:00.000000Z",
            attempt=1,
            priority="heal",
        ),
        effects.FetchAnswered("twilio_call", "success"),
        effects.CallReconciled("twilio", "missing_callback"),
        effects.CallbackMissing("twilio_status_callback", "completed"),
    ):
        assert tally.count(effect)
    tally.active_moved(None, ("twilio", "AC2", "inbound"))
    tally.active_moved(("twilio", "AC1", "inbound"), None)
    tally.overdue["twilio"] -= 1
    return tally


def _log_record() -> logging.LogRecord:
    return logging.LogRecord("callstream", logging.CRITICAL, __file__, 1, "gone", None, None)
