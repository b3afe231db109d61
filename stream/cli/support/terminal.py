"""The only place that writes to standard output and standard error.

All text is escaped, whether it is from a setting, a record or a provider. A test ensures that nothing else
writes there.
"""

from __future__ import annotations

import click

from stream.service.untrusted import escaped, escaped_lines


def say(*cells: str, err: bool = False) -> None:
    """One line: the cells, separated by tabs."""
    click.echo("\t".join(map(escaped, cells)), err=err)


def label(word: str, colour: str, text: str) -> None:
    """One line that begins with a coloured word."""
    click.echo(f"{click.style(escaped(word), fg=colour)} {escaped(text)}")


class Fault(click.ClickException):
    """An error that ends a command: `Error: …`, exit code 1. Line breaks are kept."""

    def __init__(self, message: str) -> None:
        super().__init__(escaped_lines(message))


class Misuse(click.UsageError):
    """A command was called in a wrong way: exit code 2."""

    def __init__(self, message: str) -> None:
        super().__init__(escaped_lines(message))
