"""The gateway's metrics: requests over HTTP, deliveries written, requests refused.

The names are the contract. `webhook_unsigned_events_total` exists because accepting webhooks without a
signature must be visible.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Protocol

from stream.core.sources import CALLBACK_SOURCES
from stream.service.metrics import label_values as words
from stream.service.metrics.family import (
    DEAD_LETTERS,
    PRODUCE_DURATION,
    PRODUCE_MESSAGES,
    SHARED,
    Family,
    counter,
    histogram,
)
from stream.service.metrics.label_values import LabelValues
from stream.service.metrics.registry import MetricRegistry

HTTP_REQUESTS = counter(
    "http_requests_total",
    "HTTP requests served by the receiver and query API, by route template and status code.",
    route=(*words.CALLBACK_ROUTES, words.OTHER),
    method=words.METHODS,
    code=words.CODES,
    start=(
        *product(words.CALLBACK_ROUTES, ("GET", "POST"), words.CALLBACK_CODES),
        *product((words.OTHER,), words.METHODS, ("400", "404")),
    ),
)
HTTP_REQUEST_DURATION = histogram(
    "http_request_duration_seconds",
    "Time to answer an HTTP request; providers time out at 15 s or less.",
    (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15),
    route=(*words.CALLBACK_ROUTES, words.OTHER),
)
HTTP_CONNECTIONS_CUT = counter(
    "http_connections_cut_total",
    "Connections ended for being silent, idle or not read from, and those for which there was no room.",
)
WEBHOOK_EVENTS_RECEIVED = counter(
    "webhook_events_received_total",
    "Webhook events accepted and acknowledged by Kafka.",
    source=CALLBACK_SOURCES,
)
WEBHOOK_REQUESTS_REJECTED = counter(
    "webhook_requests_rejected_total",
    "Webhook requests not accepted: bad_signature, missing_signature, stale_timestamp, malformed, too_large, "
    "unknown_account, overloaded, rate_limited, produce_failed. "
    "The source is the one that the request looks like.",
    source=(*CALLBACK_SOURCES, words.UNKNOWN),
    reason=words.REJECTIONS,
)
WEBHOOK_DELIVERY_DELAY = histogram(
    "webhook_delivery_delay_seconds",
    "Receive time minus the provider's event time (Twilio's Timestamp has 1 s resolution).",
    (0.25, 0.5, 1, 2, 5, 10, 30, 60, 90, 120, 300, 900, 1800, 3600),
    source=CALLBACK_SOURCES,
)
WEBHOOK_UNSIGNED_EVENTS = counter(
    "webhook_unsigned_events_total",
    "Webhook events accepted without a signature, which only the unsigned mode allows.",
    source=CALLBACK_SOURCES,
)

FAMILIES: tuple[Family, ...] = (
    HTTP_REQUESTS,
    HTTP_REQUEST_DURATION,
    HTTP_CONNECTIONS_CUT,
    WEBHOOK_EVENTS_RECEIVED,
    WEBHOOK_REQUESTS_REJECTED,
    WEBHOOK_DELIVERY_DELAY,
    WEBHOOK_UNSIGNED_EVENTS,
    *SHARED,
)

REASONS = {"unsupported_media_type": "malformed"}
"""Refusals that the catalogue counts under another name."""


class CountedDelivery(Protocol):
    """What is counted of a delivery. `delay_us`: received minus the provider's time; None: unknown."""

    @property
    def source(self) -> str: ...

    @property
    def delay_us(self) -> int | None: ...


class GatewayMetrics(MetricRegistry):
    """What a gateway counts. All calls from the event loop's thread, for each request."""

    def __init__(self, label_values: LabelValues) -> None:
        super().__init__(label_values, FAMILIES)

    def watch_connections(self, cut: Callable[[], int]) -> None:
        """`cut`: returns how many connections were cut; called at each scrape."""
        seen = 0

        def count() -> None:
            nonlocal seen
            now = cut()
            self.count(HTTP_CONNECTIONS_CUT, n=now - seen)
            seen = now

        self.before_scrape(count)

    def answered(self, path: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; an unknown path counts as `other`."""
        route = path if path in words.CALLBACK_ROUTES else words.OTHER
        code = str(status)
        self.count(
            HTTP_REQUESTS,
            route,
            method if method in words.METHODS else words.OTHER,
            code if code in words.CODES else words.OTHER,
        )
        self.histogram(HTTP_REQUEST_DURATION).observe((route,), seconds)

    def landed(self, one: CountedDelivery, verified: bool) -> None:
        """Kafka has acknowledged a delivery."""
        self.count(WEBHOOK_EVENTS_RECEIVED, one.source)
        if not verified:
            self.count(WEBHOOK_UNSIGNED_EVENTS, one.source)
        if one.delay_us is not None:
            self.histogram(WEBHOOK_DELIVERY_DELAY).observe((one.source,), max(0, one.delay_us) / 1_000_000)

    def dead_letter(self, source: str, reason: str) -> None:
        """A dead letter was written."""
        self.count(DEAD_LETTERS, source, reason)

    def rejected(self, source: str, reason: str) -> None:
        """A request was refused."""
        self.count(WEBHOOK_REQUESTS_REJECTED, source, REASONS.get(reason, reason))

    def produced(self, records: int, seconds: float, ok: bool) -> None:
        """The broker has acknowledged records, or has not."""
        self.count(PRODUCE_MESSAGES, "callbacks", "success" if ok else "error", n=records)
        self.histogram(PRODUCE_DURATION).observe(("callbacks",), seconds, records)
