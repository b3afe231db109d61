"""Makes every log record safe, whichever logger creates it and whichever handler writes it.

No error reaches a formatter: what may be shown of it (see `errors`) replaces it when the record is created.
So text and JSON, our loggers and those of libraries are alike. What Python itself would print of an error is
printed in the same way.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import re
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from stream.service.errors import describe, safe_traceback
from stream.service.untrusted import LineFormatter, escaped, escaped_lines

_QUOTING = re.compile(r"[<(\n].*", re.DOTALL)
"""Where asyncio begins to quote: a callback's arguments, a task with its error, a protocol."""


class SafeText(str):
    """A description without quotation marks, even where a format asks for them (`%r`)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class SafeRecord(logging.LogRecord):
    """A record that holds no error. `failure` is the type of the error that it was logged with, if any."""

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
            # Formatters take this text as it is, and format an error only where there is none.
            self.exc_text = safe_traceback(error)
        if name == "asyncio":
            self.msg, self.args = _QUOTING.sub("", self._text()).strip() or "asyncio", ()

    def _text(self) -> str:
        try:
            return super().getMessage()
        except Exception:  # noqa: BLE001  logging would print all arguments, which do not fit the message
            return str(self.msg)

    def getMessage(self) -> str:  # noqa: N802  logging's name
        """The message on one line, without characters that a terminal interprets."""
        return escaped(self._text())


def write_error(error: BaseException | None, of: str = "") -> None:
    """Write what may be shown of an error to stderr, where Python itself would write it."""
    if error is not None and sys.stderr is not None:
        sys.stderr.write(f"{escaped_lines(of + safe_traceback(error))}\n")
        sys.stderr.flush()


def install(report: Callable[[BaseException | None, str], None] = write_error) -> None:
    """Apply this in the whole process from now on. Idempotent.

    `report`: what is done with an error that nobody caught. The text says where that was, if not in the main
    thread.
    """
    logging.setLogRecordFactory(SafeRecord)
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LineFormatter())
    sys.excepthook = lambda _, error, __: report(error, "")
    sys.unraisablehook = lambda what: report(what.exc_value, "not raised: ")
    threading.excepthook = partial(_of_a_thread, report)


def _safe(value: Any, *, within: bool = False) -> Any:
    """A value as it may be logged. Errors and tasks are replaced, also within a collection."""
    if isinstance(value, BaseException):
        return SafeText(describe(value))
    if isinstance(value, asyncio.Future):
        return SafeText(type(value).__name__)
    if within or not isinstance(value, list | tuple | set | frozenset | Mapping):
        return value
    inner = [*value.values()] if isinstance(value, Mapping) else [*value]
    found = [_safe(one, within=True) for one in inner]
    if all(map(operator.is_, found, inner)):
        return value
    return dict(zip(value, found, strict=True)) if isinstance(value, Mapping) else found


def _safe_arguments(arguments: Any) -> Any:
    if isinstance(arguments, Mapping):
        return {name: _safe(value) for name, value in arguments.items()}
    return tuple(map(_safe, arguments)) if isinstance(arguments, tuple) else arguments


def _of_a_thread(report: Callable[[BaseException | None, str], None], what: Any) -> None:
    if what.exc_type is not SystemExit:
        report(what.exc_value, "in a thread: ")
