"""What a scrape gets: all that is known in advance, from the first moment, and clean by promtool."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from stream.core.sources import SOURCES
from stream.service.metrics.worker import WorkerMetrics
from tests.service.metrics.promtool import complaints

NOT_ZERO_AT_START = {"callstream_build_info", "callstream_worker_state"}


def samples(metrics: WorkerMetrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }


def test_promtool_finds_nothing_to_say_about_an_exposition(fed: WorkerMetrics) -> None:
    text, _ = fed.exposition()

    assert complaints(text) == (0, b"")


def test_the_exposition_is_openmetrics_where_that_is_asked_for(fed: WorkerMetrics) -> None:
    text, content_type = fed.exposition("application/openmetrics-text; version=1.0.0, text/plain;q=0.5")

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert len(list(parse_openmetrics(text.decode()))) == 44


def test_the_environment_does_not_put_series_into_files() -> None:
    program = (
        "from stream.service.metrics.label_values import LabelValues\n"
        "from stream.service.metrics.worker import WorkerMetrics\n"
        "WorkerMetrics(LabelValues(), clock=lambda: 0.0)"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_histogram_without_labels_has_its_series_before_the_first_observation(
    metrics: WorkerMetrics,
) -> None:
    assert metrics.value("rebalance_duration_seconds_count") == 0
    assert metrics.value("rebalance_duration_seconds_bucket", le="+Inf") == 0


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
                for result in ("applied", "late", "duplicate", "dead_lettered")
            },
        ),
        (
            "callstream_calls_ended_total",
            {
                frozenset({("provider", p), ("account", a), ("direction", d), ("outcome", o)})
                for p, a, d, o in itertools.product(
                    ("twilio", "telnyx"),
                    ("main", "second", "other"),
                    ("inbound", "outbound", "unknown"),
                    ("answered", "busy", "no_answer", "canceled", "rejected", "failed", "unknown"),
                )
            },
        ),
        (
            "callstream_alerts_published_total",
            {
                frozenset({("rule", rule), ("severity", severity), ("state", state)})
                for rule, severity in (
                    ("call.failed", "warning"),
                    ("call.error_event", "warning"),
                    ("webhook.failing", "critical"),
                )
                for state in ("firing", "resolved")
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
        assert shown & {sample.name for sample in family.samples}, family.name


def test_a_scrape_does_not_hold_up_the_worker(fed: WorkerMetrics) -> None:
    took_s = []
    for _ in range(5):
        begun = time.perf_counter()
        text, _ = fed.exposition()
        took_s.append(time.perf_counter() - begun)

    assert min(took_s) < 0.15, f"{text.count(b'callstream_')} lines"
