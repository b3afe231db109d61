"""The poller's metric families: what was asked of the providers, what came, and what the budget allows.

The names of the first part are the contract; those of the budget joined it, so that an operator sees why a
poller is slow. An account is shown by its alias, never by its id.
"""

from __future__ import annotations

from stream.core.sources import POLLED_SOURCES
from stream.service.metrics import label_values as words
from stream.service.metrics import worker_families as f
from stream.service.metrics.family import RUNNING, Family, counter, gauge, histogram

POLL_REQUESTS = counter(
    "poll_requests_total",
    "Provider REST requests: success, empty, not_ready, not_found, throttled, auth_error, client_error, "
    "server_error, network_error, rubbish.",
    source=POLLED_SOURCES,
    outcome=words.POLL_OUTCOMES,
)
POLL_REQUEST_DURATION = histogram(
    "poll_request_duration_seconds",
    "Duration of one provider REST request.",
    (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30),
    source=POLLED_SOURCES,
)
POLL_RECORDS = counter(
    "poll_records_total",
    "Records read from provider REST resources before deduplication.",
    source=POLLED_SOURCES,
)
POLL_LEFT_OUT = counter(
    "poll_records_left_out_total",
    "Records read that are about no call (Telnyx lists the deliveries of messages too) and are not kept.",
    source=POLLED_SOURCES,
)
POLL_LAST_SUCCESS = Family(
    "poll_last_success_timestamp_seconds",
    "gauge",
    "Unix time of the last fully successful poll cycle.",
    {"source": POLLED_SOURCES, "account": RUNNING},
    start=(),
)
POLL_WATERMARK = Family(
    "poll_watermark_timestamp_seconds",
    "gauge",
    "Unix event time up to which the source is known to be completely read.",
    {"source": POLLED_SOURCES, "account": RUNNING},
    start=(),
)
POLL_PENDING = gauge(
    "poll_pending_calls",
    "Calls scheduled for a per-call fetch (Call Events, Voice Insights Events) and not read yet.",
    source=POLLED_SOURCES,
)
POLL_THROTTLE_WAIT = counter(
    "poll_throttle_wait_seconds_total",
    "Time spent waiting for the local rate budget or a provider 429.",
    source=POLLED_SOURCES,
)

_ACCOUNT = {"provider": words.PROVIDERS, "account": RUNNING}

POLL_BUDGET_RATE = Family(
    "poll_budget_requests_per_second",
    "gauge",
    "Requests a second that this poller's share of the account's budget allows now.",
    _ACCOUNT,
    start=(),
)
POLL_BUDGET_CONCURRENCY = Family(
    "poll_budget_concurrent_requests",
    "gauge",
    "Requests at once that this poller's share of the account's budget allows now.",
    _ACCOUNT,
    start=(),
)
POLL_IN_FLIGHT = Family(
    "poll_in_flight_requests", "gauge", "Requests of this poller under way.", _ACCOUNT, start=()
)
POLL_WAITING = Family(
    "poll_waiting_requests",
    "gauge",
    "Requests that wait for the budget, by priority.",
    {**_ACCOUNT, "priority": words.POLL_PRIORITIES},
    start=(),
)
POLL_ACCOUNT_STATE = Family(
    "poll_account_state",
    "gauge",
    "1 for the current state of the account, 0 for the others: running, throttled (a 429's pause), refused "
    "(credentials), unreachable, standby (another poller has it).",
    {**_ACCOUNT, "state": words.POLL_STATES},
    start=(),
)
POLL_OWNED_PARTITIONS = gauge(
    "poll_owned_partitions", "Partitions of the fetch requests that this poller serves; 0 on standby."
)

FAMILIES: tuple[Family, ...] = (
    POLL_REQUESTS,
    POLL_REQUEST_DURATION,
    POLL_RECORDS,
    POLL_LEFT_OUT,
    POLL_LAST_SUCCESS,
    POLL_WATERMARK,
    POLL_PENDING,
    POLL_THROTTLE_WAIT,
    POLL_BUDGET_RATE,
    POLL_BUDGET_CONCURRENCY,
    POLL_IN_FLIGHT,
    POLL_WAITING,
    POLL_ACCOUNT_STATE,
    POLL_OWNED_PARTITIONS,
    f.DEAD_LETTERS,
    f.PRODUCE_MESSAGES,
    f.PRODUCE_DURATION,
    f.BUILD_INFO,
    f.LABEL_VALUES_CAPPED,
    f.LOG_MESSAGES,
)
