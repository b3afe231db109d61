"""The only place that writes to standard output and standard error.

All text is escaped, whether it is from a setting, a record or a provider. A test ensures that nothing else
writes there.
"""

from __future__ import annotations

import json
import os
import sys
from typing import IO, Any

import click

from stream.cli.support.exit_codes import FAILED
from stream.service.errors import describe
from stream.service.untrusted import escaped, escaped_lines


def say(*cells: str, err: bool = False, colour: str | None = None) -> None:
    """One line: the cells, separated by tabs. On a terminal it has the colour, if any.

    Raises Fault where standard output cannot be written, but BrokenPipeError where nobody reads it.
    """
    try:
        click.echo(_coloured("\t".join(map(escaped, cells)), colour), err=err)
    except OSError as error:
        if err or isinstance(error, BrokenPipeError):
            raise
        raise Fault(f"standard output cannot be written: {describe(error)}") from None


def label(word: str, colour: str, text: str) -> None:
    """One line that begins with a coloured word."""
    click.echo(f"{_coloured(escaped(word), colour)} {escaped(text)}")


def _coloured(text: str, colour: str | None) -> str:
    """The text in a colour, unless NO_COLOR is set (no-color.org). click leaves colours out of a pipe."""
    return text if colour is None or os.environ.get("NO_COLOR") else click.style(text, fg=colour)


def is_interactive() -> bool:
    """Whether a view with keys can be shown: it reads standard input and writes to standard error."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(one.isatty() for one in streams) and os.environ.get("TERM") != "dumb"


class Fault(click.ClickException):
    """An error that ends a command: `Error: …` on standard error, in which line breaks are kept.

    With `as_json` it is one JSON object on standard output: `error`, and the `details`.
    """

    def __init__(self, message: str, code: int = FAILED, *, as_json: bool = False, **details: str) -> None:
        super().__init__(escaped_lines(message))
        self.exit_code = code
        self._json = json.dumps({"error": message, **details}) if as_json else None

    def show(self, file: IO[Any] | None = None) -> None:
        if self._json is None:
            super().show(file)
        else:
            say(self._json)


class Misuse(click.UsageError):
    """A command was called in a wrong way: exit code 2."""

    def __init__(self, message: str) -> None:
        super().__init__(escaped_lines(message))
