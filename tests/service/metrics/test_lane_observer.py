"""What the lanes report is what a scrape shows of Kafka and of the worker."""

from __future__ import annotations

import inspect

import pytest

from stream.engine import status as lanes
from stream.service.metrics.label_values import LANE_ERRORS, WORKER_STATES
from stream.service.metrics.lane_observer import LaneObserver
from stream.service.metrics.worker import WorkerMetrics


def value(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.value(name, **labels)


def test_it_answers_everything_that_lanes_tell_an_observer() -> None:
    for name, told in inspect.getmembers(lanes.NullObserver, inspect.isfunction):
        ours = inspect.signature(getattr(LaneObserver, name))
        assert list(ours.parameters) == list(inspect.signature(told).parameters), name
    assert {phase.value for phase in lanes.Phase} == set(WORKER_STATES)


def test_exactly_one_state_is_the_worker_s(metrics: WorkerMetrics) -> None:
    for state in WORKER_STATES:
        metrics.observer.phase(state)
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
    fed.observer.rebalance_started()

    assert value(fed, "consumer_lag_messages", topic="callbacks", partition="0") is None
    assert value(fed, "table_entries", table="calls") == 0
    assert value(fed, "rebalances_total") == 2
    assert value(fed, "rebalance_duration_seconds_sum") == pytest.approx(3.2)


def test_table_entries_add_up_over_partitions(metrics: WorkerMetrics) -> None:
    metrics.observer.entries(0, 10)
    metrics.observer.entries(3, 5)
    metrics.observer.entries(0, 11)

    assert value(metrics, "table_entries", table="calls") == 16


@pytest.mark.parametrize("kind", LANE_ERRORS)
def test_what_goes_wrong_in_a_lane_has_a_series_of_its_own(metrics: WorkerMetrics, kind: str) -> None:
    assert value(metrics, "processing_errors_total", agent="lane", error=kind) == 0
    metrics.observer.error(kind)
    assert value(metrics, "processing_errors_total", agent="lane", error=kind) == 1
