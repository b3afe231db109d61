"""What a poller's scrape shows."""

from __future__ import annotations

from stream.service.metrics.poller import BudgetState, PollerMetrics
from tests.service.metrics import promtool
from tests.service.metrics.exposed import own_families

CATALOGUE = {
    "callstream_poll_requests_total": ("counter", "source outcome"),
    "callstream_poll_request_duration_seconds": ("histogram", "source"),
    "callstream_poll_records_total": ("counter", "source"),
    "callstream_poll_records_left_out_total": ("counter", "source"),
    "callstream_poll_last_success_timestamp_seconds": ("gauge", "source account"),
    "callstream_poll_watermark_timestamp_seconds": ("gauge", "source account"),
    "callstream_poll_pending_calls": ("gauge", "source"),
    "callstream_poll_throttle_wait_seconds_total": ("counter", "source"),
    "callstream_poll_budget_requests_per_second": ("gauge", "provider account"),
    "callstream_poll_budget_concurrent_requests": ("gauge", "provider account"),
    "callstream_poll_in_flight_requests": ("gauge", "provider account"),
    "callstream_poll_waiting_requests": ("gauge", "provider account priority"),
    "callstream_poll_account_state": ("gauge", "provider account state"),
    "callstream_poll_forbidden_source": ("gauge", "source account"),
    "callstream_poll_owned_partitions": ("gauge", ""),
    "callstream_dead_letters_total": ("counter", "source reason"),
    "callstream_produce_messages_total": ("counter", "topic outcome"),
    "callstream_produce_duration_seconds": ("histogram", "topic"),
    "callstream_build_info": ("gauge", "version python faust"),
    "callstream_label_values_capped_total": ("counter", "label"),
    "callstream_log_messages_total": ("counter", "level"),
}


def fed() -> PollerMetrics:
    metrics = PollerMetrics([("twilio_call", "default"), ("telnyx_call_event", "default")])
    metrics.requested("twilio_call", "success", 0.2)
    metrics.landed("twilio_call", 3)
    metrics.left_out("telnyx_webhook_delivery", 4)
    metrics.waited("twilio_call", 1.5)
    metrics.window("twilio_call", "default", 100.0, 90.0)
    metrics.dead_letter("twilio_call", "not_json")
    metrics.pending("twilio_call_event", 2)
    metrics.pending("twilio_call_event", -1)
    metrics.owned(12)
    metrics.produced("polled", 3, 0.01, True)
    metrics.budgets(
        lambda: [BudgetState("twilio", "default", "throttled", 8.0, 4.0, 3, {"heal": 2, "terminal": 5})]
    )
    metrics.forbidden(lambda: [("twilio_call", "default", False), ("twilio_call_event", "default", True)])
    return metrics


def value(metrics: PollerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"callstream_{name}", labels)


def test_a_scrape_has_the_families_of_the_catalogue_and_those_of_the_budget() -> None:
    shown = own_families(fed().exposition()[0])
    assert shown == {name: (kind, set(labels.split())) for name, (kind, labels) in CATALOGUE.items()}


def test_promtool_has_nothing_against_it() -> None:
    assert promtool.complaints(fed().exposition()[0]) == (0, b"")


def test_what_is_told_is_what_is_shown() -> None:
    metrics = fed()
    metrics.exposition()
    account = {"provider": "twilio", "account": "default"}
    assert value(metrics, "poll_throttle_wait_seconds_total", source="twilio_call") == 1.5
    assert value(metrics, "poll_records_left_out_total", source="telnyx_webhook_delivery") == 4
    assert value(metrics, "poll_pending_calls", source="twilio_call_event") == 1
    assert value(metrics, "poll_waiting_requests", **account, priority="terminal") == 5
    assert value(metrics, "poll_account_state", **account, state="throttled") == 1
    assert value(metrics, "poll_account_state", **account, state="running") == 0
    assert value(metrics, "poll_forbidden_source", source="twilio_call", account="default") == 0
    assert value(metrics, "poll_forbidden_source", source="twilio_call_event", account="default") == 1


def test_a_window_that_was_never_read_is_seen_to_be() -> None:
    metrics = fed()
    name = "poll_last_success_timestamp_seconds"
    assert value(metrics, name, source="telnyx_call_event", account="default") == 0
    assert value(metrics, name, source="twilio_call", account="default") == 100
