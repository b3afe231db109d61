"""The values that labels may take. A value that is not in its list never becomes a label.

A label's values are known before the first event, so that every series starts at 0.
The lists of an installation (accounts, endpoints, codes) come from `LabelValues`, the others are here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stream.core.fetches import PRIORITIES
from stream.core.sources import PROVIDERS as _PROVIDERS
from stream.core.sources import SOURCES

OTHER = "other"
UNKNOWN = "unknown"

PROVIDERS = tuple(_PROVIDERS)
ANY_SOURCE = (*SOURCES, UNKNOWN)
"""Including the dead letters' `unknown`: an envelope whose source could not be read."""

RESULTS = ("applied", "late", "duplicate", "dead_lettered")
MATCHES = ("delivery_token", "event_id", "sequence_number", "content_hash", "cross_source")
GAP_CLOSERS = ("late_arrival", "poll_heal", "expired")
LATENCY_STAGES = ("received", "processed", "state_visible", "alert_published")
HEARTBEAT_STAGES = ("state_visible",)
DEAD_LETTER_REASONS = (
    "not_json",
    "not_an_object",
    "unsupported_version",
    "key_mismatch",
    "missing_id",
    "invalid_field",
    "too_large",
    "too_deep",
    "too_many_events",
    "unknown_source",
    "internal_error",
)
AGENTS = ("callbacks", "polled", "ticks")
LANE = "lane"
"""The agents only pass their records on: the partition's lane spends the time and has most of the errors."""

LANE_ERRORS = (
    "processor",
    "aborted",
    "refused",
    "fenced",
    "overtaken",
    "expired",
    "rewound",
    "stale_broker",
    "read_anew",
    "tick",
)
"""Errors of a lane, as the lanes name them to their observer."""

ERRORS = (
    "AssertionError",
    "AttributeError",
    "DecodeError",
    "IndexError",
    "KeyError",
    "RecursionError",
    "TypeError",
    "ValueError",
    "ValidationError",
    OTHER,
)
"""Exception classes that an operator can tell apart."""

TOPICS = (
    "callbacks",
    "polled",
    "events",
    "ended",
    "alerts",
    "alerts_active",
    "fetches",
    "polling",
    "ticks",
    "dead_letters",
    "changelog",
)
"""Topics by their role, whatever their prefix is."""

PRODUCE_OUTCOMES = ("success", "error")
WORKER_STATES = ("starting", "recovering", "rebalancing", "running", "stopping")
TABLES = ("calls",)
EVICTIONS = ("terminal_ttl", "max_age", "capacity")

CALLBACK_ROUTES = ("/callbacks/twilio", "/callbacks/twilio/event-streams", "/callbacks/telnyx")
METHODS = ("GET", "POST", OTHER)
CALLBACK_CODES = ("204", "400", "403", "405", "408", "413", "415", "429", "500", "503")
CODES = ("200", "404", *CALLBACK_CODES, OTHER)
REJECTIONS = (
    "bad_signature",
    "missing_signature",
    "stale_timestamp",
    "malformed",
    "too_large",
    "unknown_account",
    "overloaded",
    "rate_limited",
    "produce_failed",
)

DIRECTIONS = ("inbound", "outbound", UNKNOWN)
OUTCOMES = ("answered", "busy", "no_answer", "canceled", "rejected", "failed", UNKNOWN)
POLL_OUTCOMES = (
    *("success", "empty", "not_ready", "not_found", "throttled", "auth_error"),
    *("client_error", "server_error", "network_error", "rubbish"),
)
POLL_PRIORITIES = PRIORITIES
POLL_STATES = ("running", "throttled", "refused", "unreachable", "standby")
PROGRESS_EVENTS = ("queued", "initiated", "ringing", "answered", "completed")
RECONCILIATIONS = ("match", "missing_callback", "missing_poll", "mismatch")
SETUP_PHASES = ("ringing", "answered")
EDGES = ("carrier_edge", "sip_edge", "sdk_edge", "client_edge", OTHER)
INSIGHTS_LEVELS = ("debug", "info", "warning", "error", UNKNOWN)
CONFLICT_FIELDS = (
    "status",
    "sequence_number",
    "direction",
    "from",
    "to",
    "account",
    "answered_by",
    "parent_call_id",
    "session_id",
    "leg_id",
    OTHER,
)
CODE_CLASSES = ("2xx", "3xx", "4xx", "5xx", "timeout", "none")

RULES = (
    "call.failed",
    "call.error_event",
    "call.no_terminal_event",
    "call.short",
    "webhook.failing",
    "webhook.slow",
    "delivery.gap",
    "delivery.callback_missing",
    "state.conflict",
    "kpi.burn",
)
SEVERITIES = ("critical", "warning", "info")
ALERT_STATES = ("firing", "resolved")
LOG_LEVELS = ("debug", "info", "warning", "error")
CAPPED_LABELS = (
    *("account", "code", "edge", "endpoint", "error", "error_code", "event", "field"),
    *("method", "route", "sip_code", "topic"),
)

SIP_CODES = (
    *("200", "302"),
    *("400", "403", "404", "408", "410", "480", "484", "486", "487", "488"),
    *("500", "502", "503", "504"),
    *("600", "603", "608"),
)
"""Final responses with a series: all that the KPIs of RFC 6076 name, and those that carriers really send."""

ERROR_CODES = (
    *("10001", "10003"),  # the account is not active
    *("11200", "11205", "11206", "11210", "11215", "11220", "11235", "11236", "11237"),  # a webhook's URL
    *("15003", "95200"),  # a status URL answered with an error
    *("12100", "12200", "12300"),  # the application's TwiML
    *("13223", "13224", "13225", "13226", "13227", "21217"),  # the number dialled
    *("31000", "31003", "31005", "31009", "53000", "53001"),  # the client's network
    *("31401", "31402"),  # the client's microphone
    *("31400", "31404", "31480", "31486", "31600", "31603"),  # SIP outcomes of a client
    *("53400", "53402", "53405"),  # media
)
"""Twilio's codes that can be attached to a call and that somebody can act on."""


@dataclass(frozen=True, kw_only=True)
class LabelValues:
    """The label values of an installation.

    - `account_alias`: the name for a provider account that has no entry of its own.
    - `accounts`: provider's account id to its alias. Empty: one account, every event is `account_alias`'s.
      Else an account that is not listed is `other`.
    - `endpoints`: URL of the customer's application, without query, to a short name. A URL is never a label.
    - `sip_codes`, `error_codes`: codes that get a series of their own.
    - `topics`: a topic's full name to its role, one of TOPICS.
    """

    account_alias: str = "default"
    accounts: Mapping[str, str] = field(default_factory=dict)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    sip_codes: Sequence[str] = SIP_CODES
    error_codes: Sequence[str] = ERROR_CODES
    topics: Mapping[str, str] = field(default_factory=dict)

    def values(self, label: str) -> tuple[str, ...]:
        """All values of a label that the installation defines."""
        if label == "account":
            aliases = dict.fromkeys((self.account_alias, *self.accounts.values()))
            return (*aliases, OTHER) if self.accounts else (*aliases,)
        if label == "endpoint":
            return (*dict.fromkeys(self.endpoints.values()), OTHER)
        if label == "sip_code":
            return (*self.sip_codes, OTHER)
        if label == "error_code":
            return (*self.error_codes, OTHER)
        raise KeyError(label)
