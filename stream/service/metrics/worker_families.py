"""The metric families of the worker. `family.py` has those of all roles; gateway and poller have their own
files.

The names are the contract: dashboards and alert rules use them. What nothing in this worker feeds has no
family, because one that is always 0 would mislead.
"""

from __future__ import annotations

from itertools import product

from stream.core.alerting.rules import DEFAULT_RULES, RULE_IDS, SEVERITIES
from stream.core.delivery.audit import RESULTS
from stream.core.events import REMARKS
from stream.core.fetches import OUTCOMES, REASONS
from stream.core.sources import FETCHED_SOURCES, PUSHED_SOURCES, SOURCES
from stream.core.verdicts.table import FAULTS
from stream.service.metrics import family
from stream.service.metrics import label_values as words
from stream.service.metrics.family import Family, counter, gauge, histogram

PROVIDER = {"provider": words.PROVIDERS}
DIRECTION = {**PROVIDER, "direction": words.DIRECTIONS}
CALL = {**PROVIDER, "account": words.ACCOUNT, "direction": words.DIRECTIONS}
SOURCE = {"source": SOURCES}

# Stream

EVENTS_PROCESSED = counter(
    "events_processed_total",
    "Events leaving the dedup/order stage: applied, late, duplicate, dead_lettered, or forgotten (of a call "
    "that was forgotten); exclusive.",
    "Where it stands still though calls are made: is the gateway reached, does the worker run?",
    {"source": words.ANY_SOURCE, "result": ("applied", "late", "duplicate", "dead_lettered", "forgotten")},
)
EVENTS_DEDUPLICATED = counter(
    "events_deduplicated_total",
    "Duplicate events dropped, by the identity that matched: "
    "event_id, sequence_number, content_hash, cross_source.",
    "Nothing, duplicates are normal; many more callbacks than usual: the gateway answers too late.",
    SOURCE | {"match": ("event_id", "sequence_number", "content_hash", "cross_source")},
)
EVENTS_OUT_OF_ORDER = counter(
    "events_out_of_order_total",
    "Events that arrived after a later event of the same call had been seen.",
    "Nothing, they are applied in order; a steep rise is a delay at the provider or at the proxy.",
    SOURCE,
)
SEQUENCE_NUMBERS_UNREADABLE = counter(
    "sequence_numbers_unreadable_total",
    "Events whose sequence number is not 1 to 9 digits: they are applied without one.",
    "The provider writes another format: report it. Meanwhile, such callbacks show no gaps.",
    SOURCE,
)
SEQUENCE_GAPS_DETECTED = counter(
    "sequence_gaps_detected_total",
    "Callbacks before a received one that are still absent after the grace period.",
    "Look for refused requests at the gateway, and for failed deliveries in the provider's debugger.",
    SOURCE,
)
SEQUENCE_GAPS_CLOSED = counter(
    "sequence_gaps_closed_total",
    "Sequence gaps closed: late_arrival, poll_heal, expired, or not_sent: Call Events, or other calls of the "
    "endpoint, show that the provider sent no such callback.",
    "On expired: run a poller, whose reads fill gaps. On not_sent: nothing, the event is not subscribed to.",
    SOURCE | {"by": ("late_arrival", "poll_heal", "not_sent", "expired")},
)
SEQUENCE_GAPS_OPEN = gauge(
    "sequence_gaps_open",
    "Sequence gaps waiting for a late arrival or a healing poll.",
    "When it keeps rising: does the poller run, and may it read?",
    SOURCE,
)
EVENT_LATENCY = histogram(
    "event_latency_seconds",
    "Provider event time to stage: received, processed, state_visible, alert_published.",
    "The first stage that is slow is the cause: the provider (received), the worker, Kafka.",
    SOURCE | {"stage": ("received", "processed", "state_visible", "alert_published")},
    (0.25, 0.5, 1, 2, 5, 10, 30, 60, 90, 120, 300, 900, 1800, 3600),
)
CALLBACK_LATENCY = histogram(
    "callback_latency_seconds",
    "From a callback's receipt at the gateway to the commit of its effects; duplicates are not counted.",
    "When it rises: does the worker's lag rise, too? Else look at transactions and at the clocks.",
    bounds=(0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 1, 2.5, 5, 15, 60, 300),
)
PROCESSING_DURATION = histogram(
    "processing_duration_seconds",
    "Time one agent spends on one event.",
    "When it rises: give the worker more CPU, or run one more.",
    {"agent": (words.LANE,)},
    (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 1),
)
PROCESSING_ERRORS = counter(
    "processing_errors_total",
    "Exceptions in agents by allow-listed class (else other).",
    "Read the worker's log; errors of an agent are bugs and are in the dead letters, with their call.",
    {"agent": (*words.AGENTS, words.LANE), "error": (*words.ERRORS, *words.LANE_ERRORS)},
    start=(
        *product((*words.AGENTS, words.LANE), words.ERRORS),
        *product((words.LANE,), words.LANE_ERRORS),
    ),
)
HEARTBEAT = gauge(
    "heartbeat_timestamp_seconds",
    "Insert time of the newest synthetic heartbeat seen by each stage: received, processed, published, "
    "state_visible; of the partition where that is longest ago.",
    "Older than a minute: the first such stage stands still; `/readyz` and the log say why.",
    {"stage": words.STAGES},
    start=(),
    several="min",
)
LAST_EVENT = gauge(
    "last_event_timestamp_seconds",
    "Unix time the last event of this source was processed.",
    "When it is old though calls are made: run `callstream doctor`. A source without events has no series.",
    {"source": words.ANY_SOURCE},
    start=(),
    several="max",
)

