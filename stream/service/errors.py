"""What of an error may be said: its kind and where it came from, and its text only where the text is ours.

The rule of this file: a text that somebody else wrote may hold what a provider said (`KeyError: '+1…'` quotes
the key), so it is never repeated, whichever way the error hangs on another one. What a system call or a
broker answers has a number, and the number's own words are said.
"""

from __future__ import annotations

import os
import ssl
import traceback
from collections.abc import Iterator
from pathlib import Path

OURS = frozenset({"stream", "agents"})
"""Packages whose errors say nothing of a delivery's content."""

LONGEST_TEXT = 500
LONGEST_CHAIN = 12
"""Errors of one chain or group that are told; there may be thousands in a group."""

MOST_FRAMES = 20


def said(error: BaseException) -> str:
    """An error in one line: its kind, and what may be said of its text."""
    kind, text = type(error).__name__, _text(error)
    return f"{kind}: {text}" if text else kind


def in_words(error: BaseException) -> str:
    """An error as an operator is told of it: our own text alone, else as `said`."""
    return (_text(error) if _is_ours(error) else "") or said(error)


def trace(error: BaseException) -> str:
    """An error with its causes and its group's members: a line each, and the places in our code below it."""
    told: list[str] = []
    for how, depth, one in _chain(error):
        if len(told) == LONGEST_CHAIN:
            told.append("and more")
            break
        indent = "  " * depth
        places = "".join(f"\n{indent}  at {place}" for place in _places(one))
        told.append(f"{indent}{how}{said(one)}{places}")
    return "\n".join(told)


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in OURS


def _text(error: BaseException) -> str:
    if _is_ours(error):
        return " ".join(str(error).split())[:LONGEST_TEXT]
    if isinstance(error, ssl.SSLError):
        reason = str(getattr(error, "reason", ""))
        return reason if reason.replace("_", "").isalnum() else ""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return f"{os.strerror(error.errno)} (errno {error.errno})"
    return ""


def _chain(error: BaseException) -> Iterator[tuple[str, int, BaseException]]:
    """(how it hangs on the one before, depth, error), the outermost first, each once."""
    seen: set[int] = set()
    waiting: list[tuple[str, int, BaseException]] = [("", 0, error)]
    while waiting:
        how, depth, one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield how, depth, one
        if one.__cause__ is not None:
            waiting.append(("caused by ", depth, one.__cause__))
        elif one.__context__ is not None and not one.__suppress_context__:
            waiting.append(("while handling ", depth, one.__context__))
        if isinstance(one, BaseExceptionGroup):
            waiting += [("of them ", depth + 1, member) for member in reversed(one.exceptions)]


def _places(error: BaseException) -> list[str]:
    """Where it came through our code, and where it was raised. Without the lines' text and their values."""
    frames = traceback.StackSummary.extract(
        traceback.walk_tb(error.__traceback__), lookup_lines=False, capture_locals=False
    )
    last = len(frames) - 1
    told = [
        f"{place}:{frame.lineno} {frame.name}"
        for at, frame in enumerate(frames)
        if (place := _place(frame.filename, raised=at == last)) is not None
    ]
    return told[-MOST_FRAMES:]


def _place(filename: str, *, raised: bool) -> str | None:
    """A file's path within its package; None for one that is not ours and where nothing was raised."""
    parts = Path(filename).parts
    for at in range(len(parts) - 1, -1, -1):
        if parts[at] in OURS:
            return "/".join(parts[at:])
    return "/".join(parts[-2:]) if raised else None
