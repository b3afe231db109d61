"""A batch's counts go in after its commit, and what it counted is what a scrape shows."""

from __future__ import annotations

import time

import pytest

from stream.core import effects
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.worker import WorkerMetrics

NOW_US = 1_800_000_000_000_000
SOURCE = "twilio_status_callback"


def value(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.value(name, **labels)


def test_every_delivery_is_counted_once_by_its_result(fed: WorkerMetrics) -> None:
    assert value(fed, "events_processed_total", source=SOURCE, result="applied") == 2
    assert value(fed, "events_processed_total", source=SOURCE, result="duplicate") == 1
    assert value(fed, "events_processed_total", source="unknown", result="dead_lettered") == 1
    assert value(fed, "events_deduplicated_total", source=SOURCE, match="sequence_number") == 1
    assert value(fed, "dead_letters_total", source="unknown", reason="unknown_source") == 1
    assert value(fed, "last_event_timestamp_seconds", source=SOURCE) == 1_800_000_000
    assert value(fed, "last_event_timestamp_seconds", source="telnyx_webhook") == 0


@pytest.mark.parametrize(
    ("stage", "sum_s", "within_half_a_second"),
    [("received", 1.8, 1), ("processed", 3.5, 0), ("state_visible", 3.7, 0), ("alert_published", 0.7, 0)],
)
def test_latency_is_measured_to_each_stage(
    fed: WorkerMetrics, stage: str, sum_s: float, within_half_a_second: int
) -> None:
    labels = {"source": SOURCE, "stage": stage}

    assert value(fed, "event_latency_seconds_sum", **labels) == pytest.approx(sum_s)
    assert value(fed, "event_latency_seconds_bucket", le="0.5", **labels) == within_half_a_second


def test_an_ended_call_is_counted_with_its_response_its_delays_and_its_talk_time(fed: WorkerMetrics) -> None:
    call = {"provider": "twilio", "direction": "outbound"}

    assert value(fed, "calls_started_total", account="main", **call) == 1
    assert value(fed, "calls_ended_total", account="main", outcome="answered", **call) == 1
    assert value(fed, "call_final_responses_total", sip_code="200", **call) == 1
    assert value(fed, "call_setup_delay_seconds_sum", phase="ringing", **call) == 2.5
    assert value(fed, "call_setup_delay_seconds_sum", phase="answered", **call) == 6.0
    assert value(fed, "call_duration_seconds_sum", **call) == 61.0


def test_a_call_without_a_sip_code_or_an_answer_has_no_observations_of_them(metrics: WorkerMetrics) -> None:
    counts = BatchCounts(0)
    counts.count_effect(effects.CallEnded("telnyx", None, "incoming", "no_answer", None, None, None, None))

    assert {family for family, *_ in counts} == {f.CALLS_ENDED}
    assert counts.durations_s == {}
    metrics.add(counts)
    ended = {"provider": "telnyx", "account": "main", "direction": "inbound", "outcome": "no_answer"}
    assert value(metrics, "calls_ended_total", **ended) == 1


def test_an_effect_that_is_written_and_not_only_counted_is_left_to_others() -> None:
    assert not BatchCounts(0).count_effect(object())


def test_the_application_s_answers_are_counted_by_endpoint_and_class(fed: WorkerMetrics) -> None:
    endpoint = {"provider": "twilio", "endpoint": "voice"}

    assert value(fed, "app_webhook_responses_total", code_class="5xx", **endpoint) == 1
    assert value(fed, "app_webhook_duration_seconds_count", **endpoint) == 1


@pytest.mark.parametrize(
    ("events", "most_us_to_count", "most_us_to_apply"),
    [(2_000, 3, 2), (1, 60, 300)],  # measured on one busy core: 0.25 and 0.11; 4 and 20
)
def test_counting_costs_little_for_each_event(
    metrics: WorkerMetrics, events: int, most_us_to_count: float, most_us_to_apply: float
) -> None:
    metrics.opened(0)
    count_us, apply_us = [], []
    for _ in range(7):
        begun = time.perf_counter()
        counts = BatchCounts(0)
        for i in range(events):
            occurred_us = NOW_US - (i * 7919) % 900_000
            counts[f.EVENTS_PROCESSED, SOURCE, "applied"] += 1
            counts.occurred_us[SOURCE].append(occurred_us)
            counts.received_after_us[SOURCE].append(i * 31 % 5_000)
        counted = time.perf_counter()
        metrics.add(counts)
        apply_us.append((time.perf_counter() - counted) * 1e6 / events)
        count_us.append((counted - begun) * 1e6 / events)

    assert min(count_us) < most_us_to_count
    assert min(apply_us) < most_us_to_apply
