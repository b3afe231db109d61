"""Nothing becomes a label but words from a list; what is folded is counted."""

from __future__ import annotations

import pytest

from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.family import DEAD_LETTERS, PRODUCE_MESSAGES, Family
from stream.service.metrics.label_values import LabelValues
from stream.service.metrics.worker import WorkerMetrics


def capped(metrics: WorkerMetrics) -> dict[str, float]:
    samples = (sample for family in metrics.registry.collect() for sample in family.samples)
    name = "callstream_label_values_capped_total"
    return {one.labels["label"]: one.value for one in samples if one.name == name and one.value}


@pytest.mark.parametrize(
    ("family", "raw", "labels", "folded"),
    [
        (f.CALLS_STARTED, ("twilio", "AC2", "inbound"), ("twilio", "second", "inbound"), {}),
        (f.CALLS_STARTED, ("twilio", "AC9", "inbound"), ("twilio", "other", "inbound"), {"account": 1}),
        (f.CALLS_STARTED, ("telnyx", None, None), ("telnyx", "main", "unknown"), {}),
        (f.CALLS_STARTED, ("twilio", "AC1", "outbound-dial"), ("twilio", "main", "outbound"), {}),
        (f.CALLS_STARTED, ("twilio", "AC1", "trunking-originating"), ("twilio", "main", "inbound"), {}),
        (f.CALLS_STARTED, ("telnyx", "AC1", "outgoing"), ("telnyx", "main", "outbound"), {}),
        (f.CALLS_STARTED, ("twilio", "AC1", "sideways"), ("twilio", "main", "unknown"), {"direction": 1}),
        (f.CALL_FINAL_RESPONSES, ("twilio", "inbound", 486), ("twilio", "inbound", "486"), {}),
        (f.CALL_FINAL_RESPONSES, ("twilio", "inbound", 499), ("twilio", "inbound", "other"), {"sip_code": 1}),
        (f.CALL_ERRORS, ("twilio", "13224"), ("twilio", "13224"), {}),
        (f.CALL_ERRORS, ("twilio", "3160023"), ("twilio", "other"), {"error_code": 1}),
        (f.APP_WEBHOOK_DURATION, ("twilio", "https://app.example.test/voice"), ("twilio", "voice"), {}),
        (f.APP_WEBHOOK_DURATION, ("twilio", "https://x.test/CA1"), ("twilio", "other"), {"endpoint": 1}),
        (f.CALL_INSIGHTS_EVENTS, ("unknown_edge", "ERROR"), ("other", "error"), {}),
        (f.CALL_INSIGHTS_EVENTS, (None, None), ("other", "unknown"), {}),
        (f.CALL_INSIGHTS_EVENTS, ("ashburn", "info"), ("other", "info"), {"edge": 1}),
        (PRODUCE_MESSAGES, ("calls.events.v1", "success"), ("events", "success"), {}),
        (PRODUCE_MESSAGES, ("elsewhere", "success"), ("other", "success"), {"topic": 1}),
        (f.PROCESSING_ERRORS, ("callbacks", "ZeroDivisionError"), ("callbacks", "other"), {"error": 1}),
        (f.EVENTS_PROCESSED, ("fax", "applied"), ("unknown", "applied"), {"source": 1}),
    ],
)
def test_a_value_that_is_in_no_list_is_folded_and_counted(
    metrics: WorkerMetrics,
    family: Family,
    raw: tuple[object, ...],
    labels: tuple[str, ...],
    folded: dict[str, int],
) -> None:
    assert metrics.admit(family, *raw) == labels
    assert capped(metrics) == folded


def test_with_one_account_every_event_is_its_own() -> None:
    metrics = WorkerMetrics(LabelValues())

    assert metrics.admit(f.CALLS_STARTED, "twilio", "AC7", "inbound") == (
        "twilio",
        "default",
        "inbound",
    )
    assert capped(metrics) == {}


def test_ids_numbers_and_urls_never_reach_an_exposition(metrics: WorkerMetrics) -> None:
    secrets = [f"secret-{i}" for i in range(50)]
    counts = BatchCounts(0)
    for secret in secrets:
        counts[f.EVENTS_PROCESSED, secret, secret] += 1
        counts[f.EVENTS_DEDUPLICATED, secret, secret] += 1
        counts[DEAD_LETTERS, secret, secret] += 1
        counts[f.EVENTS_OUT_OF_ORDER, secret] += 1
        counts.occurred_us[secret].append(1)
        counts.received_after_us[secret].append(1)
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
    assert capped(metrics)["endpoint"] == 100
