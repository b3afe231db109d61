"""What the live view reads from a worker's exposition."""

from __future__ import annotations

from stream.cli.local.worker_metrics import WorkerMetrics, parse
from stream.service.metrics.batch_counts import Tally
from stream.service.metrics.label_values import Vocabulary
from stream.service.metrics.worker import Metrics


def test_a_worker_that_has_done_nothing_shows_zeros():
    figures = parse(Metrics(Vocabulary()).exposition()[0].decode(), 1.0)
    assert figures.deliveries == 0
    assert figures.dead_letters == 0
    assert set(figures.results) == {"applied", "late", "duplicate", "dead_lettered"}


def test_counts_are_summed_over_every_label_but_the_one_shown():
    metrics = Metrics(Vocabulary())
    tally = Tally(0)
    tally.processed["twilio_call", "applied"] += 3
    tally.processed["telnyx_webhook", "applied"] += 4
    tally.processed["telnyx_webhook", "duplicate"] += 1
    tally.dead_letters["unknown", "not_json"] += 2
    tally.calls_ended["twilio", None, "inbound", "busy"] += 5
    tally.alerts_published["call.failed", "warning", "firing"] += 6
    tally.reconciled["twilio", "match"] += 3
    tally.reconciled["telnyx", "match"] += 4
    metrics.add(tally)
    figures = parse(metrics.exposition()[0].decode(), 1.0)
    assert figures.results["applied"] == 7
    assert figures.deliveries == 8
    assert figures.dead_letters == 2
    assert figures.outcomes["busy"] == 5
    assert figures.alerts["call.failed"] == 6
    assert figures.compared["match"] == 7


def test_the_rate_is_unknown_without_an_earlier_look_and_after_a_restart():
    now = WorkerMetrics(10.0, "running", 500)
    assert now.rate_since(None) is None
    assert now.rate_since(WorkerMetrics(8.0, "running", 300)) == 100
    assert now.rate_since(WorkerMetrics(8.0, "running", 9000)) is None
