"""`callstream up` on a pseudo-terminal, with roles that only wait."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.harness import wait_until
from tests.pseudo_terminal import MODE, PseudoTerminal

PROGRAM = """
import asyncio, signal, sys
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from stream.cli import up
from stream.service.settings import Settings

@asynccontextmanager
async def embedded(chosen, *, say):
    yield SimpleNamespace(bootstrap="127.0.0.1:1", ended=lambda: False)

async def ensured(*_):
    return []

class Waiting(up.LocalStack):
    def _begin(self, name, *_):
        if name == "gateway":
            asyncio.get_running_loop().call_later(1, self._say, "the gateway ended with 1")
        return asyncio.create_task(ROLE)

async def waits():
    await asyncio.Event().wait()

async def ends():
    await asyncio.sleep(3)
    return 1

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it is ignored where the tests run under nohup
up.embedded, up.ensured_topics = embedded, ensured
chosen = Settings(data_dir=Path(sys.argv[1]), kafka="127.0.0.1:1", twilio_auth_token=("t",))
sys.exit(asyncio.run(Waiting(chosen, rate=0, plain=False).run(None)))
"""
VIEW = "p50 –, p99 –"
LAST_WORDS = "Stopping (Ctrl-C again ends it at once) …"


@contextmanager
def local_stack(folder: Path, role: str = "waits()", **environ: str) -> Iterator[PseudoTerminal]:
    terminal = PseudoTerminal("-c", PROGRAM.replace("ROLE", role), str(folder), environ=environ)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.ended()


def after_the_view(terminal: PseudoTerminal) -> list[str]:
    """The lines behind the view: it leaves the other screen by `1049l`."""
    return MODE.sub("", terminal.written().rpartition("\x1b[?1049l")[2]).replace("\r", "").splitlines()


@pytest.mark.parametrize("leave", ["ctrl+c", "q", "SIGINT", "SIGTERM", "SIGHUP"])
def test_the_view_is_shown_until_it_is_left_and_the_terminal_is_as_before(leave: str, tmp_path: Path) -> None:
    with local_stack(tmp_path) as terminal:
        wait_until(lambda: VIEW in terminal.written(), "the view is shown", 40)
        wait_until(lambda: "! the gateway ended with 1" in terminal.written(), "what happens is shown", 20)
        before = terminal.written().partition("\x1b[?1049h")[0]
        assert "page: http://" in before
        assert "/callbacks/twilio" in before
        assert terminal.settings_changed()
        assert terminal.modes_left()
        if leave in ("q", "ctrl+c"):
            terminal.press("q" if leave == "q" else "\x03")
        else:
            terminal.process.send_signal(signal.Signals[leave])
            if leave == "SIGHUP":  # by the shell and by the kernel
                terminal.process.send_signal(signal.SIGHUP)
        terminal.process.wait(20)
        assert not terminal.settings_changed()
        assert terminal.ended() == 0
        assert terminal.modes_left() == {}
        assert after_the_view(terminal)[-3:] == ["the gateway ended with 1", LAST_WORDS, "Stopped."]


def test_a_role_that_ends_closes_the_view_and_is_named_behind_it(tmp_path: Path) -> None:
    with local_stack(tmp_path, role='waits() if name != "archive" else ends()') as terminal:
        wait_until(lambda: VIEW in terminal.written(), "the view is shown", 40)
        assert terminal.ended() == 1
        assert terminal.modes_left() == {}
        assert after_the_view(terminal)[-2:] == ["The archive ended unexpectedly.", "Stopped."]


def test_a_terminal_without_escape_sequences_gets_lines(tmp_path: Path) -> None:
    with local_stack(tmp_path, TERM="dumb") as terminal:
        wait_until(lambda: "worker: not answering yet" in terminal.written(), "a line is written", 40)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ended() == 0
        assert "\x1b" not in terminal.written()
