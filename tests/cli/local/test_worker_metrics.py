"""What the live view reads from a worker's exposition."""

from __future__ import annotations

from stream.cli.local.worker_metrics import WorkerSnapshot, parse
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.family import DEAD_LETTERS
from stream.service.metrics.worker import WorkerMetrics


def test_a_worker_that_has_done_nothing_shows_zeros():
    figures = parse(WorkerMetrics().exposition()[0].decode(), 1.0)
    assert figures.deliveries == 0
    assert figures.dead_letters == 0
    assert set(figures.results) == {"applied", "late", "duplicate", "dead_lettered"}


def test_counts_are_summed_over_every_label_but_the_one_shown():
    metrics = WorkerMetrics()
    counts = BatchCounts(0)
    counts[f.EVENTS_PROCESSED, "twilio_call", "applied"] += 3
    counts[f.EVENTS_PROCESSED, "telnyx_webhook", "applied"] += 4
    counts[f.EVENTS_PROCESSED, "telnyx_webhook", "duplicate"] += 1
    counts[DEAD_LETTERS, "unknown", "not_json"] += 2
    counts[f.CALLS_ENDED, "twilio", None, "inbound", "busy"] += 5
    counts[f.ALERTS_PUBLISHED, "call.failed", "warning", "firing"] += 6
    counts[f.RECONCILED_CALLS, "twilio", "match"] += 3
    counts[f.RECONCILED_CALLS, "telnyx", "match"] += 4
    metrics.add(counts)
    figures = parse(metrics.exposition()[0].decode(), 1.0)
    assert figures.results["applied"] == 7
    assert figures.deliveries == 8
    assert figures.dead_letters == 2
    assert figures.outcomes["busy"] == 5
    assert figures.alerts["call.failed"] == 6
    assert figures.compared["match"] == 7


def test_the_rate_is_unknown_without_an_earlier_look_and_after_a_restart():
    now = WorkerSnapshot(10.0, "running", 500)
    assert now.rate_since(None) is None
    assert now.rate_since(WorkerSnapshot(8.0, "running", 300)) == 100
    assert now.rate_since(WorkerSnapshot(8.0, "running", 9000)) is None
