"""What the poller's parts report for metrics. They know this protocol, and no metric library."""

from __future__ import annotations

from typing import Protocol


class PollMetrics(Protocol):
    """All calls from the event loop's thread. A call is cheap and never raises."""

    def requested(self, source: str, outcome: str, seconds: float) -> None:
        """One HTTP request came to an outcome (see `core.fetches.OUTCOMES`) after so many seconds."""

    def landed(self, source: str, rows: int) -> None:
        """Rows of the provider are in Kafka."""

    def left_out(self, source: str, rows: int) -> None:
        """Rows that are about no call were left out."""

    def waited(self, source: str, seconds: float) -> None:
        """A request waited for its permit, or for the time that a 429 named."""

    def window(self, source: str, alias: str, read_at_s: float, watermark_s: float) -> None:
        """A window was read to its end: at this Unix time, up to this event time."""

    def dead_letter(self, source: str, reason: str) -> None:
        """A record went to the dead letters."""

    def pending(self, source: str, change: int) -> None:
        """The number of fetch requests that wait or are being read changed."""
