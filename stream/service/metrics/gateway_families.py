"""The gateway's metric families: what was asked over HTTP, what was landed, what was refused.

The names are the contract. `webhook_unsigned_events_total` is there because taking webhooks without a
signature must not go unseen.
"""

from __future__ import annotations

from itertools import product

from stream.core.sources import CALLBACK_SOURCES
from stream.service.metrics import label_values as words
from stream.service.metrics import worker_families as f
from stream.service.metrics.family import Family, counter, histogram

HTTP_REQUESTS = Family(
    "http_requests_total",
    "counter",
    "HTTP requests served by the receiver and query API, by route template and status code.",
    {"route": (*words.CALLBACK_ROUTES, words.OTHER), "method": words.METHODS, "code": words.CODES},
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
    f.DEAD_LETTERS,
    f.PRODUCE_MESSAGES,
    f.PRODUCE_DURATION,
    f.BUILD_INFO,
    f.LABEL_VALUES_CAPPED,
    f.LOG_MESSAGES,
)
