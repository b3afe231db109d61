"""The only place that writes to standard output and standard error.

All text is escaped, whether it is from a setting, a record or a provider. A test ensures that nothing else
writes there.
"""

from __future__ import annotations

import json
from typing import IO, Any

import click

from stream.cli.support.exit_codes import FAILED
from stream.service.untrusted import escaped, escaped_lines


def say(*cells: str, err: bool = False) -> None:
    """One line: the cells, separated by tabs."""
    click.echo("\t".join(map(escaped, cells)), err=err)


def label(word: str, colour: str, text: str) -> None:
    """One line that begins with a coloured word."""
    click.echo(f"{click.style(escaped(word), fg=colour)} {escaped(text)}")


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
