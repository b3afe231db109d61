"""The metric families of the worker. `family.py` has those of all roles; gateway and poller have their own
files.

The names are the contract: dashboards and alert rules use them. A label's values are written beside it.

Some families of the catalogue are missing, because nothing in this worker feeds them yet: the reorder buffer
(events are never held back), `alerts_active` and `alerts_suppressed_total` (alerts have no episodes yet),
`alert_sink_requests_total`, `config_last_reload_successful`. A family that is always 0 would mislead.
"""

from __future__ import annotations

from itertools import product

from stream.core.fetches import OUTCOMES, REASONS
from stream.core.sources import FETCHED_SOURCES, PUSHED_SOURCES, SOURCES
from stream.service.metrics import label_values as words
from stream.service.metrics.family import CONFIGURED, RUNNING, SHARED, Family, counter, gauge, histogram

# Stream

EVENTS_PROCESSED = counter(
    "events_processed_total",
    "Events leaving the dedup/order stage: applied, late, duplicate, dead_lettered; exclusive.",
    source=words.ANY_SOURCE,
    result=words.RESULTS,
)
EVENTS_DEDUPLICATED = counter(
    "events_deduplicated_total",
    "Duplicate events dropped, by the identity that matched: "
    "delivery_token, event_id, sequence_number, content_hash, cross_source.",
    source=SOURCES,
    match=words.MATCHES,
)
EVENTS_OUT_OF_ORDER = counter(
    "events_out_of_order_total",
    "Events that arrived after a later event of the same call had been seen.",
    source=SOURCES,
)
SEQUENCE_GAPS_DETECTED = counter(
    "sequence_gaps_detected_total",
    "Missing SequenceNumbers still absent after the grace period.",
    source=SOURCES,
)
SEQUENCE_GAPS_CLOSED = counter(
    "sequence_gaps_closed_total",
    "Sequence gaps closed: late_arrival, poll_heal, expired.",
    source=SOURCES,
    by=words.GAP_CLOSERS,
)
SEQUENCE_GAPS_OPEN = gauge(
    "sequence_gaps_open",
    "Sequence gaps waiting for a late arrival or a healing poll.",
    source=SOURCES,
)
EVENT_LATENCY = histogram(
    "event_latency_seconds",
    "Provider event time to stage: received, processed, state_visible, alert_published.",
    (0.25, 0.5, 1, 2, 5, 10, 30, 60, 90, 120, 300, 900, 1800, 3600),
    source=SOURCES,
    stage=words.LATENCY_STAGES,
)
PROCESSING_DURATION = histogram(
    "processing_duration_seconds",
    "Time one agent spends on one event.",
    (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 1),
    agent=(words.LANE,),
)
PROCESSING_ERRORS = counter(
    "processing_errors_total",
    "Exceptions in agents by allow-listed class (else other).",
    agent=(*words.AGENTS, words.LANE),
    error=(*words.ERRORS, *words.LANE_ERRORS),
    start=(
        *product((*words.AGENTS, words.LANE), words.ERRORS),
        *product((words.LANE,), words.LANE_ERRORS),
    ),
)
HEARTBEAT = gauge(
    "heartbeat_timestamp_seconds",
    "Insert time of the newest synthetic heartbeat seen by each stage.",
    stage=words.HEARTBEAT_STAGES,
)
LAST_EVENT = gauge(
    "last_event_timestamp_seconds",
    "Unix time the last event of this source was processed.",
    source=words.ANY_SOURCE,
)

# Kafka and worker

CONSUMER_LAG = gauge(
    "consumer_lag_messages",
    "Log end offset minus next offset to be read, for assigned partitions.",
    topic=(*words.TOPICS, words.OTHER),
    partition=RUNNING,
)
WORKER_STATE = gauge(
    "worker_state",
    "1 for the current worker state, 0 for the others: starting, recovering, rebalancing, running, stopping.",
    state=words.WORKER_STATES,
)
REBALANCES = counter("rebalances_total", "Consumer group rebalances seen by this worker.")
REBALANCE_DURATION = histogram(
    "rebalance_duration_seconds",
    "Time from the start of a rebalance until tables are recovered.",
    (0.5, 1, 2, 5, 10, 20, 40, 60, 120, 300),
)
TABLE_ENTRIES = gauge(
    "table_entries",
    "Keys in locally owned table partitions: calls, and pages of calls with very many events.",
    table=words.TABLES,
)
DUE_CALLS = gauge("due_calls", "Calls in the index of what ticks must look at, in owned partitions.")
TROUBLED_CALLS = gauge(
    "troubled_calls", "Calls on which a tick's look fails by an error of our own and is repeated."
)
TABLE_RECOVERY_REMAINING = gauge(
    "table_recovery_remaining_messages",
    "Changelog messages still to replay before the table is current.",
    table=words.TABLES,
)
TABLE_EVICTIONS = counter(
    "table_evictions_total",
    "Keys removed from tables: terminal_ttl, max_age, capacity.",
    table=words.TABLES,
    reason=words.EVICTIONS,
)

# Calls and KPIs

