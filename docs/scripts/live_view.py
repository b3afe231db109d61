"""Makes docs/live-view.svg: the live view of a real `callstream up`.

Usage: make picture

It runs the command in a pseudo-terminal, with its own data directory and simulated calls only. Textual draws
what it shows at the end and leaves the view, which stops the run. Only the path of the data directory is
replaced.
"""

from __future__ import annotations

import fcntl
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

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "live-view.svg"
COLUMNS, LINES = 132, 40

SHOWN_DATA_DIR = ".callstream"
RATE = "20"

FONT_FACE = re.compile(r"\s*@font-face \{.*?\n    \}", re.DOTALL)
"""The picture uses the reader's monospace font and loads none."""


def drawn(seconds: float, folder: Path) -> str:
    """The picture that Textual draws after this time."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CALLSTREAM_")}
    environ |= {
        "CALLSTREAM_DATA_DIR": str(folder / SHOWN_DATA_DIR),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "TEXTUAL_SCREENSHOT": f"{seconds:.0f}",
        "TEXTUAL_SCREENSHOT_LOCATION": str(folder),
        "TEXTUAL_SCREENSHOT_FILENAME": "view.svg",
    }
    running = subprocess.Popen(
        [Path(sys.executable).with_name("callstream"), "up", "--rate", RATE],
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
    return (folder / "view.svg").read_text()


def _read(terminal: int) -> bytes:
    """The next bytes of a terminal; none once the last program has closed it."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


@click.command()
@click.option("--seconds", default=75.0, show_default=True, help="How long the view is open.")
def main(seconds: float) -> None:
    """Run `callstream up` and draw what it shows."""
    with tempfile.TemporaryDirectory(prefix="callstream-") as folder:
        picture = drawn(seconds, Path(folder))
    PICTURE.write_text(FONT_FACE.sub("", picture).replace(f"{folder}/", ""))
    click.echo(f"{PICTURE.relative_to(ROOT)}: {picture.count('<text')} texts")


if __name__ == "__main__":
    main()
