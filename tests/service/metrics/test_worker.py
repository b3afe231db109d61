"""A batch's counts go in after its commit, and what it counted is what a scrape shows."""

from __future__ import annotations

import inspect
import time

import pytest

from stream.core import effects
from stream.engine import status as lanes
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.label_values import LANE_ERRORS, STAGES, WORKER_STATES
from stream.service.metrics.worker import WorkerMetrics
from tests.service.metrics.conftest import held

NOW_US = 1_800_000_000_000_000
SOURCE = "twilio_status_callback"


def value(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"callstream_{name}", labels)


def test_every_delivery_is_counted_once_by_its_result(fed: WorkerMetrics) -> None:
    assert value(fed, "events_processed_total", source=SOURCE, result="applied") == 2
    assert value(fed, "events_processed_total", source=SOURCE, result="duplicate") == 1
    assert value(fed, "events_processed_total", source="unknown", result="dead_lettered") == 1
    assert value(fed, "events_deduplicated_total", source=SOURCE, match="sequence_number") == 1
    assert value(fed, "dead_letters_total", source="unknown", reason="unknown_source") == 1
    assert value(fed, "last_event_timestamp_seconds", source=SOURCE) == 1_800_000_000
    assert value(fed, "last_event_timestamp_seconds", source="telnyx_webhook") is None


def test_latency_is_measured_to_each_stage(fed: WorkerMetrics) -> None:
    def measured(stage: str) -> tuple[float | None, float | None]:
        labels = {"source": SOURCE, "stage": stage}
        within_half_a_second = value(fed, "event_latency_seconds_bucket", le="0.5", **labels)
        return value(fed, "event_latency_seconds_sum", **labels), within_half_a_second

    assert measured("received") == (pytest.approx(1.8), 1)
    assert measured("processed") == (pytest.approx(3.5), 0)
    assert measured("state_visible") == (pytest.approx(3.7), 0)
    assert measured("alert_published") == (pytest.approx(0.7), 0)


def test_a_callback_is_measured_from_its_receipt_to_its_commit_and_a_polled_row_is_not(
    metrics: WorkerMetrics,
) -> None:
    counts = BatchCounts(0)
    for source in (SOURCE, "twilio_call"):
        # Received 0.06 s and 0.4 s ago: neither time ascends.
        counts.times_us[source] += (NOW_US - 3_000_000, NOW_US - 60_000)
        counts.times_us[source] += (NOW_US - 3_100_000, NOW_US - 400_000)
    metrics.add(counts)
    assert value(metrics, "callback_latency_seconds_count") == 2
    assert value(metrics, "callback_latency_seconds_sum") == pytest.approx(0.46)
    assert value(metrics, "callback_latency_seconds_bucket", le="0.075") == 1


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
    counts.count_effect(effects.CallEnded("telnyx", None, "inbound", "no_answer", None, None, None, None))

    assert {family for family, *_ in counts} == {f.CALLS_ENDED}
    assert counts.durations_s == {}
    metrics.add(counts)
    ended = {"provider": "telnyx", "account": "main", "direction": "inbound", "outcome": "no_answer"}
    assert value(metrics, "calls_ended_total", **ended) == 1


def test_the_application_s_answers_are_counted_by_endpoint_and_class(fed: WorkerMetrics) -> None:
    endpoint = {"provider": "twilio", "endpoint": "other"}

    assert value(fed, "app_webhook_responses_total", code_class="5xx", **endpoint) == 1
    assert value(fed, "app_webhook_responses_total", code_class="timeout", **endpoint) == 1
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
            counts.times_us[SOURCE] += (occurred_us, occurred_us + i * 31 % 5_000)
        counted = time.perf_counter()
        metrics.add(counts)
        apply_us.append((time.perf_counter() - counted) * 1e6 / events)
        count_us.append((counted - begun) * 1e6 / events)

    assert min(count_us) < most_us_to_count
    assert min(apply_us) < most_us_to_apply


# What the owned partitions hold: right from the start and after each batch, and gone with them.


def active(metrics: WorkerMetrics) -> float | None:
    return value(metrics, "calls_active", provider="twilio", account="main", direction="inbound")


def test_the_table_s_calls_are_active_as_soon_as_their_partition_is_opened(metrics: WorkerMetrics) -> None:
    metrics.opened(0)
    metrics.add(held(0, {("twilio", "AC1", "inbound"): 3}, {"twilio": 1}, {"telnyx_webhook": 2}))
    metrics.opened(1)
    metrics.add(held(1, {("twilio", "AC1", "inbound"): 4}))

    assert active(metrics) == 7
    assert value(metrics, "calls_overdue", provider="twilio") == 1
    assert value(metrics, "sequence_gaps_open", source="telnyx_webhook") == 2


def test_a_batch_moves_the_calls_of_its_partition(fed: WorkerMetrics) -> None:
    assert active(fed) == 3
    assert value(fed, "calls_overdue", provider="twilio") == 2
    assert value(fed, "sequence_gaps_open", source="twilio_status_callback") == 3


