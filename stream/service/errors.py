"""What may be shown of an error: its kind, where it was raised, and its text only if the text is ours.

A library's error text may quote a provider's data (`KeyError: '+1…'` quotes the key), so it is never
repeated, not even of an error's cause or context. For a system call's error the errno's own text is shown.
"""

from __future__ import annotations

import os
import ssl
import traceback
from collections.abc import Iterator
from pathlib import Path

OURS = frozenset({"stream", "agents"})
"""Packages whose error texts never contain a delivery's content."""

LONGEST_TEXT = 500
LONGEST_CHAIN = 12
"""How many errors of a chain or group are shown; a group may have thousands."""

MOST_FRAMES = 20


def describe(error: BaseException) -> str:
    """An error in one line: its kind, and what may be shown of its text."""
    kind, text = type(error).__name__, _text(error)
    return f"{kind}: {text}" if text else kind


def for_operator(error: BaseException) -> str:
    """An error as an operator reads it: our own text alone, or as `describe` has it."""
    return (_text(error) if _is_ours(error) else "") or describe(error)


def safe_traceback(error: BaseException) -> str:
    """An error with its causes and its group's members: one line each, then the places in our code."""
    lines: list[str] = []
    for how, depth, one in _chain(error):
        if len(lines) == LONGEST_CHAIN:
            lines.append("and more")
            break
        indent = "  " * depth
        places = "".join(f"\n{indent}  at {place}" for place in _places(one))
        lines.append(f"{indent}{how}{describe(one)}{places}")
    return "\n".join(lines)


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
    """(its relation to the one before, depth, error), the outermost first, each once."""
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
    """Where it passed our code, and where it was raised, without source lines and values."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    last = len(frames) - 1
    places = [
        f"{place}:{frame.lineno} {frame.name}"
        for at, frame in enumerate(frames)
        if (place := _place(frame.filename, raised=at == last)) is not None
    ]
    return places[-MOST_FRAMES:]


def _place(filename: str, *, raised: bool) -> str | None:
    """A file's path within its package; None for another's file, unless the error was raised there."""
    parts = Path(filename).parts
    for at in range(len(parts) - 1, -1, -1):
        if parts[at] in OURS:
            return "/".join(parts[at:])
    return "/".join(parts[-2:]) if raised else None
