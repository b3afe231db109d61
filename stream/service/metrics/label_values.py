"""The values that labels may take, so that ids, phone numbers and URLs never become a label.

They are known before the first event, so every series starts at 0. What one family alone uses is beside it.
"""

from __future__ import annotations

from stream.core.insights_edges import EDGES as _EDGES
from stream.core.sources import PROVIDERS as _PROVIDERS
from stream.core.sources import SOURCE_BY_NAME, SOURCES

OTHER = "other"
UNKNOWN = "unknown"
ACCOUNT: tuple[str, ...] = ("<account>",)
"""The installation's alias for its account, whatever the provider's id."""
RUNNING: tuple[str, ...] = ("<running>",)
"""Values of our own that are known only while the role runs (partitions, aliases)."""

ENDPOINTS: tuple[str, ...] = ("<endpoint>",)
"""Endpoints of the customer's application, see `endpoint_names`."""

PROVIDERS = tuple(_PROVIDERS)
LEVELS = ("debug", "info", "warning", "error", UNKNOWN)
ANY_SOURCE = (*SOURCES, UNKNOWN)
"""Including the dead letters' `unknown`: an envelope whose source could not be read."""

DEAD_LETTER_REASONS = (
    *("not_json", "not_an_object", "unsupported_version", "key_mismatch", "unknown_source"),
    *("missing_id", "invalid_field", "too_large", "too_deep", "too_many_events"),
    *("internal_error", "undeliverable"),
)
AGENTS = ("callbacks", "polled", "ticks")
LANE = "lane"
"""The agents only pass their records on: the partition's lane spends the time and has most of the errors."""

LANE_ERRORS = (
    *("processor", "aborted", "refused", "fenced", "overtaken"),
    *("expired", "rewound", "stale_broker", "read_anew", "tick"),
)
"""Errors of a lane, as the lanes name them to their observer."""

ERRORS = (
    *("AssertionError", "AttributeError", "DecodeError", "IndexError", "KeyError"),
    *("RecursionError", "TypeError", "ValueError", "ValidationError", OTHER),
)
"""Exception classes that an operator can tell apart."""

TOPICS = (
    *("callbacks", "polled", "events", "ended", "alerts", "alerts_active"),
    *("fetches", "polling", "scopes", "ticks", "dead_letters", "changelog", OTHER),
)
"""Topics by their role, whatever their prefix is."""

WRITTEN: tuple[str, ...] = ("<written>",)
"""Those of them that the role writes."""

STAGES = ("received", "processed", "published", "state_visible")
"""The way of a heartbeat: fetched, folded, its batch's outputs in Kafka, its states in the table."""

WORKER_STATES = ("starting", "recovering", "rebalancing", "running", "stopping")
TABLES = ("calls",)

CALLBACK_ROUTES = ("/callbacks/twilio", "/callbacks/twilio/event-streams", "/callbacks/telnyx")
ROUTES = (*CALLBACK_ROUTES, OTHER)
METHODS = ("GET", "POST", OTHER)
CALLBACK_CODES = ("204", "400", "403", "405", "408", "413", "415", "429", "500", "503")
CODES = ("200", "404", *CALLBACK_CODES, OTHER)
REJECTIONS = (
    *("bad_signature", "missing_signature", "stale_timestamp", "malformed", "too_large"),
    *("unknown_account", "overloaded", "rate_limited", "produce_failed"),
)
IGNORED = ("message", "fax", "studio", "verify", "test_event", "other_product")
"""What a webhook that is taken and not written is about."""

DIRECTIONS = ("inbound", "outbound", UNKNOWN)
OUTCOMES = ("answered", "busy", "no_answer", "canceled", "rejected", "failed", UNKNOWN)
POLL_STATES = ("running", "throttled", "refused", "unreachable", "standby")
PROGRESS_EVENTS = ("queued", "initiated", "ringing", "answered", "completed")
EDGES = (*_EDGES, OTHER)
CONFLICT_FIELDS = (
    *("status", "sequence_number", "direction_detail", "from", "to", "account"),
    *("answered_by", "parent_call_id", "session_id", "leg_id"),
    *("duration_s", "sip_response_code", "initiated_at", "ringing_at", "answered_at", "ended_at", OTHER),
)
LOG_LEVELS = ("debug", "info", "warning", "error")
CAPPED_LABELS = (
    *("account", "code", "edge", "endpoint", "error", "error_code", "event"),
    *("field", "method", "route", "sip_code", "topic"),
)

SIP_CODES = (
    *("200", "302"),
    *("400", "403", "404", "408", "410", "480", "484", "486", "487", "488"),
    *("500", "502", "503", "504"),
    *("600", "603", "608"),
    OTHER,
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
    *("31400", "31403", "31404", "31408", "31480", "31486", "31487", "31488"),  # 31000 + the SIP code
    *("31500", "31502", "31503", "31504", "31600", "31603"),
    *("53400", "53402", "53405"),  # media
    OTHER,
)
"""Twilio's codes that can be attached to a call and that somebody can act on."""

_SPELLINGS: dict[str, dict[str, str]] = {
    "edge": {"unknown_edge": OTHER},
}


def of_provider(provider: str) -> tuple[str, ...]:
    """The values that are about one provider."""
    sources = (name for name, source in SOURCE_BY_NAME.items() if source.provider == provider)
    routes = (route for route in CALLBACK_ROUTES if route.split("/")[2] == provider)
    return provider, *sources, *routes


def spelled(label: str, word: str) -> str:
    """Our word for a provider's."""
    if label == "level":
        return word.lower()
    return _SPELLINGS.get(label, {}).get(word, word)
