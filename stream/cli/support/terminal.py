"""What a command says: the one place that writes to standard output and standard error.

The rule of this file: whatever it is handed is shown as text and does nothing, be it a setting, a record or a
provider's word. A test says that nothing else of the program writes there.
"""

from __future__ import annotations

import click

from stream.service.untrusted import escaped, escaped_lines


def say(*cells: str, err: bool = False) -> None:
    """One line: the cells with a tab between each two."""
    click.echo("\t".join(map(escaped, cells)), err=err)


def label(word: str, colour: str, text: str) -> None:
    """One line that begins with a coloured word."""
    click.echo(f"{click.style(escaped(word), fg=colour)} {escaped(text)}")


class Fault(click.ClickException):
    """What keeps a command from its work: `Error: …`, exit code 1. Its own lines stay lines."""

    def __init__(self, message: str) -> None:
        super().__init__(escaped_lines(message))


class Misuse(click.UsageError):
    """A command that was called in a wrong way: exit code 2."""

    def __init__(self, message: str) -> None:
        super().__init__(escaped_lines(message))