CALLS_STARTED = counter(
    "calls_started_total",
    "Calls seen for the first time (seizures).",
    provider=words.PROVIDERS,
    account=CONFIGURED,
    direction=words.DIRECTIONS,
)
CALLS_ENDED = counter(
    "calls_ended_total",
    "Calls that reached a terminal state: answered, busy, no_answer, canceled, rejected, failed, unknown.",
    provider=words.PROVIDERS,
    account=CONFIGURED,
    direction=words.DIRECTIONS,
    outcome=words.OUTCOMES,
)
CALL_FINAL_RESPONSES = counter(
    "call_final_responses_total",
    "Calls by final SIP response code (allow-list, else other).",
    provider=words.PROVIDERS,
    direction=words.DIRECTIONS,
    sip_code=CONFIGURED,
)
CALLS_ACTIVE = gauge(
    "calls_active",
    "Calls not yet in a terminal state.",
    provider=words.PROVIDERS,
    account=CONFIGURED,
    direction=words.DIRECTIONS,
)
CALLS_OVERDUE = gauge(
    "calls_overdue",
    "Active calls older than the configured maximum without a terminal event.",
    provider=words.PROVIDERS,
)
CALL_SETUP_DELAY = histogram(
    "call_setup_delay_seconds",
    "Initiated to ringing (post-dial delay, RFC 6076 SRD proxy) or to answered.",
    (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60),
    provider=words.PROVIDERS,
    direction=words.DIRECTIONS,
    phase=words.SETUP_PHASES,
)
CALL_DURATION = histogram(
    "call_duration_seconds",
    "Talk time of answered calls (RFC 6076 SDT; ACD = sum / count).",
    (1, 3, 6, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 7200),
    provider=words.PROVIDERS,
    direction=words.DIRECTIONS,
)
CALL_INSIGHTS_EVENTS = counter(
    "call_insights_events_total",
    "Voice Insights events by edge and level.",
    edge=words.EDGES,
    level=words.INSIGHTS_LEVELS,
)
CALL_ERRORS = counter(
    "call_errors_total",
    "Provider error codes attached to calls (allow-list, else other).",
    provider=words.PROVIDERS,
    error_code=CONFIGURED,
)
CALL_STATE_CONFLICTS = counter(
    "call_state_conflicts_total",
    "Sources disagree on a field of the same call.",
    provider=words.PROVIDERS,
    field=words.CONFLICT_FIELDS,
)

# Application webhooks

APP_WEBHOOK_RESPONSES = counter(
    "app_webhook_responses_total",
    "What the customer's application answered the provider: 2xx, 3xx, 4xx, 5xx, timeout, none.",
    provider=words.PROVIDERS,
    endpoint=CONFIGURED,
    code_class=words.CODE_CLASSES,
)
APP_WEBHOOK_DURATION = histogram(
    "app_webhook_duration_seconds",
    "How long the customer's application took to answer the provider.",
    (0.05, 0.1, 0.25, 0.5, 1, 2, 3.5, 5, 8, 10, 12, 15),
    provider=words.PROVIDERS,
    endpoint=CONFIGURED,
)

# Reconciliation

RECONCILED_CALLS = counter(
    "reconciled_calls_total",
    "Calls compared across sources: match, missing_callback, missing_poll, mismatch.",
    provider=words.PROVIDERS,
    result=words.RECONCILIATIONS,
)
CALLBACKS_MISSING = counter(
    "callbacks_missing_total",
    "Callbacks a provider record proves should have arrived and that never did.",
    source=PUSHED_SOURCES,
    event=(*words.PROGRESS_EVENTS, words.OTHER),
    start=tuple(product(PUSHED_SOURCES, words.PROGRESS_EVENTS)),
)
RECONCILIATION_LAST_SUCCESS = gauge(
    "reconciliation_last_success_timestamp_seconds",
    "Unix time of the last complete reconciliation pass.",
    provider=words.PROVIDERS,
)
FETCHES_REQUESTED = counter(
    "fetches_requested_total",
    "Reads of a call's resources that were asked of the pollers.",
    source=FETCHED_SOURCES,
    reason=REASONS,
)
FETCHES_ANSWERED = counter(
    "fetches_answered_total",
    "Reads of a call's resources by what they came to; only success, empty, not_ready and not_found are the "
    "provider's answer about the call.",
    source=FETCHED_SOURCES,
    outcome=OUTCOMES,
)

# Alerts

ALERTS_PUBLISHED = counter(
    "alerts_published_total",
    "Alert records written to the alerts topic.",
    rule=words.RULES,
    severity=words.SEVERITIES,
    state=words.ALERT_STATES,
    start=tuple(
        (rule, severity, state)
        for rule, severity in (
            ("call.failed", "warning"),
            ("call.error_event", "warning"),
            ("webhook.failing", "critical"),
        )
        for state in words.ALERT_STATES
    ),
)

FAMILIES: tuple[Family, ...] = (
    *(value for value in list(globals().values()) if isinstance(value, Family)),
    *SHARED,
)
"""All of them, in the order above, and those that every role has."""
