"""What a scrape of notify shows."""

from __future__ import annotations

from stream.service.metrics.notify import NotifyMetrics
from tests.service.metrics import promtool
from tests.service.metrics.exposed import own_families

CATALOGUE = {
    "callstream_alert_sink_requests_total": ("counter", "sink route outcome"),
    "callstream_alert_sink_alerts_total": ("counter", "sink result"),
    "callstream_alert_sink_up": ("gauge", "sink"),
    "callstream_alert_sink_waiting_alerts": ("gauge", "sink"),
    "callstream_dead_letters_total": ("counter", "source reason"),
    "callstream_produce_messages_total": ("counter", "topic outcome"),
    "callstream_produce_duration_seconds": ("histogram", "topic"),
    "callstream_build_info": ("gauge", "version python faust"),
    "callstream_label_values_capped_total": ("counter", "label"),
    "callstream_log_messages_total": ("counter", "level"),
}


def fed() -> NotifyMetrics:
    metrics = NotifyMetrics([("oncall", "pages"), ("oncall", "rest"), ("chat", "chat")])
    metrics.requested("oncall", "pages", ok=True)
    metrics.requested("chat", "chat", ok=False)
    metrics.alerts("oncall", "sent", 500)
    metrics.waiting("chat", 7)
    return metrics


def test_a_scrape_has_the_families_of_the_catalogue() -> None:
    shown = own_families(fed().exposition()[0])
    assert shown == {name: (kind, set(labels.split())) for name, (kind, labels) in CATALOGUE.items()}


def test_promtool_has_nothing_against_it() -> None:
    assert promtool.complaints(fed().exposition()[0]) == (0, b"")


def test_every_route_and_sink_begins_at_0_and_up() -> None:
    value = fed().registry.get_sample_value
    requests = "callstream_alert_sink_requests_total"
    assert value(requests, {"sink": "oncall", "route": "pages", "outcome": "success"}) == 1
    assert value(requests, {"sink": "oncall", "route": "rest", "outcome": "error"}) == 0
    assert value("callstream_alert_sink_up", {"sink": "oncall"}) == 1
    assert value("callstream_alert_sink_up", {"sink": "chat"}) == 0
    assert value("callstream_alert_sink_alerts_total", {"sink": "oncall", "result": "sent"}) == 500
    assert value("callstream_alert_sink_alerts_total", {"sink": "chat", "result": "repeated"}) == 0
    assert value("callstream_alert_sink_waiting_alerts", {"sink": "chat"}) == 7
