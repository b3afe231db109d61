"""The metrics of one poller: told by its parts, the budget's state read at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from stream.service.metrics import label_values as words
from stream.service.metrics import poller_families
from stream.service.metrics import worker_families as f
from stream.service.metrics.label_values import Vocabulary
from stream.service.metrics.log_counter import LogCounter
from stream.service.metrics.registry import Board


class BudgetState(NamedTuple):
    """One account's budget, as a scrape shows it. `account` is its alias, `state` one of POLL_STATES."""

    provider: str
    account: str
    state: str
    rate: float
    concurrency: float
    in_flight: int
    waiting: Mapping[str, int]


class PollerMetrics:
    """What a poller counts. All calls from the event loop's thread.

    `windows`: (source, alias) of what is read by window, so that what was never read is seen to be.
    """

    def __init__(self, vocabulary: Vocabulary, windows: Iterable[tuple[str, str]] = ()) -> None:
        self.board = Board(vocabulary, poller_families.FAMILIES)
        self.log_counter = LogCounter(self.board)
        self._durations = self.board.buckets(poller_families.POLL_REQUEST_DURATION)
        self._producing = self.board.buckets(f.PRODUCE_DURATION)
        self._last_success = self.board.numbers(poller_families.POLL_LAST_SUCCESS)
        self._watermark = self.board.numbers(poller_families.POLL_WATERMARK)
        for source, alias in windows:
            self._last_success.set((source, alias), 0)
            self._watermark.set((source, alias), 0)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """What a scrape gets, and its content type."""
        return self.board.exposition(accept)

    def requested(self, source: str, outcome: str, seconds: float) -> None:
        """One HTTP request came to this outcome after so many seconds."""
        self.board.count(poller_families.POLL_REQUESTS, source, outcome)
        self._durations.observe((source,), seconds)

    def landed(self, source: str, rows: int) -> None:
        """Rows of the provider are in Kafka."""
        self.board.count(poller_families.POLL_RECORDS, source, n=rows)

    def left_out(self, source: str, rows: int) -> None:
        """Rows came that are about no call."""
        self.board.count(poller_families.POLL_LEFT_OUT, source, n=rows)

    def waited(self, source: str, seconds: float) -> None:
        """A request waited for the budget, or for what the provider's 429 asked."""
        self.board.numbers(poller_families.POLL_THROTTLE_WAIT).add((source,), max(0.0, seconds))

    def window(self, source: str, alias: str, read_at_s: float, watermark_s: float) -> None:
        """A window was read to its end."""
        self._last_success.set((source, alias), read_at_s)
        self._watermark.set((source, alias), watermark_s)

    def dead_letter(self, source: str, reason: str) -> None:
        """Something went to the dead letters."""
        self.board.count(f.DEAD_LETTERS, source, reason)

    def pending(self, source: str, change: int) -> None:
        """Fetches that wait or are being done became more or less."""
        self.board.numbers(poller_families.POLL_PENDING).add((source,), change)

    def owned(self, partitions: int) -> None:
        """So many partitions of the fetch requests are this poller's."""
        self.board.numbers(poller_families.POLL_OWNED_PARTITIONS).set((), partitions)

    def produced(self, records: int, seconds: float, ok: bool) -> None:
        """Records were acknowledged by the broker, or were not."""
        self.board.count(f.PRODUCE_MESSAGES, "polled", "success" if ok else "error", n=records)
        self._producing.observe(("polled",), seconds, records)

    def budgets(self, states: Callable[[], Iterable[BudgetState]]) -> None:
        """Where a scrape asks for the budgets."""
        self.board.before_scrape(lambda: self._show(states()))

    def _show(self, states: Iterable[BudgetState]) -> None:
        numbers = self.board.numbers
        for one in states:
            account = (one.provider, one.account)
            numbers(poller_families.POLL_BUDGET_RATE).set(account, one.rate)
            numbers(poller_families.POLL_BUDGET_CONCURRENCY).set(account, one.concurrency)
            numbers(poller_families.POLL_IN_FLIGHT).set(account, one.in_flight)
            for priority in words.POLL_PRIORITIES:
                numbers(poller_families.POLL_WAITING).set((*account, priority), one.waiting.get(priority, 0))
            for state in words.POLL_STATES:
                numbers(poller_families.POLL_ACCOUNT_STATE).set((*account, state), state == one.state)
