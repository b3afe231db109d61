"""What a command draws on a terminal: views and bars, of text that does nothing.

The rule of this file: rich is asked for its layout and its colours, never for its markup. Whoever draws takes
its texts, columns and consoles from here.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import Task, TextColumn
from rich.text import Text

from stream.service.untrusted import escaped


class PlainConsole(Console):
    """A console for which a bare string, wherever it stands, is text and neither markup nor emoji."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"highlight": False, **how, "markup": False, "emoji": False})

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(escaped(text), **how)


class PlainColumn(TextColumn):
    """A column of a bar whose text is a format of the task."""

    def render(self, task: Task) -> Text:
        return Text(escaped(self.text_format.format(task=task)))


def text(words: str = "", style: str = "") -> Text:
    """Words in a style."""
    return Text(escaped(words), style=style)
