"""What several processes of a worker show as one: as much as they have counted, also of those that ended."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from stream.service.metrics import worker_families as f
from stream.service.metrics.family import SHARED
from stream.service.metrics.series.process_metrics import ProcessMetrics, merged_exposition
from stream.service.metrics.worker import WorkerMetrics
from tests.service.metrics.conftest import NOW_S, TOPICS, full_counts, held
from tests.service.metrics.promtool import complaints

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def series_of(exposition: bytes) -> Series:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
    }


def scraped(metrics: WorkerMetrics, run: int = 1) -> ProcessMetrics:
    process = ProcessMetrics()
    process.answered(run, metrics.exposition()[0].decode())
    return process


def value(exposition: bytes, name: str, **labels: str) -> float | None:
    return series_of(exposition).get((f"callstream_{name}", frozenset(labels.items())))


def test_gauges_are_summed_but_for_times_lags_and_what_each_process_has_of_its_own() -> None:
    assert {
        family.name: family.several
        for family in (*f.FAMILIES, *SHARED)
        if family.kind == "gauge" or family.several != "sum"
    } == {
        "alerts_active": "sum",
        "build_info": "each",
        "calls_active": "sum",
        "calls_overdue": "sum",
        "config_last_reload_successful": "min",
        "consumer_lag_messages": "max",
        "due_calls": "sum",
        "heartbeat_timestamp_seconds": "min",
        "last_event_timestamp_seconds": "max",
        "rebalances_total": "each",
        "reconciliation_last_success_timestamp_seconds": "max",
        "sequence_gaps_open": "sum",
        "table_entries": "sum",
        "table_recovery_remaining_messages": "sum",
        "troubled_calls": "sum",
        "worker_state": "each",
    }


def test_one_process_shows_what_it_would_without_others(fed: WorkerMetrics) -> None:
    text, content_type = fed.exposition()
    alone = series_of(text)
    exposition, merged_type = merged_exposition({"1": scraped(fed)})

    def without_process(labels: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        return frozenset(label for label in labels if label[0] != "process")

    moving = ("process_", "python_gc_")
    assert {
        (name, without_process(labels)): at
        for (name, labels), at in series_of(exposition).items()
        if not name.startswith(moving)
    } == {key: at for key, at in alone.items() if not key[0].startswith(moving)}
    assert merged_type == content_type


def test_promtool_finds_nothing_to_say_about_an_exposition_of_two(fed: WorkerMetrics) -> None:
    exposition, _ = merged_exposition({"1": scraped(fed), "2": scraped(fed)})

    assert complaints(exposition) == (0, b"")


def test_counts_add_up_times_are_of_the_worst_and_each_process_has_its_state(fed: WorkerMetrics) -> None:
    other = WorkerMetrics("main", TOPICS, clock=lambda: NOW_S - 60)
    other.opened(1)
    other.add(held(1, {("twilio", "AC1", "inbound"): 2}))
    other.add(full_counts())
    other.lag("calls.callbacks.v1", 0, 7)
    other.lag("calls.callbacks.v1", 1, 5)
    other.phase("recovering")

    shown, _ = merged_exposition({"1": scraped(fed), "2": scraped(other)})

    call = {"provider": "twilio", "direction": "inbound", "account": "main"}
    source = "twilio_status_callback"
    assert value(shown, "events_processed_total", source=source, result="applied") == 4
    assert value(shown, "event_latency_seconds_count", source=source, stage="received") == 4
    assert value(shown, "calls_active", **call) == 5
    assert value(shown, "table_entries", table="calls") == 1000
    assert value(shown, "consumer_lag_messages", topic="callbacks", partition="0") == 42
    assert value(shown, "consumer_lag_messages", topic="callbacks", partition="1") == 5
    assert value(shown, "heartbeat_timestamp_seconds", stage="received") == NOW_S - 60
    assert value(shown, "last_event_timestamp_seconds", source=source) == NOW_S
    assert value(shown, "worker_state", state="running", process="1") == 1
    assert value(shown, "worker_state", state="running", process="2") == 0
    assert value(shown, "worker_state", state="recovering", process="2") == 1
    assert value(shown, "rebalances_total", process="1") == 1
    assert value(shown, "rebalances_total", process="2") == 0
    assert ("process_start_time_seconds", frozenset({("process", "2")})) in series_of(shown)


def test_what_a_process_counted_before_it_ended_stays_and_is_counted_once(fed: WorkerMetrics) -> None:
    process = scraped(fed, run=1)
    process.answered(1, fed.exposition()[0].decode())
    applied = {"source": "twilio_status_callback", "result": "applied"}
    assert value(merged_exposition({"1": process})[0], "events_processed_total", **applied) == 2

    process.silent()
    shown, _ = merged_exposition({"1": process})
    assert value(shown, "events_processed_total", **applied) == 2
    assert value(shown, "worker_state", state="running", process="1") == 0
    assert value(shown, "table_entries", table="calls") is None

    again = WorkerMetrics("main", TOPICS, clock=lambda: NOW_S)
    for run in (2, 3):
        again.add(full_counts())
        process.answered(run, again.exposition()[0].decode())
    shown, _ = merged_exposition({"1": process})
    assert value(shown, "events_processed_total", **applied) == 2 + 2 + 4
    assert value(shown, "call_duration_seconds_count", provider="twilio", direction="outbound") == 1 + 1 + 2
    assert value(shown, "table_entries", table="calls") == 0
    assert value(shown, "rebalances_total", process="1") == 0


def test_a_process_that_has_never_answered_is_shown_as_not_running(fed: WorkerMetrics) -> None:
    never = ProcessMetrics()
    never.silent()

    shown, _ = merged_exposition({"1": scraped(fed), "2": never})

    assert value(shown, "worker_state", state="running", process="1") == 1
    assert value(shown, "worker_state", state="running", process="2") == 0
