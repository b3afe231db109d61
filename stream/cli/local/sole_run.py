"""One `callstream up` for each data directory: two would start the same roles on the same broker."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.cli.support.terminal import Fault
from stream.service.data_dir import file_errors, open_owned, prepare


@contextmanager
def sole_run(directory: Path) -> Iterator[None]:
    """Prepares the data directory and holds it while the block runs.

    The lock ends with this process, in whatever way. Raises Fault where another process holds it, and
    DataDirError.
    """
    prepare(directory)
    path = directory / "up.lock"
    with file_errors(path), open_owned(path, os.O_RDWR | os.O_CREAT) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(file, 20).decode("ascii", "replace")
            raise Fault(
                f"`callstream up` runs in the data directory {directory} already (process {pid}): stop it, "
                "or set CALLSTREAM_DATA_DIR to another directory"
            ) from None
        os.ftruncate(file, 0)
        os.write(file, str(os.getpid()).encode())
        yield
