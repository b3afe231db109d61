"""Roles, and what observes them, as child processes: started, watched, restarted, stopped.

No child outlives its parent, and every failure is reported. The terminal's Ctrl-C reaches the parent only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from stream.service.data_dir import open_owned
from stream.service.errors import for_operator

STOP_LIMIT_S = 20.0
"""Longer than a gateway may take: its last answers, Kafka's time for them, and the flush."""
START_LIMIT_S = 60.0
"""A role that was started less than this ago may still load its modules, on a busy machine for long: it looks
at signals when it has.
"""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
LASTING_S = 30.0
"""The pause before a restart is reset after a run of at least this long."""

_PR_SET_PDEATHSIG = 1

Say = Callable[[str], None]


def callstream(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stream.cli", *arguments]


class ChildProcess:
    """One program, its output in a file. It is restarted when it ends."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        log: Path | None,
        *,
        say: Say,
        final: Collection[int] = (),
        pass_fds: Sequence[int] = (),
        stop_limit_s: float = STOP_LIMIT_S,
        start_limit_s: float = 0.0,
    ) -> None:
        """`log`: None for the parent's own output. `final`: exit codes after which it is not restarted.

        It has `stop_limit_s` to stop, and at least until it has run for `start_limit_s`.
        """
        self.name = name
        self.log = log
        self.starts = 0
        self._final = final
        self._pass_fds = pass_fds
        self._stop_limit_s = stop_limit_s
        self._start_limit_s = start_limit_s
        self._began_s = 0.0
        self._command = list(command)
        self._environ = dict(environ)
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._ending = False

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def exit_code(self) -> int | None:
        """That of its last run; a signal's number is negative."""
        return self._process.returncode if self._process is not None else None

    async def run(self) -> int:
        """Run it until it is stopped or ends with a final exit code. Returns the last exit code."""
        pause_s = FIRST_PAUSE_S
        while True:
            began = self._began_s = time.monotonic()
            code = await self._once()
            if self._ending or code in self._final:
                return code
            lasted = time.monotonic() - began > LASTING_S
            pause_s = FIRST_PAUSE_S if lasted else min(2 * pause_s, LONGEST_PAUSE_S)
            see = f", see {self.log}" if self.log is not None else ""
            self._say(f"the {self.name} ended with {code}{see}; started again in {pause_s:.0f} s")
            await asyncio.sleep(pause_s)

    async def _once(self) -> int:
        self.starts += 1
        with self._output() as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self._pass_fds,
                process_group=0,
                preexec_fn=partial(_end_with_parent, os.getpid()),
            )
        return await self._process.wait()

    def _output(self) -> contextlib.AbstractContextManager[int | None]:
        if self.log is None:
            return contextlib.nullcontext()
        return open_owned(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def stop(self) -> None:
        """Terminate it and wait. Kill it if it does not end in time, and report that."""
        self._ending = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        limit_s = max(self._stop_limit_s, self._began_s + self._start_limit_s - time.monotonic())
        try:
            await asyncio.wait_for(process.wait(), limit_s)
        except TimeoutError:
            self._say(f"the {self.name} did not stop within {limit_s:.0f} s and was killed")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        self._ending = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


async def first_to_end(stop: asyncio.Task[Any], running: Mapping[str, asyncio.Task[Any]]) -> str | None:
    """Waits until one of them ends. Returns which of `running` ended, as a sentence; None for `stop`."""
    await asyncio.wait([stop, *running.values()], return_when=asyncio.FIRST_COMPLETED)
    if stop.done():
        return None
    for name, task in running.items():
        if task.done():
            error = None if task.cancelled() else task.exception()
            why = f": {for_operator(error)}" if error is not None else ""
            return f"The {name} ended unexpectedly{why}."
    return None


def _end_with_parent(parent: int) -> None:
    """In the child: die with the parent, which may be process 1 of a container."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
