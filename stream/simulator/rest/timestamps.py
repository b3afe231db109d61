"""Times in rows and in filters, made comparable.

The rule of this file: a row's time that cannot be read is None and matches no filter; a filter's is the
caller's mistake and raises ValueError.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from stream.simulator.calls.time_formats import iso_us

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_DAY_S = 86_400
_SORTABLE = len("2026-03-02T10:00:19.450211Z")


@lru_cache(maxsize=1 << 16)
def seconds(text: str | None) -> int | None:
    """Seconds since 1970 of `Mon, 02 Mar 2026 10:00:19 +0000`, as `stamps.rfc2822` writes it."""
    if text is None:
        return None
    try:
        return _day(text[5:16]) + int(text[17:19]) * 3600 + int(text[20:22]) * 60 + int(text[23:25])
    except (ValueError, KeyError):
        return None


@lru_cache(maxsize=1024)
def _day(text: str) -> int:
    day = date(int(text[7:11]), _MONTHS[text[3:6]], int(text[:2]))
    return (day.toordinal() - _EPOCH_DAY) * _DAY_S


def span(text: str) -> tuple[int, int]:
    """First and last second (since 1970) of `2026-03-01`, or of a date-time, where both are the same.

    Without an offset it is UTC. Raises ValueError.
    """
    if len(text) == len("2026-03-01"):
        first = (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * _DAY_S
        return first, first + _DAY_S - 1
    second = microseconds(text) // 1_000_000
    return second, second


def microseconds(text: str) -> int:
    """Since 1970, of ISO 8601; without an offset it is UTC. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)


def sortable(text: str) -> str:
    """An ISO 8601 time so that the order of texts is that of times: six digits and `Z`. Raises ValueError."""
    if len(text) == _SORTABLE and text.endswith("Z"):
        return text
    return iso_us(microseconds(text))


def row_time(text: str | None) -> str:
    """A row's ISO 8601 time as `sortable` has it; what cannot be read is before all others."""
    try:
        return sortable(text) if text else ""
    except ValueError:
        return ""