# Kafka and worker

CONSUMER_LAG = gauge(
    "consumer_lag_messages",
    "Log end offset minus next offset to be read, for assigned partitions.",
    "When it keeps rising: run more workers, at most one a partition.",
    {"topic": words.TOPICS, "partition": words.RUNNING},
    several="max",
)
WORKER_STATE = gauge(
    "worker_state",
    "1 for the current worker state, 0 for the others: starting, recovering, rebalancing, running, stopping.",
    "When it is not running for minutes: is Kafka reached? `/readyz` says what it waits for.",
    {"state": words.WORKER_STATES},
    several="each",
)
TRANSACTION_DURATION = histogram(
    "transaction_duration_seconds",
    "Time from a folded batch to its commit, with repeated tries.",
    "When it rises: look at the broker's disk and network; errors of the lane say what was repeated.",
    bounds=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
)
REBALANCES = counter(
    "rebalances_total",
    "Consumer group rebalances seen by this worker.",
    "When many follow each other: do workers restart, or run out of CPU or memory?",
    several="each",
)
REBALANCE_DURATION = histogram(
    "rebalance_duration_seconds",
    "Time from the start of a rebalance until tables are recovered.",
    "When it is long: recovery reads the changelog; look at the broker's disk and network.",
    bounds=(0.5, 1, 2, 5, 10, 20, 40, 60, 120, 300),
)
TABLE_ENTRIES = gauge(
    "table_entries",
    "Keys in locally owned table partitions: calls, and pages of calls with very many events.",
    "It grows with traffic and `CALLSTREAM_SETTLE_S`; size the worker's memory by it.",
    {"table": words.TABLES},
)
DUE_CALLS = gauge(
    "due_calls",
    "Calls in the index of what ticks must look at, in owned partitions.",
    "Nothing: it follows the number of calls in the table.",
)
TROUBLED_CALLS = gauge(
    "troubled_calls",
    "Calls on which a tick's look fails by an error of our own and is repeated.",
    "Report the error in the worker's log; the call is among the dead letters.",
)
TABLE_RECOVERY_REMAINING = gauge(
    "table_recovery_remaining_messages",
    "Changelog messages still to replay before the table is current.",
    "Wait while it falls; where it stands still, look at the broker.",
    {"table": words.TABLES},
)
TABLE_EVICTIONS = counter(
    "table_evictions_total",
    "Keys removed from tables: terminal_ttl, max_age, forgotten (by an operator).",
    "On max_age: calls without an end; see calls_overdue.",
    {"table": words.TABLES, "reason": ("terminal_ttl", "max_age", "forgotten")},
)

