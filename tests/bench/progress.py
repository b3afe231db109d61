"""How far a bench run is: a bar on a terminal, else one line for each step."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from tests.bench.run import Say


class Shown(Say):
    """Shows the steps on `console`. Drawing takes time from what is measured: twice a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._bar: Progress | None = None
        self._step: TaskID | None = None
        if console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TimeElapsedColumn(),
                console=console,
                refresh_per_second=2,
                transient=True,
            )

    def __enter__(self) -> Shown:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, what: str, total: int | None = None) -> None:
        if self._bar is None:
            self._console.print(f"{time.monotonic() - self._began:5.0f} s  {what}", highlight=False)
            return
        if self._step is not None:
            self._bar.remove_task(self._step)
        self._step = self._bar.add_task(what, total=total)

    def at(self, count: int) -> None:
        if self._bar is not None and self._step is not None:
            self._bar.update(self._step, completed=count)
