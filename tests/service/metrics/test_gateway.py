"""The gateway's families: the names are the contract, written from the catalogue and not from the code."""

from __future__ import annotations

import pytest

from stream.service.metrics.gateway import GatewayMetrics
from tests.service.metrics.exposed import own_families
from tests.service.metrics.promtool import complaints

CATALOGUE = {
    "callstream_http_requests_total": ("counter", "route method code"),
    "callstream_http_request_duration_seconds": ("histogram", "route"),
    "callstream_http_connections_cut_total": ("counter", ""),
    "callstream_webhook_events_received_total": ("counter", "source"),
    "callstream_webhook_requests_rejected_total": ("counter", "source reason"),
    "callstream_webhook_delivery_delay_seconds": ("histogram", "source"),
    "callstream_webhook_events_ignored_total": ("counter", "reason"),
    "callstream_webhook_tokens_reused_total": ("counter", ""),
    "callstream_webhook_unsigned_events_total": ("counter", "source"),
    "callstream_dead_letters_total": ("counter", "source reason"),
    "callstream_produce_messages_total": ("counter", "topic outcome"),
    "callstream_produce_duration_seconds": ("histogram", "topic"),
    "callstream_build_info": ("gauge", "version python faust"),
    "callstream_label_values_capped_total": ("counter", "label"),
    "callstream_log_messages_total": ("counter", "level"),
}


@pytest.fixture
def metrics() -> GatewayMetrics:
    return GatewayMetrics()


def value(metrics: GatewayMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"callstream_{name}", labels)


def test_an_exposition_has_the_gateways_families_and_promtool_has_nothing_to_say(
    metrics: GatewayMetrics,
) -> None:
    metrics.answered("/callbacks/twilio", "POST", 204, 0.004)
    text, _ = metrics.exposition()
    shown = own_families(text)
    assert shown == {name: (kind, set(labels.split())) for name, (kind, labels) in CATALOGUE.items()}
    assert complaints(text) == (0, b"")


def test_connections_that_were_cut_are_counted_when_somebody_looks(metrics: GatewayMetrics) -> None:
    cut = 0
    metrics.watch_connections(lambda: cut)
    assert value(metrics, "http_connections_cut_total") == 0
    cut = 7
    assert value(metrics, "http_connections_cut_total") == 7


def test_every_series_that_is_known_in_advance_starts_at_0(metrics: GatewayMetrics) -> None:
    assert value(metrics, "http_requests_total", route="/callbacks/twilio", method="POST", code="503") == 0
    assert value(metrics, "webhook_events_received_total", source="twilio_amd_callback") == 0
    rejected = {"source": "telnyx_webhook", "reason": "stale_timestamp"}
    assert value(metrics, "webhook_requests_rejected_total", **rejected) == 0
    assert value(metrics, "http_request_duration_seconds_count", route="/callbacks/telnyx") == 0


def test_a_landed_delivery_is_counted_with_its_delay(metrics: GatewayMetrics) -> None:
    metrics.landed("telnyx_webhook", 1_500_000, verified=False)
    assert value(metrics, "webhook_events_received_total", source="telnyx_webhook") == 1
    assert value(metrics, "webhook_unsigned_events_total", source="telnyx_webhook") == 1
    assert value(metrics, "webhook_delivery_delay_seconds_sum", source="telnyx_webhook") == 1.5


def test_a_status_or_method_out_of_the_list_is_other(metrics: GatewayMetrics) -> None:
    metrics.answered("other", "PROPFIND", 418, 0.001)
    assert value(metrics, "http_requests_total", route="other", method="other", code="other") == 1


def test_what_the_catalogue_has_no_word_for_is_malformed(metrics: GatewayMetrics) -> None:
    metrics.rejected("unknown", "unsupported_media_type")
    assert value(metrics, "webhook_requests_rejected_total", source="unknown", reason="malformed") == 1
    assert value(metrics, "label_values_capped_total", label="route") == 0
