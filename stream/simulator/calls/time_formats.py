"""Times as the providers write them. All take microseconds since 1970 and know UTC only."""

from __future__ import annotations

import time
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=8192)
def _rfc2822(second: int) -> str:
    t = time.gmtime(second)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02d} {_MONTHS[t.tm_mon - 1]} {t.tm_year} "
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
