"""Gauges of what the owned partitions hold: right from the start and after each batch, and gone with them."""

from __future__ import annotations

from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.worker import WorkerMetrics
from tests.service.metrics.conftest import held


def value(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.value(name, **labels)


def active(metrics: WorkerMetrics, account: str = "main") -> float | None:
    return value(metrics, "calls_active", provider="twilio", account=account, direction="inbound")


def test_the_table_s_calls_are_active_as_soon_as_their_partition_is_opened(metrics: WorkerMetrics) -> None:
    metrics.opened(0)
    metrics.add(held(0, {("twilio", "AC1", "inbound"): 3}, {"twilio": 1}, {"telnyx_webhook": 2}))
    metrics.opened(1)
    metrics.add(held(1, {("twilio", "AC1", "inbound"): 4}))

    assert active(metrics) == 7
    assert value(metrics, "calls_overdue", provider="twilio") == 1
    assert value(metrics, "sequence_gaps_open", source="telnyx_webhook") == 2


def test_a_batch_moves_the_calls_of_its_partition(fed: WorkerMetrics) -> None:
    assert active(fed) == 2
    assert active(fed, "second") == 1
    assert value(fed, "calls_overdue", provider="twilio") == 2
    assert value(fed, "sequence_gaps_open", source="twilio_status_callback") == 3


def test_a_partition_that_was_taken_away_leaves_nothing_behind(fed: WorkerMetrics) -> None:
    fed.closed(0)

    assert active(fed) == 0
    assert value(fed, "sequence_gaps_open", source="twilio_status_callback") == 0
    assert value(fed, "heartbeat_timestamp_seconds", stage="state_visible") == 0


def test_a_batch_that_ends_after_its_partition_is_gone_moves_no_gauge(metrics: WorkerMetrics) -> None:
    counts = BatchCounts(5)
    counts.active_moved(None, ("twilio", "AC1", "inbound"))
    metrics.add(counts)

    assert active(metrics) == 0


def test_accounts_that_are_not_listed_add_up_under_other(metrics: WorkerMetrics) -> None:
    metrics.opened(0)
    metrics.add(held(0, {("twilio", "AC8", "inbound"): 1, ("twilio", "AC9", "inbound"): 2}))

    assert active(metrics, "other") == 3


def test_a_call_that_stays_what_it_is_moves_nothing() -> None:
    counts = BatchCounts(0)
    counts.active_moved(("twilio", "AC1", "inbound"), ("twilio", "AC1", "inbound"))

    assert counts.gauges == {}


def test_one_lane_that_stands_still_shows_in_the_heartbeat(metrics: WorkerMetrics) -> None:
    opened_s = 1_800_000_000
    metrics.opened(0)
    metrics.opened(1)
    counts = BatchCounts(0)
    counts.heartbeat_us = (opened_s + 90) * 1_000_000
    metrics.add(counts)

    assert value(metrics, "heartbeat_timestamp_seconds", stage="state_visible") == opened_s
    counts.partition = 1
    metrics.add(counts)
    assert value(metrics, "heartbeat_timestamp_seconds", stage="state_visible") == opened_s + 90
