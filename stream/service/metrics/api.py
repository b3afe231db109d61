"""The metrics of `callstream api`: what is asked, what is refused, who follows live.

The names are the contract. A route is shown by its template, which no client chooses.
"""

from __future__ import annotations

from collections.abc import Iterable

from stream.service.metrics import family
from stream.service.metrics import label_values as words
from stream.service.metrics.family import Family, counter, gauge, histogram
from stream.service.metrics.registry import MetricRegistry

ROUTE = {"route": words.RUNNING}
NO_ROUTE = "none"
"""The route of a request whose path is not one of the API's."""

CODES = ("200", "204", "304", "400", "401", "403", "404", "405", "413", "429", "500", "503", words.OTHER)
REFUSALS = ("missing", "unknown", "other_account", "not_configured", "rate_limited")
READ_OUTCOMES = ("success", "timeout", "error", "overloaded")
ENDINGS = ("left", "slow", "stopping", "away", "lost", "revoked")

API_REQUESTS = counter(
    "api_requests_total",
    "HTTP requests answered by the API, by route template and status code.",
    "On 5xx: 503 means that the archive does not answer (`api_archive_reads_total`); on 500 read the log.",
    ROUTE | {"code": CODES},
    start=(),
)
API_REQUEST_DURATION = histogram(
    "api_request_duration_seconds",
    "Time to answer an HTTP request of the API; live streams are left out.",
    "When it rises: is the archive's database slow, or is a question asked without a limit of time?",
    ROUTE,
    (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 15),
    start=(),
)
API_REFUSALS = counter(
    "api_tokens_refused_total",
    "Requests refused for their token: missing, unknown, other_account, not_configured, rate_limited.",
    "On unknown: a token was taken back or is guessed; on rate_limited: raise `CALLSTREAM_API_RATE`, or ask "
    "the client to wait as `Retry-After` says.",
    {"reason": REFUSALS},
)
API_ARCHIVE_READS = counter(
    "api_archive_reads_total",
    "Reads of the archive by outcome: success, timeout, error, overloaded (too many were waiting).",
    "On timeout and error: does the database answer? On overloaded: more `CALLSTREAM_API_THREADS`, or "
    "another replica.",
    {"outcome": READ_OUTCOMES},
)
API_LIVE_SUBSCRIBERS = gauge(
    "api_live_subscribers",
    "Clients that follow `/v1/live` now.",
    "At `CALLSTREAM_API_LIVE_SUBSCRIBERS` others are refused: raise it, or add a replica.",
)
API_LIVE_ENDED = counter(
    "api_live_ended_total",
    "Live streams that have ended: left (the client closed), slow (it did not read), "
    "stopping (the role), away (Kafka did not answer while it caught up), lost (its records are no longer "
    "in Kafka), revoked (its token was taken back).",
    "On slow: the client or its network is too slow for what it follows; let it filter.",
    {"reason": ENDINGS},
)
API_LIVE_RECORDS = counter(
    "api_live_records_total",
    "Records read from Kafka for live streams, by kind.",
    "When it stays at 0 while calls run: is the broker reached? The log says so.",
    {"kind": ("event", "call", "alert")},
)

CONFIG_RELOADED = family.CONFIG_RELOADED

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
"""All of them, in the order above; SHARED beside them."""


WRITTEN: tuple[str, ...] = ()
"""It writes no topic."""


class ApiMetrics(MetricRegistry):
    """What `callstream api` counts. All calls from the event loop's thread."""

    def __init__(self) -> None:
        super().__init__(FAMILIES, written=WRITTEN)
        self.known_routes([NO_ROUTE])
        self.gauge(API_LIVE_SUBSCRIBERS).set(0)
        self.tokens_read(used=True)  # an API does not start with tokens that it cannot use

    def known_routes(self, templates: Iterable[str]) -> None:
        """The routes that there are, each of which begins at 0."""
        for route in templates:
            for code in CODES:
                self.count(API_REQUESTS, route, code, n=0)

    def answered(self, route: str, status: int, seconds: float | None) -> None:
        """A request was answered; `seconds` is None of a stream. `route`: "" if there is none."""
        route = route or NO_ROUTE
        self.count(API_REQUESTS, route, str(status))
        if seconds is not None:
            self.histogram(API_REQUEST_DURATION, route).observe(seconds)

    def refused(self, reason: str) -> None:
        self.count(API_REFUSALS, reason)

    def archive_read(self, outcome: str) -> None:
        self.count(API_ARCHIVE_READS, outcome)

    def live(self, subscribers: int, ended: str = "") -> None:
        """How many follow live now; `ended`: one of ENDINGS, if a stream has ended."""
        self.gauge(API_LIVE_SUBSCRIBERS).set(subscribers)
        if ended:
            self.count(API_LIVE_ENDED, ended)

    def tokens_read(self, used: bool) -> None:
        """A file of tokens was read again: whether its tokens are used, or those from before."""
        self.gauge(CONFIG_RELOADED).set(used)

    def live_record(self, kind: str) -> None:
        self.count(API_LIVE_RECORDS, kind)
