"""The gateway's metrics: requests over HTTP, deliveries written, requests refused.

The names are the contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from types import MappingProxyType

from stream.core.sources import CALLBACK_SOURCES
from stream.service.metrics import label_values as words
from stream.service.metrics.family import Family, counter, histogram
from stream.service.metrics.registry import NO_CHOICE, LabelChoice, MetricRegistry

HTTP_REQUESTS = counter(
    "http_requests_total",
    "HTTP requests served by the receiver and query API, by route template and status code.",
    "On 5xx: is Kafka reached? On 4xx: see webhook_requests_rejected_total.",
    {"route": words.ROUTES, "method": words.METHODS, "code": words.CODES},
    start=(
        *product(words.CALLBACK_ROUTES, ("GET", "POST"), words.CALLBACK_CODES),
        *product((words.OTHER,), words.METHODS, ("400", "404")),
    ),
)
HTTP_REQUEST_DURATION = histogram(
    "http_request_duration_seconds",
    "Time to answer an HTTP request; providers time out at 15 s or less.",
    "Above 1 s: look at Kafka's acknowledgements (produce_duration_seconds), then at the CPU.",
    {"route": words.ROUTES},
    (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15),
)
HTTP_CONNECTIONS_CUT = counter(
    "http_connections_cut_total",
    "Connections ended for being silent, idle or not read from, and those for which there was no room.",
    "A steep rise is an attack or a proxy that keeps too many open: limit connections in front.",
)
WEBHOOK_EVENTS_RECEIVED = counter(
    "webhook_events_received_total",
    "Webhook events accepted and acknowledged by Kafka.",
    "When it falls to 0: run `callstream doctor`; are the webhooks' URLs set at the provider?",
    {"source": CALLBACK_SOURCES},
)
WEBHOOK_REQUESTS_REJECTED = counter(
    "webhook_requests_rejected_total",
    "Webhook requests not accepted: bad_signature, missing_signature, stale_timestamp, malformed, too_large, "
    "unknown_account, overloaded, rate_limited, produce_failed. "
    "The source is the one that the request looks like.",
    "On bad_signature: the gateway's log says what is wrong; check tokens and `CALLSTREAM_PUBLIC_URL`.",
    {"source": (*CALLBACK_SOURCES, words.UNKNOWN), "reason": words.REJECTIONS},
)
WEBHOOK_EVENTS_IGNORED = counter(
    "webhook_events_ignored_total",
    "Webhook events taken and not written, because they are about no call: messages, faxes, Twilio's test of "
    "an Event Streams sink, other products.",
    "Nothing is lost. When it rises steadily, give the other products a URL of their own.",
    {"reason": words.IGNORED},
)
WEBHOOK_TOKENS_REUSED = counter(
    "webhook_tokens_reused_total",
    "Verified webhooks whose idempotency token came before with other content.",
    "Nothing is lost here. Does a proxy set the header? Whatever trusts it may lose webhooks.",
)
WEBHOOK_DELIVERY_DELAY = histogram(
    "webhook_delivery_delay_seconds",
    "Receive time minus the provider's event time (Twilio's Timestamp has 1 s resolution).",
    "When it rises: the provider delivers late or retries; is this machine's clock right?",
    {"source": CALLBACK_SOURCES},
    (0.25, 0.5, 1, 2, 5, 10, 30, 60, 90, 120, 300, 900, 1800, 3600),
)
WEBHOOK_UNSIGNED_EVENTS = counter(
    "webhook_unsigned_events_total",
    "Webhook events accepted without a signature, which only the unsigned mode allows.",
    "In production: set `CALLSTREAM_UNSIGNED_CALLBACKS` to `refuse`.",
    {"source": CALLBACK_SOURCES},
)

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
"""All of them, in the order above; SHARED beside them."""

WRITTEN = ("callbacks", "dead_letters")


class GatewayMetrics(MetricRegistry):
    """What a gateway counts. All calls from the event loop's thread, for each request."""

    def __init__(
        self, topics: Mapping[str, str] = MappingProxyType({}), choice: LabelChoice = NO_CHOICE
    ) -> None:
        super().__init__(FAMILIES, topics=topics, choice=choice, written=WRITTEN)
        self._tokens_reused = 0

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
        """A request was answered. Whatever a client may make up counts as `other`."""
        route = path if path in words.CALLBACK_ROUTES else words.OTHER
        method = method if method in words.METHODS else words.OTHER
        code = str(status)
        self.count(HTTP_REQUESTS, route, method, code if code in words.CODES else words.OTHER)
        self.histogram(HTTP_REQUEST_DURATION, route).observe(seconds)

    def landed(self, source: str, delay_us: int | None, verified: bool) -> None:
        """Kafka has acknowledged a delivery. `delay_us`: received minus the provider's time."""
        self.count(WEBHOOK_EVENTS_RECEIVED, source)
        if not verified:
            self.count(WEBHOOK_UNSIGNED_EVENTS, source)
        if delay_us is not None:
            self.histogram(WEBHOOK_DELIVERY_DELAY, source).observe(delay_us / 1_000_000)

    def token_reused(self) -> int:
        """A token came with other content than before. How often that was."""
        self._tokens_reused += 1
        self.count(WEBHOOK_TOKENS_REUSED)
        return self._tokens_reused

    def ignored(self, reason: str) -> None:
        """An event is about no call; `reason` is one of `label_values.IGNORED`."""
        self.count(WEBHOOK_EVENTS_IGNORED, reason)

    def rejected(self, source: str, reason: str) -> None:
        # The catalogue has no word of its own for this one.
        reason = "malformed" if reason == "unsupported_media_type" else reason
        self.count(WEBHOOK_REQUESTS_REJECTED, source, reason)
