"""One `callstream up` for each data directory: two would start the same roles on the same broker.

Its lock file has its process id, and then the addresses of its roles, which may not be those of the settings.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from stream.cli.support.terminal import Fault
from stream.service.data_dir import file_errors, open_owned, prepare

FILE = "up.lock"
MOST_BYTES = 65_536


@contextmanager
def sole_run(directory: Path) -> Iterator[Callable[[Mapping[str, str]], None]]:
    """Prepares the data directory and holds it while the block runs. Gives what tells others where roles are.

    The lock ends with this process, in whatever way. Raises Fault where another process holds it, and
    DataDirError.
    """
    prepare(directory)
    path = directory / FILE
    with ExitStack() as stack:
        with file_errors(path):
            file = stack.enter_context(open_owned(path, os.O_RDWR | os.O_CREAT))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.read(file, 20).decode("ascii", "replace").partition("\n")[0]
                raise Fault(
                    f"`callstream up` runs in the data directory {directory} already (process {pid}): stop "
                    "it, or set CALLSTREAM_DATA_DIR to another directory"
                ) from None
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())

        def tell(addresses: Mapping[str, str]) -> None:
            with file_errors(path):
                os.write(file, msgspec.json.encode(addresses))

        try:
            yield tell
        finally:
            os.ftruncate(file, 0)


def addresses_of_run(directory: Path) -> dict[str, str] | None:
    """What the `callstream up` of a data directory has told; None if none runs, or it has told nothing."""
    with suppress(OSError, ValueError, msgspec.MsgspecError):
        with open_owned(directory / FILE, os.O_RDONLY) as file:
            pid, _, told = os.read(file, MOST_BYTES).partition(b"\n")
        # To try the lock could keep an `up` from starting.
        os.kill(int(pid), 0)
        return msgspec.json.decode(told, type=dict[str, str])
    return None
