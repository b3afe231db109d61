"""Times as a person types them. A time without a zone is refused: it would depend on the machine."""

from __future__ import annotations

import re

from stream.core.timestamps import SECOND_US, iso8601

_AGO = re.compile(r"([0-9]{1,6})\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_time(text: str, now_us: int) -> int:
    """ISO 8601 with a zone, `now`, or relative as `2h` or `3d` ago, in microseconds since 1970.

    Raises ValueError, also for a time before 1970.
    """
    us = _moment(text.strip(), now_us)
    if us < 0:
        raise ValueError("a time before 1970 is not a call's")
    return us


def _moment(text: str, now_us: int) -> int:
    if text == "now":
        return now_us
    if ago := _AGO.fullmatch(text):
        return now_us - int(ago[1]) * _SECONDS[ago[2]] * SECOND_US
    us = iso8601(text)
    if us is None:
        raise ValueError("a time is 2026-03-02T10:00:00Z (with its zone), or as long ago as 2h or 3d, or now")
    return us


def second_before(us: int) -> int:
    """The whole second at or before it, which is easier to type again."""
    return us // SECOND_US * SECOND_US


def second_after(us: int) -> int:
    """The whole second at or after it, so that the earliest allowed start stays allowed."""
    return -(-us // SECOND_US) * SECOND_US
