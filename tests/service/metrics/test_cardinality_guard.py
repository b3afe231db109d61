"""Nothing becomes a label but words from a list; what is folded is counted."""

from __future__ import annotations

import pytest

from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import Tally
from stream.service.metrics.label_values import Vocabulary
from stream.service.metrics.worker import Metrics


def capped(metrics: Metrics) -> dict[str, float]:
    return {label: n for (label,), n in metrics.board.numbers(f.LABEL_VALUES_CAPPED).by_labels.items() if n}


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
        (f.PRODUCE_MESSAGES, ("calls.events.v1", "success"), ("events", "success"), {}),
        (f.PRODUCE_MESSAGES, ("elsewhere", "success"), ("other", "success"), {"topic": 1}),
        (f.PROCESSING_ERRORS, ("callbacks", "ZeroDivisionError"), ("callbacks", "other"), {"error": 1}),
        (f.EVENTS_PROCESSED, ("fax", "applied"), ("unknown", "applied"), {"source": 1}),
    ],
)
def test_a_value_that_is_in_no_list_is_folded_and_counted(
    metrics: Metrics,
    family: f.Family,
    raw: tuple[object, ...],
    labels: tuple[str, ...],
    folded: dict[str, int],
) -> None:
    assert metrics.board.admit(family, *raw) == labels
    assert capped(metrics) == folded


def test_with_one_account_every_event_is_its_own() -> None:
    metrics = Metrics(Vocabulary())

    assert metrics.board.admit(f.CALLS_STARTED, "twilio", "AC7", "inbound") == (
        "twilio",
        "default",
        "inbound",
    )
    assert capped(metrics) == {}


def test_ids_numbers_and_urls_never_reach_an_exposition(metrics: Metrics) -> None:
    secrets = [f"secret-{i}" for i in range(50)]
    tally = Tally(0)
    for secret in secrets:
        tally.processed[secret, secret] += 1
        tally.deduplicated[secret, secret] += 1
        tally.dead_letters[secret, secret] += 1
        tally.out_of_order[secret] += 1
        tally.occurred_us[secret].append(1)
        tally.received_after_us[secret].append(1)
        tally.alerted_us[secret].append(1)
        tally.calls_started[secret, secret, secret] += 1
        tally.calls_ended[secret, secret, secret, secret] += 1
        tally.insights_events[secret, secret] += 1
        tally.call_errors[secret, secret] += 1
        tally.conflicts[secret, secret] += 1
        tally.webhook_responses[secret, secret, secret] += 1
        tally.webhook_duration_s[secret, secret].append(1.0)
        tally.alerts_published[secret, secret, secret] += 1
        tally.evictions[secret] += 1
        tally.errors[secret, secret] += 1
    metrics.add(tally)

    assert b"secret" not in metrics.exposition()[0]
    assert capped(metrics)["endpoint"] == 100
