"""The metrics of one gateway: told by its doors, read by a scrape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stream.service.metrics import gateway_families
from stream.service.metrics import label_values as words
from stream.service.metrics import worker_families as f
from stream.service.metrics.label_values import Vocabulary
from stream.service.metrics.log_counter import LogCounter
from stream.service.metrics.registry import Board

REASONS = {"unsupported_media_type": "malformed"}
"""Refusals that the catalogue counts under another word."""


class Landed(Protocol):
    """What is counted of a delivery. `delay_us`: received minus the provider's own time, None: unknown."""

    @property
    def source(self) -> str: ...

    @property
    def delay_us(self) -> int | None: ...


class GatewayMetrics:
    """What a gateway counts. All calls from the event loop's thread, for each request."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.board = Board(vocabulary, gateway_families.FAMILIES)
        self.log_counter = LogCounter(self.board)
        self._delay = self.board.buckets(gateway_families.WEBHOOK_DELIVERY_DELAY)
        self._durations = self.board.buckets(gateway_families.HTTP_REQUEST_DURATION)
        self._producing = self.board.buckets(f.PRODUCE_DURATION)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """What a scrape gets, and its content type."""
        return self.board.exposition(accept)

    def watch_connections(self, cut: Callable[[], int]) -> None:
        """`cut`: how many connections were ended, asked at each scrape."""
        numbers = self.board.numbers(gateway_families.HTTP_CONNECTIONS_CUT)
        self.board.before_scrape(lambda: numbers.set((), cut()))

    def answered(self, path: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; a path that is no route is `other`."""
        route = path if path in words.CALLBACK_ROUTES else words.OTHER
        code = str(status)
        self.board.count(
            gateway_families.HTTP_REQUESTS,
            route,
            method if method in words.METHODS else words.OTHER,
            code if code in words.CODES else words.OTHER,
        )
        self._durations.observe((route,), seconds)

    def landed(self, one: Landed, verified: bool) -> None:
        """A delivery is in Kafka."""
        self.board.count(gateway_families.WEBHOOK_EVENTS_RECEIVED, one.source)
        if not verified:
            self.board.count(gateway_families.WEBHOOK_UNSIGNED_EVENTS, one.source)
        if one.delay_us is not None:
            self._delay.observe((one.source,), max(0, one.delay_us) / 1_000_000)

    def dead_letter(self, source: str, reason: str) -> None:
        """Something went to the dead letters."""
        self.board.count(f.DEAD_LETTERS, source, reason)

    def rejected(self, source: str, reason: str) -> None:
        """A request was not accepted."""
        self.board.count(gateway_families.WEBHOOK_REQUESTS_REJECTED, source, REASONS.get(reason, reason))

    def produced(self, records: int, seconds: float, ok: bool) -> None:
        """Records were acknowledged by the broker, or were not."""
        self.board.count(f.PRODUCE_MESSAGES, "callbacks", "success" if ok else "error", n=records)
        self._producing.observe(("callbacks",), seconds, records)
