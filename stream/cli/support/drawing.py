"""Views and progress bars on a terminal, in which text is only text.

rich is used for layout and colours, never for its markup. All texts, columns and consoles are from here.
"""

from __future__ import annotations

import os
import re
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import Task, TextColumn
from rich.style import Style
from rich.text import Text

from stream.service.untrusted import escaped

_ADDRESS = re.compile(r"https?://[!-~]{1,2000}")
"""Printable ASCII, so that it cannot end the terminal's sequence that it is written in."""


class PlainConsole(Console):
    """A console that takes a bare string as text, never as markup or emoji."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"highlight": False, **how, "markup": False, "emoji": False})

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(escaped(text), **how)


class PlainColumn(TextColumn):
    """A column of a bar. Its text is a format of the task."""

    def render(self, task: Task) -> Text:
        return Text(escaped(self.text_format.format(task=task)))


def text(words: str = "", style: str = "") -> Text:
    """Escaped text in a style."""
    return Text(escaped(words), style=style)


def safe_address(address: str | None) -> str | None:
    """The address, if a terminal can be given it as a link."""
    return address if address is not None and _ADDRESS.fullmatch(address) else None


def linked(words: Text, address: str | None) -> Text:
    """The words as a link (OSC 8), on a terminal that has links."""
    if safe_address(address) is not None:
        words.stylize(Style(link=address))
    return words


def paged(console: Console, shown: RenderableType) -> None:
    """Show it in the pager of the environment (PAGER, else less), with its colours."""
    # As git does: colours are kept, and what fits the screen stays there.
    os.environ.setdefault("LESS", "FRX")
    with console.pager(styles=not console.no_color):
        console.print(shown)
