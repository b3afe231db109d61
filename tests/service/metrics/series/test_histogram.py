"""Observations in bulk give what prometheus_client gives for the same observations one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, Metric

from stream.service.metrics.series import histogram
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
    one_by_one = Histogram(
        "callstream_event_latency_seconds",
        EVENT_LATENCY.text,
        ["source", "stage"],
        registry=CollectorRegistry(),
        buckets=EVENT_LATENCY.bounds,
    )
    for value in values:
        one_by_one.labels(*LABELS).observe(value)
    (family,) = one_by_one.collect()
    return shown(family)


@given(st.lists(st.lists(ON_AND_AROUND_EDGES, min_size=1, max_size=30), min_size=1, max_size=4))
def test_durations_in_bulk_are_the_same_histogram(batches: list[list[float]]) -> None:
    family = histogram.Histogram(EVENT_LATENCY)
    observed = family.labels(*LABELS)
    for batch in batches:
        observed.observe_many(batch)

    assert shown(next(family.collect())) == pytest.approx(
        reference([value for batch in batches for value in batch])
    )


@given(st.lists(st.integers(0, 10_000_000_000), min_size=1, max_size=40))
def test_the_time_since_many_moments_is_the_same_histogram(ages_us: list[int]) -> None:
    now_us = 1_800_000_000_000_000
    family = histogram.Histogram(EVENT_LATENCY)
    observed = family.labels(*LABELS)
    observed.observe_since(now_us, sorted(now_us - age_us for age_us in ages_us))

    assert shown(next(family.collect())) == pytest.approx(
        reference([age_us / 1_000_000 for age_us in ages_us])
    )


def test_one_duration_many_times_is_the_same_histogram() -> None:
    family = histogram.Histogram(EVENT_LATENCY)
    observed = family.labels(*LABELS)
    observed.observe(2.0, 7)

    assert shown(next(family.collect())) == pytest.approx(reference([2.0] * 7))


@pytest.mark.parametrize("others", [[], [1.0] * 20])
def test_an_event_from_the_future_took_no_time(others: list[float]) -> None:
    family = histogram.Histogram(EVENT_LATENCY)
    observed = family.labels(*LABELS)
    observed.observe_many([-5.0, *others])

    assert shown(next(family.collect())) == pytest.approx(reference([0.0, *others]))


def test_a_moment_in_the_future_is_not_in_the_past() -> None:
    family = histogram.Histogram(EVENT_LATENCY)
    observed = family.labels(*LABELS)
    observed.observe_since(10_000_000, [4_000_000, 12_000_000])

    assert shown(next(family.collect())) == pytest.approx(reference([0.0, 6.0]))


def test_a_label_set_that_is_known_in_advance_starts_with_all_its_buckets_at_0() -> None:
    family = histogram.Histogram(EVENT_LATENCY)
    family.labels(*LABELS)

    assert set(shown(next(family.collect())).values()) == {0}
    assert len(shown(next(family.collect()))) == len(EVENT_LATENCY.bounds) + 3