# Calls and KPIs

CALLS_STARTED = counter(
    "calls_started_total",
    "Calls seen for the first time (seizures).",
    "When it falls to 0 in business hours: are the numbers' webhooks set, is the gateway reached?",
    CALL,
)
CALLS_ENDED = counter(
    "calls_ended_total",
    "Calls that reached a terminal state: answered, busy, no_answer, canceled, rejected, failed, unknown.",
    "When the share of failed rises: compare the SIP codes and errors, then the provider's status page.",
    CALL | {"outcome": words.OUTCOMES},
)
CALL_FINAL_RESPONSES = counter(
    "call_final_responses_total",
    "Calls by final SIP response code (allow-list, else other).",
    "5xx and 6xx: ask the carrier; 404 and 484: check the numbers dialled.",
    DIRECTION | {"sip_code": words.SIP_CODES},
)
CALLS_ACTIVE = gauge("calls_active", "Calls not yet in a terminal state.", "Plan the capacity by it.", CALL)
CALLS_OVERDUE = gauge(
    "calls_overdue",
    "Active calls older than the configured maximum without a terminal event.",
    "A terminal callback was lost: does the poller run? Else the call hangs: end it at the provider.",
    PROVIDER,
)
CALL_SETUP_DELAY = histogram(
    "call_setup_delay_seconds",
    "Initiated to ringing (post-dial delay, RFC 6076 SRD proxy) or to answered.",
    "When ringing takes longer: the route or the carrier has changed; ask the provider.",
    DIRECTION | {"phase": ("ringing", "answered")},
    (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60),
)
CALL_DURATION = histogram(
    "call_duration_seconds",
    "Talk time of answered calls (RFC 6076 SDT; ACD = sum / count).",
    "When many are short: listen to one; silence or a false answer is likely.",
    DIRECTION,
    (1, 3, 6, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 7200),
)
CALL_INSIGHTS_EVENTS = counter(
    "call_insights_events_total",
    "Voice Insights events by edge and level.",
    "On errors at sdk_edge: the client's network, microphone or version; else the carrier.",
    {"edge": words.EDGES, "level": words.LEVELS},
)
CALL_ERRORS = counter(
    "call_errors_total",
    "Provider error codes attached to calls (allow-list, else other).",
    "Look the code up in the provider's error dictionary.",
    PROVIDER | {"error_code": words.ERROR_CODES},
)
VERDICTS = counter(
    "verdicts_total",
    "Calls that did not succeed, by whose fault it was. A call is counted when it settles and leaves the "
    "table: then its verdict is final.",
    "When the share of one fault rises: docs/verdicts.md says what to do about it.",
    DIRECTION | {"fault": FAULTS},
)
CALL_STATE_CONFLICTS = counter(
    "call_state_conflicts_total",
    "Sources disagree on a field of the same call.",
    "Nothing at single calls; on many, compare one call's events and report it.",
    PROVIDER | {"field": words.CONFLICT_FIELDS},
)
ERROR_LOG_ENTRIES = counter(
    "error_log_entries_total",
    "Entries of Twilio's error log by what they are about: the application failed, a callback was not "
    "delivered, a request to this gateway failed (own_url), other; unreadable: their details were broken. "
    "An entry without a call is counted each time that it is told.",
    "On application: see the alerts; on callback and own_url: is the gateway reached from outside?",
    {"level": words.LEVELS, "about": (*REMARKS, "own_url")},
    start=tuple(product(("error", "warning"), (*REMARKS, "own_url"))),
)

# Application webhooks

