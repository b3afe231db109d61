"""The names are the contract: this list was written from the catalogue, not from the code."""

from __future__ import annotations

from stream.service.metrics import gateway, poller
from stream.service.metrics.family import SHARED
from stream.service.metrics.worker import WorkerMetrics
from stream.service.metrics.worker_families import FAMILIES
from tests.service.metrics.exposed import own_families

CATALOGUE = {
    "callstream_events_processed_total": ("counter", "source result"),
    "callstream_events_deduplicated_total": ("counter", "source match"),
    "callstream_events_out_of_order_total": ("counter", "source"),
    "callstream_sequence_numbers_unreadable_total": ("counter", "source"),
    "callstream_sequence_gaps_detected_total": ("counter", "source"),
    "callstream_sequence_gaps_closed_total": ("counter", "source by"),
    "callstream_sequence_gaps_open": ("gauge", "source"),
    "callstream_event_latency_seconds": ("histogram", "source stage"),
    "callstream_callback_latency_seconds": ("histogram", ""),
    "callstream_processing_duration_seconds": ("histogram", "agent"),
    "callstream_processing_errors_total": ("counter", "agent error"),
    "callstream_dead_letters_total": ("counter", "source reason"),
    "callstream_heartbeat_timestamp_seconds": ("gauge", "stage"),
    "callstream_last_event_timestamp_seconds": ("gauge", "source"),
    "callstream_consumer_lag_messages": ("gauge", "topic partition"),
    "callstream_produce_messages_total": ("counter", "topic outcome"),
    "callstream_produce_duration_seconds": ("histogram", "topic"),
    "callstream_worker_state": ("gauge", "state"),
    "callstream_transaction_duration_seconds": ("histogram", ""),
    "callstream_rebalances_total": ("counter", ""),
    "callstream_rebalance_duration_seconds": ("histogram", ""),
    "callstream_table_entries": ("gauge", "table"),
    "callstream_due_calls": ("gauge", ""),
    "callstream_troubled_calls": ("gauge", ""),
    "callstream_table_recovery_remaining_messages": ("gauge", "table"),
    "callstream_table_evictions_total": ("counter", "table reason"),
    "callstream_calls_started_total": ("counter", "provider account direction"),
    "callstream_calls_ended_total": ("counter", "provider account direction outcome"),
    "callstream_call_final_responses_total": ("counter", "provider direction sip_code"),
    "callstream_calls_active": ("gauge", "provider account direction"),
    "callstream_calls_overdue": ("gauge", "provider"),
    "callstream_call_setup_delay_seconds": ("histogram", "provider direction phase"),
    "callstream_call_duration_seconds": ("histogram", "provider direction"),
    "callstream_call_insights_events_total": ("counter", "edge level"),
    "callstream_call_errors_total": ("counter", "provider error_code"),
    "callstream_verdicts_total": ("counter", "provider direction fault"),
    "callstream_call_state_conflicts_total": ("counter", "provider field"),
    "callstream_error_log_entries_total": ("counter", "level about"),
    "callstream_app_webhook_responses_total": ("counter", "provider endpoint code_class"),
    "callstream_app_webhook_duration_seconds": ("histogram", "provider endpoint"),
    "callstream_reconciled_calls_total": ("counter", "provider result"),
    "callstream_callbacks_audited_total": ("counter", "provider endpoint result"),
    "callstream_callbacks_missing_total": ("counter", "source event"),
    "callstream_reconciliation_last_success_timestamp_seconds": ("gauge", "provider"),
    "callstream_fetches_requested_total": ("counter", "source reason"),
    "callstream_fetches_answered_total": ("counter", "source outcome"),
    "callstream_alerts_published_total": ("counter", "rule severity state"),
    "callstream_alerts_active": ("gauge", "rule severity"),
    "callstream_scope_reports_ahead_total": ("counter", ""),
    "callstream_config_last_reload_successful": ("gauge", ""),
    "callstream_build_info": ("gauge", "version python faust"),
    "callstream_label_values_capped_total": ("counter", "label"),
    "callstream_log_messages_total": ("counter", "level"),
}


def test_an_exposition_has_the_families_of_the_catalogue_with_their_types_and_labels(
    fed: WorkerMetrics,
) -> None:
    text, content_type = fed.exposition()
    shown = own_families(text)
    assert shown == {name: (kind, set(labels.split())) for name, (kind, labels) in CATALOGUE.items()}
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"


def test_no_series_says_when_it_was_created(fed: WorkerMetrics) -> None:
    assert b"_created" not in fed.exposition()[0]
    assert b"_created" not in fed.exposition("application/openmetrics-text; version=1.0.0")[0]


ALL = (*FAMILIES, *gateway.FAMILIES, *poller.FAMILIES, *SHARED)


def test_a_histogram_has_at_most_15_ascending_bounds_and_nothing_else_has_any() -> None:
    for family in ALL:
        assert list(family.bounds) == sorted(set(family.bounds)), family.name
        assert (family.kind == "histogram") == bool(family.bounds), family.name
        assert len(family.bounds) <= 15, family.name


def test_every_family_says_in_a_sentence_or_two_what_to_do() -> None:
    assert [one.name for one in ALL if not one.remedy.endswith((".", "?")) or len(one.remedy) > 120] == []


def test_the_providers_promises_are_edges_of_the_latency(metrics: WorkerMetrics) -> None:
    (latency,) = (family for family in FAMILIES if family.name == "event_latency_seconds")
    assert {90, 900, 1800} <= set(latency.bounds)
