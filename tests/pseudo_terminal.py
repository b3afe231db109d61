"""A program on a pseudo-terminal: what it writes, which keys it gets, and how it leaves the terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from typing import Any

from tests.tree import ROOT

MODE = re.compile(r"\x1b\[\?([\d;]+)([hl])")
USUALMODES = {"7": True, "25": True}
"""Line wrap and cursor are on in a terminal that nothing has changed; all other private modes are off."""


class PseudoTerminal:
    """Python with these arguments, with standard input, output and error on one terminal."""

    def __init__(
        self, *arguments: str, environ: Mapping[str, str], columns: int = 80, lines: int = 24
    ) -> None:
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._before = termios.tcgetattr(self._theirs)
        self._written = bytearray()
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environ},
            cwd=ROOT,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        while some := self._some():
            self._written += some

    def _some(self) -> bytes:
        try:
            return os.read(self._ours, 65_536)
        except OSError:  # the other end is closed
            return b""

    def written(self) -> str:
        return bytes(self._written).decode(errors="replace")

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def ended(self, limit_s: float = 40.0) -> int:
        """Waits for its end. Returns the exit code."""
        code = self.process.wait(limit_s)
        os.close(self._theirs)  # a terminal that nothing has open ends
        self._reading.join(5)
        os.close(self._ours)
        return code

    def settings_changed(self) -> bool:
        """Whether the terminal has other settings (echo, raw input, …) than at the start. Before `ended`."""
        return _comparable(termios.tcgetattr(self._theirs)) != _comparable(self._before)

    def modes_left(self) -> dict[str, bool]:
        """Private modes (of the cursor, the mouse, the other screen, …) that are not as at the start."""
        modes = {
            number: switch == "h"
            for numbers, switch in MODE.findall(self.written())
            for number in numbers.split(";")
        }
        return {number: on for number, on in modes.items() if on is not USUALMODES.get(number, False)}


def _comparable(settings: list[Any]) -> list[Any]:
    return settings[:6]