APP_WEBHOOK_RESPONSES = counter(
    "app_webhook_responses_total",
    "What the customer's application answered the provider: 2xx, 3xx, 4xx, 5xx, timeout, none.",
    "On anything but 2xx and 3xx: ask the application's owner, beginning with the last deployment.",
    PROVIDER | {"endpoint": words.ENDPOINTS, "code_class": ("2xx", "3xx", "4xx", "5xx", "timeout", "none")},
)
APP_WEBHOOK_DURATION = histogram(
    "app_webhook_duration_seconds",
    "How long the customer's application took to answer the provider.",
    "Above 5 s: make the application faster, or calls fail at the provider's limit of 15 s.",
    PROVIDER | {"endpoint": words.ENDPOINTS},
    (0.05, 0.1, 0.25, 0.5, 1, 2, 3.5, 5, 8, 10, 12, 15),
)

# Reconciliation

RECONCILED_CALLS = counter(
    "reconciled_calls_total",
    "Calls compared across sources: match, missing_callback, missing_poll, mismatch.",
    "On missing_callback: is the status callback set for every number and call?",
    PROVIDER | {"result": ("match", "missing_callback", "missing_poll", "mismatch")},
)
CALLBACKS_MISSING = counter(
    "callbacks_missing_total",
    "Callbacks a provider record proves should have arrived and that never did.",
    "Compare the provider's debugger with the gateway's refusals: DNS, firewall, TLS, signature.",
    {"source": PUSHED_SOURCES, "event": (*words.PROGRESS_EVENTS, words.OTHER)},
    start=tuple(product(PUSHED_SOURCES, words.PROGRESS_EVENTS)),
)
CALLBACKS_AUDITED = counter(
    "callbacks_audited_total",
    "Callbacks that a provider's own records say were sent, by what became of them: delivered, late, "
    "missing, refused_by_application, refused_by_us.",
    "On missing: what is between the provider and the gateway? On refused_by_us: see the gateway's refusals.",
    PROVIDER | {"endpoint": words.ENDPOINTS, "result": RESULTS},
)
RECONCILIATION_LAST_SUCCESS = gauge(
    "reconciliation_last_success_timestamp_seconds",
    "Unix time of the last complete reconciliation pass.",
    "When it is old though calls end: does the poller run?",
    PROVIDER,
    start=(),
    several="max",
)
FETCHES_REQUESTED = counter(
    "fetches_requested_total",
    "Reads of a call's resources that were asked of the pollers.",
    "On many gap or overdue: callbacks are lost; see callbacks_missing_total.",
    {"source": FETCHED_SOURCES, "reason": REASONS},
)
FETCHES_ANSWERED = counter(
    "fetches_answered_total",
    "Reads of a call's resources by what they came to; only success, empty, not_ready and not_found are the "
    "provider's answer about the call.",
    "On auth_error or no_account: check the poller's credentials; on deferred: raise its rate.",
    {"source": FETCHED_SOURCES, "outcome": OUTCOMES},
)

# Alerts

ALERTS_PUBLISHED = counter(
    "alerts_published_total",
    "Alert records written to the alerts topic.",
    "Read them: `callstream alerts --history --since 1h`.",
    {"rule": RULE_IDS, "severity": SEVERITIES, "state": ("firing", "resolved")},
    start=tuple((rule.id, rule.severity, "firing") for rule in DEFAULT_RULES),
)
ALERTS_ACTIVE = gauge(
    "alerts_active",
    "Alert records currently firing.",
    "Conditions, of an endpoint or many calls, want a person: `callstream alerts --conditions` lists them.",
    {"rule": RULE_IDS, "severity": SEVERITIES},
)
SCOPE_REPORTS_AHEAD = counter(
    "scope_reports_ahead_total",
    "Reports about endpoints and failing calls that were dated more than five minutes after they were "
    "written; they count at the newest time that can be true.",
    "Correct the clock of the gateways and pollers: deliveries are dated by it.",
)

CONFIG_RELOADED = family.CONFIG_RELOADED

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
"""All of them, in the order above; SHARED beside them."""

WRITTEN = ("events", "ended", "alerts", "alerts_active", "fetches", "scopes", "dead_letters", "changelog")
"""Ticks are not among them: one that is not written is an error of the lane, `tick`."""
