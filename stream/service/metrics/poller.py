"""The poller's metrics: requests to the providers, rows that came, and what the rate budget allows.

The names are the contract. An account is shown by its alias, never by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from stream.core.fetches import OUTCOMES, PRIORITIES
from stream.core.sources import POLLED_SOURCES
from stream.service.metrics import label_values as words
from stream.service.metrics.family import Family, counter, gauge, histogram
from stream.service.metrics.registry import NO_CHOICE, LabelChoice, MetricRegistry

SOURCE = {"source": POLLED_SOURCES}
WINDOW = {**SOURCE, "account": words.RUNNING}
ACCOUNT = {"provider": words.PROVIDERS, "account": words.RUNNING}
OF_REQUESTS = tuple(one for one in OUTCOMES if one not in ("deferred", "no_account"))
"""The outcomes of a fetch for which a request was sent."""

POLL_REQUESTS = counter(
    "poll_requests_total",
    "Provider REST requests: success, empty, not_ready, not_found, throttled, auth_error, client_error, "
    "server_error, network_error, rubbish.",
    "On auth_error: check the credentials; on throttled: lower `CALLSTREAM_POLL_RATE`.",
    SOURCE | {"outcome": OF_REQUESTS},
)
POLL_REQUEST_DURATION = histogram(
    "poll_request_duration_seconds",
    "Duration of one provider REST request.",
    "When it rises: see the provider's status page.",
    SOURCE,
    (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30),
)
POLL_RECORDS = counter(
    "poll_records_total",
    "Records read from provider REST resources before deduplication.",
    "When it falls to 0 though calls are made: see poll_requests_total.",
    SOURCE,
)
POLL_LEFT_OUT = counter(
    "poll_records_left_out_total",
    "Records read that are about no call (Telnyx lists the deliveries of messages too) and are not kept.",
    "Nothing.",
    SOURCE,
)
POLL_LAST_SUCCESS = gauge(
    "poll_last_success_timestamp_seconds",
    "Unix time of the last fully successful poll cycle.",
    "When it is older than some intervals: `/readyz` and the log say what fails.",
    WINDOW,
)
POLL_WATERMARK = gauge(
    "poll_watermark_timestamp_seconds",
    "Unix event time up to which the source is known to be completely read.",
    "When it falls behind though reads succeed: raise the rate, or wait for a backfill to end.",
    WINDOW,
)
POLL_PENDING = gauge(
    "poll_pending_calls",
    "Calls scheduled for a per-call fetch (Call Events, Voice Insights Events) and not read yet.",
    "When it keeps rising: raise `CALLSTREAM_POLL_RATE` as far as the provider allows.",
    SOURCE,
)
POLL_THROTTLE_WAIT = counter(
    "poll_throttle_wait_seconds_total",
    "Time spent waiting for the local rate budget or a provider 429.",
    "When it rises: raise the rate, or after a 429 lower what else uses the account.",
    SOURCE,
)
POLL_BUDGET_RATE = gauge(
    "poll_budget_requests_per_second",
    "Requests a second that this poller may send to the account now; 0 on standby.",
    "Below `CALLSTREAM_POLL_RATE`: the provider has answered 429; it recovers by itself.",
    ACCOUNT,
)
POLL_BUDGET_CONCURRENCY = gauge(
    "poll_budget_concurrent_requests",
    "Requests at once that this poller may send to the account now; 0 on standby.",
    "Below `CALLSTREAM_POLL_CONCURRENCY`: the provider has answered 429; it recovers by itself.",
    ACCOUNT,
)
POLL_IN_FLIGHT = gauge(
    "poll_in_flight_requests",
    "Requests of this poller under way.",
    "At the budget for long: the provider is slow, or the concurrency too low.",
    ACCOUNT,
)
POLL_WAITING = gauge(
    "poll_waiting_requests",
    "Requests that wait for the budget, by priority.",
    "When heal or terminal waits: raise the rate, or run backfills at night.",
    ACCOUNT | {"priority": PRIORITIES},
)
POLL_ACCOUNT_STATE = gauge(
    "poll_account_state",
    "1 for the current state of the account, 0 for the others: running, throttled (a 429's pause), refused "
    "(credentials), unreachable, standby (another poller has it).",
    "On refused: correct the credentials; on unreachable: check network and proxy.",
    ACCOUNT | {"state": words.POLL_STATES},
)
POLL_FORBIDDEN = gauge(
    "poll_forbidden_source",
    "1 while the provider refuses this source to the account, whose other sources are read; else 0.",
    "On 1: see what the credentials may read, or leave the source out of `CALLSTREAM_POLL_SOURCES`.",
    WINDOW,
)
POLL_OWNED_PARTITIONS = gauge(
    "poll_owned_partitions",
    "Partitions of the fetch requests that this poller serves; 0 on standby.",
    "Where the pollers' sum is 0: is Kafka reached? The log says who joined.",
)

FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
"""All of them, in the order above; SHARED beside them."""

WRITTEN = ("polled", "polling", "fetches", "dead_letters")


class BudgetState(NamedTuple):
    """One account's budget, as a scrape shows it. `account` is its alias, `state` one of POLL_STATES."""

    provider: str
    account: str
    state: str
    rate: float
    concurrency: float
    in_flight: int
    waiting: Mapping[str, int]


