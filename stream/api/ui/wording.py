"""Times, durations and states as a person reads them. Pure."""

from __future__ import annotations

UNKNOWN = "unknown"
MINUS = "\N{MINUS SIGN}"

OUTCOMES = ("answered", "busy", "no_answer", "canceled", "rejected", "failed", "unknown")
"""In the order of charts and legends."""

SYMBOLS = {
    "answered": "\N{CHECK MARK}",
    "busy": "\N{BLACK SQUARE}",
    "no_answer": "\N{WHITE CIRCLE}",
    "canceled": "\N{EN DASH}",
    "rejected": "\N{BLACK DIAMOND}",
    "failed": "\N{MULTIPLICATION X}",
    "unknown": "?",
    "critical": "\N{BLACK UP-POINTING TRIANGLE}",
    "warning": "\N{BLACK UP-POINTING TRIANGLE}",
    "info": "\N{WHITE UP-POINTING TRIANGLE}",
    "firing": "\N{BLACK CIRCLE}",
    "resolved": "\N{WHITE CIRCLE}",
}
"""Beside the word and the colour of a state, so that neither is needed to see it."""


def words(name: str | None) -> str:
    """A name of a record as words: `no_answer` is `no answer`."""
    return name.replace("_", " ") if name else UNKNOWN


def duration(seconds: float) -> str:
    """`0.4 s`, `49 s`, `2 min 5 s`, `1 h 3 min`, `2 d 4 h`."""
    if seconds < 0:
        return MINUS + duration(-seconds)
    if seconds < 10 and seconds != round(seconds):
        return f"{seconds:.1f} s" if seconds >= 0.05 else f"{seconds * 1000:.0f} ms"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    if whole < 86_400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86_400, "d", whole % 86_400 // 3600, "h")


def _two(many: int, unit: str, few: int, smaller: str) -> str:
    return f"{many} {unit} {few} {smaller}" if few else f"{many} {unit}"


def offset(seconds: float | None) -> str:
    """Seconds from the start of a call: `+1.4 s`, `+55 s`, `+12:03`, `+1:02:03`; `?` if unknown."""
    if seconds is None:
        return "?"
    sign, size = ("+", seconds) if seconds >= 0 else (MINUS, -seconds)
    if size < 60:
        shown = f"{size:.0f}" if size == round(size) else f"{size:.1f}"
        return f"{sign}{shown} s"
    whole = round(size)
    minutes = f"{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{sign}{whole // 3600}:{minutes}" if whole >= 3600 else sign + minutes.removeprefix("0")


def clock(moment: str | None) -> str:
    """The time of day of a record's time to the millisecond: `10:00:02.5`, without zeros at its end."""
    if not moment or "T" not in moment:
        return UNKNOWN
    day = moment.split("T", 1)[1].rstrip("Z")[:12]
    return day.rstrip("0").rstrip(".") if "." in day else day


def moment(text: str | None) -> str:
    """Day and time, in UTC: `2026-03-02 10:00:02`."""
    return f"{text[:10]} {text[11:19]}" if text and "T" in text else UNKNOWN


def share(part: int, whole: int) -> str:
    """A share in percent; without anything to share it is not known."""
    return f"{100 * part / whole:.1f} %" if whole else UNKNOWN
