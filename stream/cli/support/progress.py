"""Progress of a backfill and of a simulated run, on stderr: a bar on a terminal, elsewhere a plain line every
few seconds.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TaskID, TimeElapsedColumn

from stream.cli.support.drawing import PlainColumn, PlainConsole
from stream.cli.support.terminal import say
from stream.poller.schedule.progress import BackfillJob

PLAIN_EVERY_S = 5.0
BAR_EVERY_S = 0.1


class _Bars:
    """Shows bars while the block runs. `quiet` shows nothing."""

    def __init__(self, *columns: ProgressColumn, quiet: bool) -> None:
        self._quiet = quiet
        self._bars: Progress | None = None
        if sys.stderr.isatty() and not quiet:
            self._bars = Progress(
                SpinnerColumn(),
                *columns,
                PlainColumn("{task.fields[said]}"),
                TimeElapsedColumn(),
                console=PlainConsole(stderr=True),
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()


class JobProgress(_Bars):
    """Shows how far a backfill is."""

    def __init__(self, *, quiet: bool = False) -> None:
        percentage = PlainColumn("{task.percentage:>3.0f} %")
        super().__init__(PlainColumn("{task.description:<9}"), BarColumn(), percentage, quiet=quiet)
        self._next_s = 0.0
        self._shown: str | None = None
        if self._bars is not None:
            self._task = self._bars.add_task("waiting", total=1.0, said="")

    def show(self, job: BackfillJob) -> None:
        """The job's state now."""
        share = read_share(job)
        said = f"{job.rows:,} rows, up to {job.done_until}"
        if self._bars is not None:
            self._bars.update(self._task, description=job.state, completed=share, said=said)
        elif not self._quiet:
            self._print(f"{job.state}: {100 * share:.0f} %, {said}", job.finished)

    def warn(self, text: str) -> None:
        if self._bars is not None:
            self._bars.console.print(text)
        elif not self._quiet:
            say(text, err=True)

    def _print(self, line: str, at_once: bool) -> None:
        now_s = time.monotonic()
        if line != self._shown and (at_once or now_s >= self._next_s):
            self._next_s, self._shown = now_s + PLAIN_EVERY_S, line
            say(line, err=True)


def read_share(job: BackfillJob) -> float:
    """How much of the job's time is read, 0 to 1."""
    return (job.done_until_us - job.since_us) / (job.until_us - job.since_us)


class RunProgress(_Bars):
    """Shows the writing of simulated traffic, then the check of its outputs. `calls`: None for endless."""

    def __init__(self, calls: int | None, *, quiet: bool = False) -> None:
        super().__init__(PlainColumn("{task.description:<10}"), BarColumn(), quiet=quiet)
        self._calls = calls
        self._every_s = BAR_EVERY_S if sys.stderr.isatty() else PLAIN_EVERY_S
        self._next_s = time.monotonic() + self._every_s
        self._task: TaskID | None = None
        self._checking = False

    def written(self, deliveries: int, calls: int) -> None:
        """Deliveries written so far, and the calls that they are of."""
        self._show("writing", self._calls, calls, f"{deliveries:,} deliveries of {calls:,} calls")

    def found(self, found: int, expected: int) -> None:
        """Events found so far, of those that are expected."""
        if not self._checking:
            if self._bars is not None and self._task is not None:
                self._bars.update(self._task, total=1, completed=1)
            self._checking, self._task = True, None
        self._show("checking", expected, found, f"{found:,} of {expected:,} events")

    def _show(self, what: str, total: int | None, completed: int, said: str) -> None:
        if self._bars is not None and self._task is None:
            self._task = self._bars.add_task(what, total=total, said="")
        now_s = time.monotonic()
        if now_s < self._next_s or self._quiet:
            return
        self._next_s = now_s + self._every_s
        if self._bars is None:
            say(f"{what}: {said}", err=True)
        elif self._task is not None:
            update: dict[str, Any] = {"completed": completed, "said": said}
            self._bars.update(self._task, **update)
