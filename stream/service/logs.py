"""How a record of the log is made, whoever logs it and whichever handler writes it.

The rule of this file: an error reaches no formatter. What of it may be said (see `errors`) is put in its
place when the record is made, so that text and JSON, our loggers and those of libraries are alike; and what
Python itself would print of an error is printed the same way.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import re
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from stream.service.errors import said, trace
from stream.service.untrusted import LineFormatter, escaped, escaped_lines

_QUOTING = re.compile(r"[<(\n].*", re.DOTALL)
"""Where asyncio begins to quote: a callback's arguments, a task with its error, a protocol."""


class Said(str):
    """What is said of an error, without quotation marks also where a format asks for them (`%r`)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class SafeRecord(logging.LogRecord):
    """A record without errors in it. `failure` is the type of the one that it was logged with, if any."""

    failure: type[BaseException] | None

    def __init__(
        self,
        name: str,
        level: int,
        pathname: str,
        lineno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        sinfo: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, level, pathname, lineno, _safe(msg), args, None, func, sinfo, **kwargs)
        self.args = _safe_arguments(self.args)
        self.failure = None
        error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
        if isinstance(error, BaseException):
            self.failure = type(error)
            # Formatters take this text as it is; they make their own only of an error.
            self.exc_text = trace(error)
        if name == "asyncio":
            self.msg, self.args = _QUOTING.sub("", super().getMessage()).strip() or "asyncio", ()

    def getMessage(self) -> str:  # noqa: N802  logging's name
        """On one line and without anything that a terminal obeys, whichever formatter asks for it."""
        return escaped(super().getMessage())


def install() -> None:
    """From now on, in the whole process. Doing so twice is doing it once."""
    logging.setLogRecordFactory(SafeRecord)
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LineFormatter())
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _of_a_thread


def _safe(value: Any, *, within: bool = False) -> Any:
    """A value as it may be logged: errors, tasks with errors in them, and several of either."""
    if isinstance(value, BaseException):
        return Said(said(value))
    if isinstance(value, asyncio.Future):
        return Said(type(value).__name__)
    if not within and isinstance(value, list | tuple | set | frozenset):
        found = [_safe(one, within=True) for one in value]
        return value if all(map(operator.is_, found, value)) else found
    if not within and isinstance(value, Mapping):
        found = [_safe(one, within=True) for one in value.values()]
        return (
            value if all(map(operator.is_, found, value.values())) else dict(zip(value, found, strict=True))
        )
    return value


def _safe_arguments(arguments: Any) -> Any:
    if isinstance(arguments, Mapping):
        return {name: _safe(value) for name, value in arguments.items()}
    return tuple(map(_safe, arguments)) if isinstance(arguments, tuple) else arguments


def tell(error: BaseException | None, of: str = "") -> None:
    """Write what may be said of an error where Python itself would write it."""
    if error is not None and sys.stderr is not None:
        sys.stderr.write(f"{escaped_lines(of + trace(error))}\n")
        sys.stderr.flush()


def _uncaught(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    tell(error)


def _unraisable(what: Any) -> None:
    tell(what.exc_value, "not raised: ")


def _of_a_thread(what: Any) -> None:
    if what.exc_type is not SystemExit:
        tell(what.exc_value, "in a thread: ")
