"""How far a run is: a bar on a terminal, a plain line every few seconds elsewhere. Both on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TimeElapsedColumn

from stream.cli.support.drawing import PlainColumn, PlainConsole
from stream.cli.support.terminal import say
from stream.simulator.traffic import Traffic

PLAIN_EVERY_S = 5.0
LOOK_EVERY_S = 0.1


class RunProgress:
    """Shows the writing of a traffic, then the waiting for its outputs. `quiet` shows nothing."""

    def __init__(self, traffic: Traffic, *, quiet: bool = False) -> None:
        self._traffic = traffic
        self._total = traffic.options.calls
        self._every_s = LOOK_EVERY_S if sys.stderr.isatty() else PLAIN_EVERY_S
        self._next = time.monotonic() + self._every_s
        self._bars: Progress | None = None
        self._write: TaskID | None = None
        self._check: TaskID | None = None
        if sys.stderr.isatty() and not quiet:
            self._bars = Progress(
                SpinnerColumn(),
                PlainColumn("{task.description:<10}"),
                BarColumn(),
                PlainColumn("{task.fields[said]}"),
                TimeElapsedColumn(),
                console=PlainConsole(stderr=True),
            )
        self._quiet = quiet

    def __enter__(self) -> RunProgress:
        if self._bars is not None:
            self._bars.start()
            self._write = self._bars.add_task("writing", total=self._total, said="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def written(self, deliveries: int) -> None:
        """So many deliveries are written."""
        if self._due():
            calls = self._traffic.calls
            self._say("writing", f"{deliveries:,} deliveries of {calls:,} calls", calls)

    def found(self, found: int, expected: int) -> None:
        """So many of the expected events have come out."""
        if self._bars is not None and self._check is None:
            self._bars.update(self._write, total=1, completed=1)  # type: ignore[arg-type]
            self._check = self._bars.add_task("checking", total=expected, said="")
        if self._due():
            self._say("checking", f"{found:,} of {expected:,} events", found)

    def _due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._every_s
        return True

    def _say(self, what: str, said: str, completed: int) -> None:
        if self._quiet:
            return
        if self._bars is None:
            say(f"{what}: {said}", err=True)
            return
        task = self._write if what == "writing" else self._check
        if task is not None:
            self._bars.update(task, completed=completed, said=said)
