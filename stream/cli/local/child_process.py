"""The roles, and what observes them, as child processes: started, watched, restarted, stopped.

No child outlives its parent, and every failure is reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stream.service.data_dir import open_owned

STOP_LIMIT_S = 12.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
LASTING_S = 30.0
"""The pause before a restart is reset after a run of at least this long."""

_PR_SET_PDEATHSIG = 1

Say = Callable[[str], None]


def callstream(*arguments: str) -> list[str]:
    """The command of a role."""
    return [sys.executable, "-m", "stream.cli", *arguments]


class ChildProcess:
    """One program, its output in a file. It is restarted when it ends."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path, *, say: Say
    ) -> None:
        self.name = name
        self.log = log
        self.starts = 0
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

    async def run(self) -> int:
        """Run it until it is stopped. Returns the last exit code."""
        pause_s = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            code = await self._once()
            if self._ending:
                return code
            lasted = time.monotonic() - began > LASTING_S
            pause_s = FIRST_PAUSE_S if lasted else min(2 * pause_s, LONGEST_PAUSE_S)
            self._say(f"the {self.name} ended with {code}, see {self.log}; started again in {pause_s:.0f} s")
            await asyncio.sleep(pause_s)

    async def _once(self) -> int:
        self.starts += 1
        with open_owned(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,
            )
        return await self._process.wait()

    async def stop(self) -> None:
        """Terminate it and wait. Kill it if it does not end in time, and report that."""
        self._ending = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_LIMIT_S)
        except TimeoutError:
            self._say(f"the {self.name} did not stop within {STOP_LIMIT_S:.0f} s and was killed")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """Kill it."""
        self._ending = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


def _end_with_parent() -> None:
    """In the child: ignore the terminal's Ctrl-C, which the parent handles, and die with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            os._exit(1)
