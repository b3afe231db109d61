"""How far a command is, on stderr: a bar on a terminal, elsewhere a plain line every few seconds."""

from __future__ import annotations

import sys
import time
from typing import Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TimeElapsedColumn

from stream.cli.support.drawing import PlainColumn, PlainConsole
from stream.cli.support.terminal import say

PLAIN_EVERY_S = 5.0
BAR_EVERY_S = 0.1


class ProgressLine:
    """Shows the progress while the block runs. `quiet` shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._next_s = 0.0
        self._shown = ""
        self._bar: Progress | None = None
        if sys.stderr.isatty() and not quiet:
            self._bar = Progress(
                SpinnerColumn(),
                PlainColumn("{task.description:<9}"),
                BarColumn(),
                PlainColumn("{task.fields[said]}"),
                TimeElapsedColumn(),
                console=PlainConsole(stderr=True),
            )
            self._task = self._bar.add_task("", said="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, what: str, said: str, share: float | None, *, last: bool = False) -> None:
        """What is done now and how far it is.

        `share`: 0 to 1, None if it has no end. `last`: it is shown at once.
        """
        now_s = time.monotonic()
        if self._quiet or (now_s < self._next_s and not last):
            return
        self._next_s = now_s + (PLAIN_EVERY_S if self._bar is None else BAR_EVERY_S)
        if share is not None:
            said = f"{100 * share:.0f} %, {said}"
        if self._bar is not None:
            total = None if share is None else 1.0
            self._bar.update(self._task, description=what, total=total, completed=share or 0.0, said=said)
        elif (line := f"{what}: {said}") != self._shown:
            self._shown = line
            say(line, err=True)

    def warn(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text)
        elif not self._quiet:
            say(text, err=True)