class PollerMetrics(MetricRegistry):
    """What a poller counts. All calls from the event loop's thread.

    `windows`: (source, alias) that are read by window; one that was never read is shown as 0.
    """

    def __init__(
        self,
        windows: Iterable[tuple[str, str]],
        topics: Mapping[str, str] = MappingProxyType({}),
        choice: LabelChoice = NO_CHOICE,
    ) -> None:
        super().__init__(FAMILIES, topics=topics, choice=choice, written=WRITTEN)
        for source, alias in windows:
            self.window(source, alias, 0, 0)

    def requested(self, source: str, outcome: str, seconds: float) -> None:
        self.count(POLL_REQUESTS, source, outcome)
        self.histogram(POLL_REQUEST_DURATION, source).observe(seconds)

    def landed(self, source: str, rows: int) -> None:
        self.count(POLL_RECORDS, source, n=rows)

    def left_out(self, source: str, rows: int) -> None:
        self.count(POLL_LEFT_OUT, source, n=rows)

    def waited(self, source: str, seconds: float) -> None:
        """A request waited for the rate budget, or because of the provider's 429."""
        self.count(POLL_THROTTLE_WAIT, source, n=max(0.0, seconds))

    def window(self, source: str, alias: str, read_at_s: float, watermark_s: float) -> None:
        """A window was read to its end."""
        self.gauge(POLL_LAST_SUCCESS, source, alias).set(read_at_s)
        self.gauge(POLL_WATERMARK, source, alias).set(watermark_s)

    def pending(self, source: str, change: int) -> None:
        self.gauge(POLL_PENDING, source).inc(change)

    def owned(self, partitions: int) -> None:
        self.gauge(POLL_OWNED_PARTITIONS).set(partitions)

    def budgets(self, states: Callable[[], Iterable[BudgetState]]) -> None:
        """`states`: returns the budgets; called at each scrape."""
        self.before_scrape(lambda: self._show(states()))

    def forbidden(self, sources: Callable[[], Iterable[tuple[str, str, bool]]]) -> None:
        """`sources`: returns (source, alias, whether it is forbidden); called at each scrape."""

        def show() -> None:
            for source, alias, is_forbidden in sources():
                self.gauge(POLL_FORBIDDEN, source, alias).set(is_forbidden)

        self.before_scrape(show)

    def _show(self, states: Iterable[BudgetState]) -> None:
        for one in states:
            account = (one.provider, one.account)
            self.gauge(POLL_BUDGET_RATE, *account).set(one.rate)
            self.gauge(POLL_BUDGET_CONCURRENCY, *account).set(one.concurrency)
            self.gauge(POLL_IN_FLIGHT, *account).set(one.in_flight)
            for priority in PRIORITIES:
                self.gauge(POLL_WAITING, *account, priority).set(one.waiting.get(priority, 0))
            for state in words.POLL_STATES:
                self.gauge(POLL_ACCOUNT_STATE, *account, state).set(state == one.state)