def test_a_partition_that_was_taken_away_leaves_nothing_behind(fed: WorkerMetrics) -> None:
    fed.closed(0)

    assert active(fed) == 0
    assert value(fed, "sequence_gaps_open", source="twilio_status_callback") == 0
    assert value(fed, "heartbeat_timestamp_seconds", stage="state_visible") is None


def test_a_batch_that_ends_after_its_partition_is_gone_moves_no_gauge(metrics: WorkerMetrics) -> None:
    counts = BatchCounts(5)
    counts.gauges[f.CALLS_ACTIVE, "twilio", "AC1", "inbound"] += 1
    metrics.add(counts)

    assert active(metrics) == 0


def test_the_calls_of_all_accounts_add_up_under_the_installation_s_alias(metrics: WorkerMetrics) -> None:
    metrics.opened(0)
    metrics.add(held(0, {("twilio", "AC8", "inbound"): 1, ("twilio", "AC9", "inbound"): 2}))

    assert active(metrics) == 3


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


def test_each_stage_has_its_own_heartbeat_so_the_first_old_one_stands_still(metrics: WorkerMetrics) -> None:
    opened_s = 1_800_000_000
    metrics.opened(0)
    metrics.consumed("calls.ticks.v1", 0, 3, (opened_s + 90) * 1000)
    metrics.consumed("calls.callbacks.v1", 0, 3, (opened_s + 99) * 1000)
    metrics.folded(0, (opened_s + 60) * 1_000_000)
    metrics.folded(0, 0)  # a batch without a heartbeat
    counts = BatchCounts(0)
    counts.heartbeat_us = (opened_s + 30) * 1_000_000
    metrics.add(counts)

    shown = {stage: value(metrics, "heartbeat_timestamp_seconds", stage=stage) for stage in STAGES}
    after_s = {"received": 90, "processed": 60, "published": 30, "state_visible": 30}
    assert shown == {stage: opened_s + s for stage, s in after_s.items()}


# What the lanes report.


def test_it_answers_everything_that_lanes_tell_an_observer() -> None:
    told_to = {name: told for name, told in vars(lanes.Observer).items() if not name.startswith("_")}
    assert len(told_to) == 11
    for name, told in told_to.items():
        ours = inspect.signature(getattr(WorkerMetrics, name))
        assert list(ours.parameters) == list(inspect.signature(told).parameters), name
    assert {phase.value for phase in lanes.Phase} == set(WORKER_STATES)


def test_exactly_one_state_is_the_worker_s(metrics: WorkerMetrics) -> None:
    for state in WORKER_STATES:
        metrics.phase(state)
        shown = [value(metrics, "worker_state", state=each) for each in WORKER_STATES]
        assert shown == [float(each == state) for each in WORKER_STATES]


def test_records_sent_are_counted_by_topic_and_outcome(fed: WorkerMetrics) -> None:
    assert value(fed, "produce_messages_total", topic="events", outcome="success") == 100
    assert value(fed, "produce_messages_total", topic="events", outcome="error") == 1
    assert value(fed, "produce_duration_seconds_count", topic="events") == 101
    assert value(fed, "produce_duration_seconds_bucket", topic="events", le="0.025") == 100


def test_a_batch_s_time_is_divided_among_its_events(fed: WorkerMetrics) -> None:
    assert value(fed, "processing_duration_seconds_count", agent="lane") == 100
    assert value(fed, "processing_duration_seconds_sum", agent="lane") == pytest.approx(0.002)
    assert value(fed, "processing_duration_seconds_bucket", agent="lane", le="2.5e-05") == 100


def test_a_rebalance_forgets_what_was_known_of_the_partitions(fed: WorkerMetrics) -> None:
    assert value(fed, "consumer_lag_messages", topic="callbacks", partition="0") == 42
    assert value(fed, "table_entries", table="calls") == 1000
    fed.rebalance_started()

    assert value(fed, "consumer_lag_messages", topic="callbacks", partition="0") is None
    assert value(fed, "table_entries", table="calls") == 0
    assert value(fed, "rebalances_total") == 2
    assert value(fed, "rebalance_duration_seconds_sum") == pytest.approx(3.2)


def test_table_entries_add_up_over_partitions(metrics: WorkerMetrics) -> None:
    metrics.entries(0, 10)
    metrics.entries(3, 5)
    metrics.entries(0, 11)

    assert value(metrics, "table_entries", table="calls") == 16


def test_what_goes_wrong_in_a_lane_has_a_series_of_its_own(metrics: WorkerMetrics) -> None:
    for kind in LANE_ERRORS:
        assert value(metrics, "processing_errors_total", agent="lane", error=kind) == 0
        metrics.error(kind)
        assert value(metrics, "processing_errors_total", agent="lane", error=kind) == 1
