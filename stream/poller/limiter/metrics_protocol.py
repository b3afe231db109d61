"""What the poller's parts tell of themselves, for metrics: one interface, so that none knows a board."""

from __future__ import annotations

from typing import Protocol


class PollMetrics(Protocol):
    """Told from the event loop's thread; a call costs next to nothing and never raises."""

    def requested(self, source: str, outcome: str, seconds: float) -> None:
        """One HTTP request came to this outcome (see `core.fetches.OUTCOMES`) after so many seconds."""

    def landed(self, source: str, rows: int) -> None:
        """Rows of the provider are in Kafka."""

    def left_out(self, source: str, rows: int) -> None:
        """Rows came that are about no call."""

    def waited(self, source: str, seconds: float) -> None:
        """A request waited for the budget, or for what the provider's 429 asked."""

    def window(self, source: str, alias: str, read_at_s: float, watermark_s: float) -> None:
        """A window was read to its end: when (Unix time), and up to which event time all is known."""

    def dead_letter(self, source: str, reason: str) -> None:
        """Something went to the dead letters."""

    def pending(self, source: str, change: int) -> None:
        """Fetches that wait or are being done became more or less."""
