"""How far a backfill is: a bar on a terminal, a plain line every few seconds elsewhere. Both on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.progress import BarColumn, Progress, SpinnerColumn, TimeElapsedColumn

from stream.cli.support.drawing import PlainColumn, PlainConsole
from stream.cli.support.terminal import say
from stream.poller.schedule.progress import BackfillJob

PLAIN_EVERY_S = 5.0


class JobProgress:
    """Shows a job as it comes along. `quiet` shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._next_s = 0.0
        self._shown: str | None = None
        self._bars: Progress | None = None
        if sys.stderr.isatty() and not quiet:
            self._bars = Progress(
                SpinnerColumn(),
                PlainColumn("{task.description:<9}"),
                BarColumn(),
                PlainColumn("{task.percentage:>3.0f} %"),
                PlainColumn("{task.fields[said]}"),
                TimeElapsedColumn(),
                console=PlainConsole(stderr=True),
            )
            self._task = self._bars.add_task("waiting", total=1.0, said="")

    def __enter__(self) -> JobProgress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self, job: BackfillJob) -> None:
        """The job as it is now."""
        if self._bars is not None:
            self._bars.update(self._task, description=job.state, completed=share(job), said=said(job))
        elif not self._quiet:
            self._print(f"{job.state}: {100 * share(job):.0f} %, {said(job)}", job.finished)

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


def share(job: BackfillJob) -> float:
    """How much of the time is read, 0 to 1."""
    return (job.done_until_us - job.since_us) / (job.until_us - job.since_us)


def said(job: BackfillJob) -> str:
    return f"{job.rows:,} rows, up to {job.done_until}"
