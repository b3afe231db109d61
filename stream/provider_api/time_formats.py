"""Times as the providers write them, and read back. All are UTC; numbers are microseconds since 1970
unless a name says seconds.

A row's time that cannot be read is None and matches no filter. A filter's time that cannot be read is the
caller's mistake and raises ValueError.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache

from stream.core import timestamps

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_DAY_S = 86_400


@lru_cache(maxsize=8192)
def _rfc2822(second: int) -> str:
    return format_datetime(_EPOCH + timedelta(seconds=second))


def rfc2822(us: int) -> str:
    """`Mon, 02 Mar 2026 10:00:19 +0000`: Twilio's callbacks and resources, whole seconds."""
    return _rfc2822(us // 1_000_000)


def iso(us: int) -> str:
    """`2026-03-02T10:00:19Z`: Voice Insights' gateway events."""
    return timestamps.utc(us)[:19] + "Z"


def iso_ms(us: int) -> str:
    """`2026-03-02T10:00:19.450Z`: Voice Insights' SDK events."""
    return timestamps.utc(us)[:23] + "Z"


def iso_us(us: int) -> str:
    """`2026-03-02T10:00:19.450211Z`: Telnyx, and the envelope's `received_at`."""
    return timestamps.utc(us)


@lru_cache(maxsize=1 << 16)
def rfc2822_seconds(text: str | None) -> int | None:
    """Seconds since 1970 of a time that `rfc2822` wrote; None if it cannot be read."""
    at_us = timestamps.rfc2822(text or "")
    return None if at_us is None else at_us // timestamps.SECOND_US


def filter_seconds(text: str) -> tuple[int, int]:
    """First and last second (since 1970) of a filter's time: of the day for `2026-03-01`, else the same
    second twice. Without an offset it is UTC. Raises ValueError.
    """
    if len(text) == len("2026-03-01"):
        first = (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * _DAY_S
        return first, first + _DAY_S - 1
    second = microseconds(text) // 1_000_000
    return second, second


def microseconds(text: str) -> int:
    """Microseconds since 1970 of ISO 8601; without an offset it is UTC. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
