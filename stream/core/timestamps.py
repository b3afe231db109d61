"""Parsing of providers' time stamps into whole microseconds since 1970 UTC.

A stamp is read completely and with its offset, or not at all. A truncated or impossible one is None, never a
guess and never an exception: a broken date must not fail a batch.
Python's own parsers are too lenient: `email.utils` completes truncated times, `datetime.fromisoformat`
accepts a date alone.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache

SECOND_US = 1_000_000

LONGEST = 64
"""Characters of the longest stamp (the grammars allow blanks and comments). Longer texts are not cached,
which bounds the memory of the caches.
"""

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_FIRST_US = (date.min.toordinal() - _EPOCH_DAY) * 86_400 * SECOND_US
_END_US = (date.max.toordinal() + 1 - _EPOCH_DAY) * 86_400 * SECOND_US

_RFC2822 = re.compile(
    r"\s*(?:(?:mon|tue|wed|thu|fri|sat|sun)\s*,\s*)?"
    r"([0-9]{1,2})\s+([a-z]{3})\s+([0-9]{4})\s+"
    r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?\s*"
    r"(?:([+-])([0-9]{2})([0-9]{2})|([a-z]{1,3}))"
    r"\s*(?:\([^()]*\)\s*)?",
    re.ASCII | re.IGNORECASE,
)
_ISO8601 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]"
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?\s?"
    r"(?:Z|([+-])([0-9]{2}):?([0-9]{2})?)",
    re.ASCII | re.IGNORECASE,
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_ZONES_S = {
    **dict.fromkeys(("gmt", "ut", "utc", "z"), 0),
    "edt": -14_400,
    "est": -18_000,
    "cdt": -18_000,
    "cst": -21_600,
    "mdt": -21_600,
    "mst": -25_200,
    "pdt": -25_200,
    "pst": -28_800,
}
"""RFC 2822 4.3, and `UTC`. Of the military letters only Z: the RFC calls the others meaningless."""


def rfc2822(text: str) -> int | None:
    """`Mon, 02 Mar 2026 10:00:19 +0000`: weekday and seconds are optional, the zone is not.

    A wrong weekday is ignored. A leap second is clamped to the second before it.
    """
    if len(text) > LONGEST or (match := _RFC2822.fullmatch(text)) is None:
        return None
    day, month, year, hour, minute, second, sign, offset_h, offset_min, zone = match.groups()
    if sign is not None:
        offset_s = _offset_s(sign, offset_h, offset_min)
    else:
        offset_s = _ZONES_S.get(zone.lower())
    return _instant_us((year, _MONTHS.get(month.lower(), 0), day, hour, minute, second or 0), 0, offset_s)


def iso8601(text: str) -> int | None:
    """`2026-03-02T10:00:19.450211Z`: any number of fraction digits (all below microseconds are dropped), `Z`
    or an offset, `T` or a blank.

    Without a zone it is None: truncation removes the zone first.
    A leap second is clamped to the last moment before it in the stamp's precision.
    """
    return _iso8601(text) if len(text) <= LONGEST else None


@lru_cache(maxsize=16_384)
def _iso8601(text: str) -> int | None:
    if (match := _ISO8601.fullmatch(text)) is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, offset_h, offset_min = match.groups()
    fraction_us = int(fraction[:6].ljust(6, "0")) if fraction else 0
    if fraction and second == "60":
        fraction_us = SECOND_US - 1
    offset_s = 0 if sign is None else _offset_s(sign, offset_h, offset_min or "00")
    return _instant_us((year, month, day, hour, minute, second), fraction_us, offset_s)


def instant(text: str) -> int | None:
    """A stamp in either format."""
    return iso8601(text) if text[4:5] == "-" else rfc2822(text)


def utc(us: int) -> str:
    """The canonical text of an instant: UTC, six fraction digits, `Z`, always 27 characters.

    `us` must be in the years 1 to 9999, like everything that this module returns.
    """
    seconds, rest_us = divmod(us, SECOND_US)
    text = _whole_second(seconds)
    return f"{text[:20]}{rest_us:06d}Z" if rest_us else text


@lru_cache(maxsize=16_384)
def _whole_second(seconds: int) -> str:
    days, second_of_day = divmod(seconds, 86_400)
    hour, second_of_hour = divmod(second_of_day, 3600)
    minute, second = divmod(second_of_hour, 60)
    day = date.fromordinal(_EPOCH_DAY + days).isoformat()
    return f"{day}T{hour:02d}:{minute:02d}:{second:02d}.000000Z"


def _offset_s(sign: str, hours: str, minutes: str) -> int | None:
    if int(hours) > 23 or int(minutes) > 59:
        return None
    seconds = int(hours) * 3600 + int(minutes) * 60
    return -seconds if sign == "-" else seconds


def _instant_us(parts: tuple[str | int, ...], fraction_us: int, offset_s: int | None) -> int | None:
    """`parts`: year to second. None if they are not a date and time, or there is no offset."""
    year, month, day, hour, minute, second = map(int, parts)
    if offset_s is None or second > 60:
        return None
    try:
        local = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    day_s = (local.toordinal() - _EPOCH_DAY) * 86_400
    us = (day_s + hour * 3600 + minute * 60 + local.second - offset_s) * SECOND_US + fraction_us
    return us if _FIRST_US <= us < _END_US else None
