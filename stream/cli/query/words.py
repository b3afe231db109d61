"""Times, sources and colours as the commands about calls show them."""

from __future__ import annotations

COLOUR_OF_OUTCOME = {
    "answered": "green",
    "busy": "yellow",
    "no_answer": "yellow",
    "canceled": "yellow",
    "rejected": "red",
    "failed": "red",
}
COLOUR_OF_FAULT = {"callee": "yellow", "caller": "yellow", "unknown": "yellow", "application": "red"}
COLOUR_OF_SEVERITY = {"critical": "red", "warning": "yellow"}


def time_of_day(at: str | None) -> str:
    """The time of day to the millisecond, without a fraction where it is a whole second."""
    if not at:
        return "-"
    whole, thousandths = at[11:19], at[20:23]
    return whole if thousandths in ("", "000") or not thousandths.isdigit() else f"{whole}.{thousandths}"


def short_time(at: str | None) -> str:
    """Date and time to the second."""
    return "-" if not at else f"{at[5:10]} {at[11:19]}"


def short_source(source: str) -> str:
    """Without its provider, which the call's key names."""
    return source.removeprefix("twilio_").removeprefix("telnyx_")


def seconds(value: float | None, *, sign: bool = False) -> str:
    """A duration for a person: `0.4 s`, `49 s`, `12 min 3 s`, `2 h 5 min`."""
    if value is None:
        return "-"
    before = "-" if value < 0 else "+" if sign else ""
    value = abs(value)
    if value < 60:
        return f"{before}{round(value, 1 if value >= 10 else 3):g} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{before}{minutes} min {rest} s" if rest else f"{before}{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{before}{hours} h {minutes} min" if minutes else f"{before}{hours} h"


def short_id(id_: str, kept: int = 8) -> str:
    """A key with the ends of its id only: `twilio:CA868023…bcc6def1`, by which `callstream call` finds it.

    - `kept`: characters at each end.
    """
    before, _, last = id_.rpartition(":")
    if len(last) <= 2 * kept + 4 or not last.replace("-", "").replace("_", "").isalnum():
        return id_
    return f"{before}:{last[:kept]}…{last[-kept:]}" if before else f"{last[:kept]}…{last[-kept:]}"
