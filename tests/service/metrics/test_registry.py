"""What a scrape gets: all that is known in advance, from the first moment, and clean by promtool."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
import time
from collections import Counter

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from stream.core.sources import SOURCES
from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.family import DEAD_LETTERS, PRODUCE_MESSAGES, Family
from stream.service.metrics.worker import WorkerMetrics
from tests.service.metrics.promtool import complaints

NOT_ZERO_AT_START = {
    "callstream_build_info",
    "callstream_worker_state",
    "callstream_config_last_reload_successful",
}


def samples(metrics: WorkerMetrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith("callstream_")
    }


def test_promtool_finds_nothing_to_say_about_an_exposition(fed: WorkerMetrics) -> None:
    text, _ = fed.exposition()

    assert complaints(text) == (0, b"")


def test_the_text_is_what_prometheus_client_writes(fed: WorkerMetrics) -> None:
    odd = WorkerMetrics('main "\\" line\n', clock=lambda: 1e9 + 0.25)
    odd.opened(0)
    odd.batch(0, 3, 1e-7, 12345.678)
    for metrics in (fed, odd):
        known = ("process_", "python_")  # they change from one scrape to the next
        ours, theirs = (
            [line for line in text.decode().split("\n") if not line.startswith(known)]
            for text in (metrics.exposition()[0], generate_latest(metrics.registry))
        )
        assert ours == theirs
    assert b'"main \\"\\\\\\" line\\n"' in odd.exposition()[0]


def test_the_exposition_is_openmetrics_where_that_is_asked_for(fed: WorkerMetrics) -> None:
    text, content_type = fed.exposition("application/openmetrics-text; version=1.0.0, text/plain;q=0.5")

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert {"callstream_build_info", "process_cpu_seconds", "python_info", "python_gc_collections"} <= {
        family.name for family in parse_openmetrics(text.decode())
    }


def test_the_environment_does_not_put_series_into_files() -> None:
    program = "from stream.service.metrics.worker import WorkerMetrics\nWorkerMetrics(clock=lambda: 0.0)"
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_histogram_without_labels_has_its_series_before_the_first_observation(
    metrics: WorkerMetrics,
) -> None:
    assert metrics.registry.get_sample_value("callstream_rebalance_duration_seconds_count") == 0
    assert (
        metrics.registry.get_sample_value("callstream_rebalance_duration_seconds_bucket", {"le": "+Inf"}) == 0
    )


def test_every_series_starts_at_0(metrics: WorkerMetrics) -> None:
    started = {key: value for key, value in samples(metrics).items() if key[0] not in NOT_ZERO_AT_START}

    assert set(started.values()) == {0}


@pytest.mark.parametrize(
    ("name", "sets"),
    [
        (
            "callstream_events_processed_total",
            {
                frozenset({("source", source), ("result", result)})
                for source in (*SOURCES, "unknown")
                for result in ("applied", "late", "duplicate", "dead_lettered", "forgotten")
            },
        ),
        (
            "callstream_calls_ended_total",
            {
                frozenset({("provider", p), ("account", a), ("direction", d), ("outcome", o)})
                for p, a, d, o in itertools.product(
                    ("twilio", "telnyx"),
                    ("main",),
                    ("inbound", "outbound", "unknown"),
                    ("answered", "busy", "no_answer", "canceled", "rejected", "failed", "unknown"),
                )
            },
        ),
        (
            "callstream_alerts_published_total",
            {
                frozenset({("rule", rule), ("severity", severity), ("state", "firing")})
                for rule, severity in (
                    *((rule, "info") for rule in ("call.failed", "call.error_event", "call.short")),
                    *((rule, "info") for rule in ("delivery.gap", "state.conflict")),
                    *((rule, "warning") for rule in ("call.no_terminal_event", "calls.failing")),
                    *((rule, "warning") for rule in ("webhook.slow", "delivery.callback_missing")),
                    ("webhook.failing", "critical"),
                )
            },
        ),
        ("callstream_rebalances_total", {frozenset()}),
    ],
)
def test_label_sets_known_in_advance_are_there_before_the_first_event(
    metrics: WorkerMetrics, name: str, sets: set[frozenset[tuple[str, str]]]
) -> None:
    assert {labels for shown, labels in samples(metrics) if shown == name} == sets


def test_a_worker_is_starting_until_it_says_otherwise(metrics: WorkerMetrics) -> None:
    state = {
        dict(labels)["state"]: n for (name, labels), n in samples(metrics).items() if "worker_state" in name
    }

    assert state == {"starting": 1, "recovering": 0, "rebalancing": 0, "running": 0, "stopping": 0}


def test_what_feeds_everything_leaves_no_family_at_0(fed: WorkerMetrics) -> None:
    shown = {name for (name, _), value in samples(fed).items() if value}

    for family in fed.registry.collect():
        names = {sample.name for sample in family.samples if sample.name.startswith("callstream_")}
        assert not names or shown & names, family.name


def test_a_scrape_does_not_hold_up_the_worker(fed: WorkerMetrics) -> None:
    took_s = []
    for _ in range(5):
        begun = time.thread_time()
        text, _ = fed.exposition()
        took_s.append(time.thread_time() - begun)

    assert min(took_s) < 0.15, f"{text.count(b'callstream_')} lines"


# The cardinality guard: nothing becomes a label but words from a list; what is folded is counted.


def capped(metrics: WorkerMetrics) -> dict[str, float]:
    samples = (sample for family in metrics.registry.collect() for sample in family.samples)
    name = "callstream_label_values_capped_total"
    return {one.labels["label"]: one.value for one in samples if one.name == name and one.value}


ADMITTED: tuple[tuple[Family, tuple[object, ...], tuple[str, ...], dict[str, int]], ...] = (
    (f.CALLS_STARTED, ("twilio", "AC2", "inbound"), ("twilio", "main", "inbound"), {}),
    (f.CALLS_STARTED, ("telnyx", None, None), ("telnyx", "main", "unknown"), {}),
    (f.CALLS_STARTED, ("twilio", "AC1", "outbound"), ("twilio", "main", "outbound"), {}),
    (f.CALLS_STARTED, ("twilio", "AC1", "sideways"), ("twilio", "main", "unknown"), {"direction": 1}),
    (f.CALL_FINAL_RESPONSES, ("twilio", "inbound", 486), ("twilio", "inbound", "486"), {}),
    (f.CALL_FINAL_RESPONSES, ("twilio", "inbound", 499), ("twilio", "inbound", "other"), {"sip_code": 1}),
    (f.CALL_ERRORS, ("twilio", "13224"), ("twilio", "13224"), {}),
    (f.CALL_ERRORS, ("twilio", "3160023"), ("twilio", "other"), {"error_code": 1}),
    (f.APP_WEBHOOK_DURATION, ("twilio", "https://x.test/CA1"), ("twilio", "other"), {}),
    (f.APP_WEBHOOK_DURATION, ("twilio", "no URL"), ("twilio", "other"), {"endpoint": 1}),
    (f.CALL_INSIGHTS_EVENTS, ("unknown_edge", "ERROR"), ("other", "error"), {}),
    (f.CALL_INSIGHTS_EVENTS, (None, None), ("other", "unknown"), {}),
    (f.ERROR_LOG_ENTRIES, (None, "callback"), ("unknown", "callback"), {}),
    (f.CALL_INSIGHTS_EVENTS, ("ashburn", "info"), ("other", "info"), {"edge": 1}),
    (PRODUCE_MESSAGES, ("calls.events.v1", "success"), ("events", "success"), {}),
    (PRODUCE_MESSAGES, ("elsewhere", "success"), ("other", "success"), {"topic": 1}),
    (f.PROCESSING_ERRORS, ("callbacks", "ZeroDivisionError"), ("callbacks", "other"), {"error": 1}),
    (f.EVENTS_PROCESSED, ("fax", "applied"), ("unknown", "applied"), {"source": 1}),
)
"""Family, raw values, the label set that is shown, and what is counted as folded."""


def test_a_value_that_is_in_no_list_is_folded_and_counted(metrics: WorkerMetrics) -> None:
    expected: Counter[str] = Counter()
    for family, raw, labels, folded in ADMITTED:
        assert metrics.admit(family, raw, 1) == labels
        expected.update(folded)
        assert capped(metrics) == expected, raw


def test_ids_numbers_and_urls_never_reach_an_exposition(metrics: WorkerMetrics) -> None:
    secrets = [f"secret-{i}" for i in range(50)]
    counts = BatchCounts(0)
    for secret in secrets:
        counts[f.EVENTS_PROCESSED, secret, secret] += 1
        counts[f.EVENTS_DEDUPLICATED, secret, secret] += 1
        counts[DEAD_LETTERS, secret, secret] += 1
        counts[f.EVENTS_OUT_OF_ORDER, secret] += 1
        counts.times_us[secret] += (1, 2)
        counts.alerted_us[secret].append(1)
        counts[f.CALLS_STARTED, secret, secret, secret] += 1
        counts[f.CALLS_ENDED, secret, secret, secret, secret] += 1
        counts[f.CALL_INSIGHTS_EVENTS, secret, secret] += 1
        counts[f.CALL_ERRORS, secret, secret] += 1
        counts[f.CALL_STATE_CONFLICTS, secret, secret] += 1
        counts[f.APP_WEBHOOK_RESPONSES, secret, secret, secret] += 1
        counts.durations_s[f.APP_WEBHOOK_DURATION, secret, secret].append(1.0)
        counts[f.ALERTS_PUBLISHED, secret, secret, secret] += 1
        counts[f.TABLE_EVICTIONS, "calls", secret] += 1
        counts[f.PROCESSING_ERRORS, secret, secret] += 1
    metrics.add(counts)

    assert b"secret" not in metrics.exposition()[0]
    assert capped(metrics)["endpoint"] == 50


def test_a_record_counts_at_its_level(metrics: WorkerMetrics) -> None:
    for level in (logging.DEBUG, logging.INFO, 25, logging.WARNING, logging.ERROR, logging.CRITICAL):
        metrics.log_counter.handle(logging.LogRecord("callstream", level, __file__, 1, "gone", None, None))

    counts = {dict(labels)["level"]: n for (name, labels), n in samples(metrics).items() if "log_me" in name}
    assert counts == {"debug": 1, "info": 2, "warning": 1, "error": 2}
