"""Observations in bulk give what prometheus_client gives for the same observations one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, Metric

from stream.service.metrics.series import Buckets
from stream.service.metrics.worker_families import EVENT_LATENCY

LABELS = ("telnyx_webhook", "processed")
ON_AND_AROUND_EDGES = st.one_of(
    st.sampled_from(EVENT_LATENCY.bounds).map(float),
    st.floats(min_value=0, max_value=10_000, allow_nan=False),
)


def shown(family: Metric) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("le", "")): sample.value
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def reference(values: list[float]) -> dict[tuple[str, str], float]:
    histogram = Histogram(
        "callstream_event_latency_seconds",
        EVENT_LATENCY.text,
        ["source", "stage"],
        registry=CollectorRegistry(),
        buckets=EVENT_LATENCY.bounds,
    )
    for value in values:
        histogram.labels(*LABELS).observe(value)
    (family,) = histogram.collect()
    return shown(family)


@given(st.lists(st.lists(ON_AND_AROUND_EDGES, min_size=1, max_size=30), min_size=1, max_size=4))
def test_durations_in_bulk_are_the_same_histogram(batches: list[list[float]]) -> None:
    buckets = Buckets(EVENT_LATENCY, [])
    for batch in batches:
        buckets.observe_many(LABELS, batch)

    assert shown(buckets.metric()) == pytest.approx(
        reference([value for batch in batches for value in batch])
    )


@given(st.lists(st.integers(0, 10_000_000_000), min_size=1, max_size=40))
def test_the_time_since_many_moments_is_the_same_histogram(ages_us: list[int]) -> None:
    now_us = 1_800_000_000_000_000
    buckets = Buckets(EVENT_LATENCY, [])
    buckets.observe_since(LABELS, now_us, sorted(now_us - age_us for age_us in ages_us))

    assert shown(buckets.metric()) == pytest.approx(reference([age_us / 1_000_000 for age_us in ages_us]))


def test_one_duration_many_times_is_the_same_histogram() -> None:
    buckets = Buckets(EVENT_LATENCY, [])
    buckets.observe(LABELS, 2.0, 7)

    assert shown(buckets.metric()) == pytest.approx(reference([2.0] * 7))


@pytest.mark.parametrize("others", [[], [1.0] * 20])
def test_an_event_from_the_future_took_no_time(others: list[float]) -> None:
    buckets = Buckets(EVENT_LATENCY, [])
    buckets.observe_many(LABELS, [-5.0, *others])

    assert shown(buckets.metric()) == pytest.approx(reference([0.0, *others]))


def test_a_moment_in_the_future_is_no_time_ago() -> None:
    buckets = Buckets(EVENT_LATENCY, [])
    buckets.observe_since(LABELS, 10_000_000, [4_000_000, 12_000_000])

    assert shown(buckets.metric()) == pytest.approx(reference([0.0, 6.0]))


def test_a_histogram_starts_with_all_its_buckets_at_0() -> None:
    assert set(shown(Buckets(EVENT_LATENCY, [LABELS]).metric()).values()) == {0}
    assert len(shown(Buckets(EVENT_LATENCY, [LABELS]).metric())) == len(EVENT_LATENCY.bounds) + 3
