"""A real PostgreSQL for the tests: Debian's binaries, data in a temporary folder, a socket in it."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

FOLDER = Path("/usr/lib/postgresql")
START_S = 60.0
PR_SET_PDEATHSIG = 1


def binaries() -> Path | None:
    """The folder of the newest installed server, None if there is none."""
    found = [one for one in FOLDER.glob("*/bin") if (one / "initdb").exists()]
    return max(found, key=lambda one: int(one.parent.name), default=None)


def _end_with_the_tests() -> None:
    """Linux: the server does not outlive a run that was killed. After the change of user, which undoes it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


class RealPostgresql:
    """A server that is started when it is made. It refuses to run as root, so it gets a user of its own."""

    def __init__(self, programs: Path, *, is_safe: bool = False, settings: Sequence[str] = ()) -> None:
        """`is_safe`: it waits for its disk, as in production. `settings`: as `name=value`."""
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._as_user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if self._as_user:
            shutil.chown(self.folder, **self._as_user)
        self._made = 0
        settings = [*settings] if is_safe else [*settings, "fsync=off"]
        self._options = [option for one in settings for option in ("-c", one)]
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", "callstream", "-A", "trust", "-N", "-E", "UTF8"
        )
        self.start()

    def start(self) -> None:
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._log = (self.folder / "log").open("ab")
        command = [self._programs / "postgres", "-D", self.folder / "data", "-k", self.folder, "-h", ""]
        self._server = subprocess.Popen(
            [*command, "-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB", *self._options],
            cwd=self.folder,
            stdout=self._log,
            stderr=self._log,
            # The signal is sent when the starting thread ends, which may be before the test does.
            preexec_fn=_end_with_the_tests if in_main_thread else None,
            **self._as_user,
        )
        deadline = time.monotonic() + START_S
        while True:
            try:
                self._sql("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def crash(self) -> None:
        """End it at once; `start` recovers it."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(START_S)
        self._log.close()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While the block runs, it answers nothing, and no connection to it breaks off."""
        self._send_to_all(signal.SIGSTOP)
        try:
            yield
        finally:
            self._send_to_all(signal.SIGCONT)

    def _send_to_all(self, number: signal.Signals) -> None:
        leader = self._server.pid
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text()
        for process in (leader, *map(int, children.split())):
            os.kill(process, number)

    def stop(self) -> None:
        if self._server.poll() is None:
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self) -> str:
        """The URL of a new, empty database."""
        self._made += 1
        name = f"archive_{os.getpid()}_{self._made}"
        self._sql(f"CREATE DATABASE {name}")
        return f"postgresql://callstream@/{name}?host={self.folder}"

    def _sql(self, statement: str) -> None:
        with psycopg.connect(
            f"postgresql://callstream@/postgres?host={self.folder}", autocommit=True
        ) as session:
            session.execute(statement)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            **self._as_user,
        )
        assert done.returncode == 0, re.sub(r"\s+", " ", done.stderr)
