"""Times as the providers write them, and read back. All are UTC; numbers are microseconds since 1970
unless a name says seconds.

A row's time that cannot be read is None and matches no filter. A filter's time that cannot be read is the
caller's mistake and raises ValueError.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBER = {name: number for number, name in enumerate(_MONTHS, start=1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_DAY_S = 86_400
_SORTABLE = len("2026-03-02T10:00:19.450211Z")


def wall_us() -> int:
    """Now."""
    return time.time_ns() // 1000


@lru_cache(maxsize=8192)
def _rfc2822(second: int) -> str:
    t = time.gmtime(second)
    return (
        f"{_WEEKDAYS[t.tm_wday]}, {t.tm_mday:02d} {_MONTHS[t.tm_mon - 1]} {t.tm_year} "
        f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} +0000"
    )


@lru_cache(maxsize=8192)
def _iso(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def rfc2822(us: int) -> str:
    """`Mon, 02 Mar 2026 10:00:19 +0000`: Twilio's callbacks and resources, whole seconds."""
    return _rfc2822(us // 1_000_000)


def iso(us: int) -> str:
    """`2026-03-02T10:00:19Z`: Voice Insights' gateway events."""
    return _iso(us // 1_000_000) + "Z"


def iso_ms(us: int) -> str:
    """`2026-03-02T10:00:19.450Z`: Voice Insights' SDK events."""
    return f"{_iso(us // 1_000_000)}.{us // 1000 % 1000:03d}Z"


def iso_us(us: int) -> str:
    """`2026-03-02T10:00:19.450211Z`: Telnyx, and the envelope's `received_at`."""
    return f"{_iso(us // 1_000_000)}.{us % 1_000_000:06d}Z"


@lru_cache(maxsize=1 << 16)
def rfc2822_seconds(text: str | None) -> int | None:
    """Seconds since 1970 of a time that `rfc2822` wrote; None if it cannot be read."""
    if text is None:
        return None
    try:
        return _day(text[5:16]) + int(text[17:19]) * 3600 + int(text[20:22]) * 60 + int(text[23:25])
    except (ValueError, KeyError):
        return None


@lru_cache(maxsize=1024)
def _day(text: str) -> int:
    day = date(int(text[7:11]), _MONTH_NUMBER[text[3:6]], int(text[:2]))
    return (day.toordinal() - _EPOCH_DAY) * _DAY_S


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


def sortable(text: str) -> str:
    """ISO 8601 with six digits and `Z`: texts sort as their times do. Raises ValueError."""
    if len(text) == _SORTABLE and text.endswith("Z"):
        return text
    return iso_us(microseconds(text))


def row_time(text: str | None) -> str:
    """A row's ISO 8601 time in the form of `sortable`; one that cannot be read sorts before all others."""
    try:
        return sortable(text) if text else ""
    except ValueError:
        return ""
