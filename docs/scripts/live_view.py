"""Makes docs/live-view.svg: the last frame of the live view of a real `callstream up`.

Usage: make picture

It runs the command in a pseudo-terminal, with its own data directory and simulated calls only, and draws what
the command wrote to the terminal just before it stopped. Only the path of the data directory is replaced.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "live-view.svg"
COLUMNS, LINES = 132, 40

SHOWN_DATA_DIR = ".callstream"
RATE = "20"

FONT_FACE = re.compile(r"\s*@font-face \{.*?\n    \}", re.DOTALL)
"""The picture uses the reader's monospace font and loads none."""

CURSOR = re.compile(r"\x1b\[\?25[hl]")
ERASED_FRAME = re.compile(r"(?:\x1b\[\d*[AK]|\r)*\x1b\[1A\x1b\[2K")
"""What rich writes before it draws the view again: up one line, erase it, for each line of the last frame."""


def recorded(seconds: float, data_dir: Path) -> str:
    """All that `callstream up` writes to its terminal within this time."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CALLSTREAM_")}
    environ |= {"CALLSTREAM_DATA_DIR": str(data_dir), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    program = Path(sys.executable).with_name("callstream")
    running = subprocess.Popen(
        [program, "up", "--rate", RATE, "--for", f"{seconds:g}"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env=environ,
        start_new_session=True,
    )
    os.close(theirs)
    written = bytearray()
    try:
        while chunk := _read(ours):
            written += chunk
    finally:
        os.close(ours)
        running.terminate()
    if code := running.wait():
        raise click.ClickException(f"`callstream up` ended with {code}:\n{written.decode(errors='replace')}")
    return written.decode()


def _read(terminal: int) -> bytes:
    """The next bytes of a terminal; none once the last program has closed it."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def last_frame(written: str) -> str:
    """The view as it was drawn last, with its colours and nothing else."""
    live = written[: written.index("Stopping")].replace("\r\n", "\n")
    frame = CURSOR.sub("", ERASED_FRAME.split(live)[-1])
    lines = [line.rstrip() for line in frame.splitlines()]
    return "\n".join(lines).strip("\n")


def drawn(frame: str) -> str:
    """The frame as an SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor")
    console.print(Text.from_ansi(frame), highlight=False, no_wrap=True, crop=True)
    return FONT_FACE.sub("", console.export_svg(title="callstream up", unique_id="live-view"))


@click.command()
@click.option("--seconds", default=75.0, show_default=True, help="How long the run is.")
def main(seconds: float) -> None:
    """Run `callstream up` and draw what it shows."""
    with tempfile.TemporaryDirectory(prefix="callstream-") as folder:
        frame = last_frame(recorded(seconds, Path(folder)))
    PICTURE.write_text(drawn(frame.replace(folder, SHOWN_DATA_DIR)))
    click.echo(f"{PICTURE.relative_to(ROOT)}: {len(frame.splitlines())} lines")


if __name__ == "__main__":
    main()
