"""The data directory: whose it is, what is opened in it, and what is said when it cannot be used.

The rule of this file: what is kept here is its owner's alone, and what another account has put here is not
followed. A directory that cannot be used is one sentence that names the setting: no restart mends it.
Files of secrets are not its business: those are where their user put them, behind links as Kubernetes makes
them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE = 0o700
UMASK = 0o077
ROOT = 0
MEND = "see to it, or set CALLSTREAM_DATA_DIR to another directory"

_WORDS = {
    errno.ENOSPC: "no space is left on its device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "its file system is read-only",
    errno.EACCES: "this user may not write there",
    errno.EPERM: "this user may not write there",
    errno.ENOTDIR: "a file is in the place of a directory",
    errno.EEXIST: "a file is in the place of a directory",
    errno.ELOOP: "a symbolic link is in the place of a file",
    errno.EIO: "its device reports an error",
}
_TEXTS = {os.strerror(number): number for number in _WORDS}
_PROBE_BYTES = 64 << 10


class DataDirError(Exception):
    """The data directory cannot be used; the message says why and names the setting."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"the data directory cannot be used: {path}: {why}; {MEND}")


def prepare(directory: Path) -> None:
    """The directory is there, private, and takes writes. Raises DataDirError."""
    directory = directory.absolute()
    with told(directory):
        directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    check_owner(directory)
    probe = directory / f".probe-{os.getpid()}"
    with told(directory):
        try:
            with opened(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
                os.write(file, bytes(_PROBE_BYTES))
                os.fsync(file)
        finally:
            probe.unlink(missing_ok=True)


def check_owner(directory: Path) -> None:
    """The directory is this user's or root's, and nobody else may look into one of this user's.

    Raises DataDirError.
    """
    me = os.geteuid()
    with told(directory):
        link, found = directory.lstat(), directory.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise DataDirError(directory, _WORDS[errno.ENOTDIR])
    for one in (link, found):
        if one.st_uid not in (me, ROOT):
            raise DataDirError(directory, f"it belongs to another user (uid {one.st_uid})")
    if found.st_mode & stat.S_ISVTX and found.st_mode & stat.S_IWOTH:
        raise DataDirError(directory, "it is open to all users")
    if found.st_uid == me and stat.S_IMODE(found.st_mode) & UMASK:
        with told(directory):
            directory.chmod(PRIVATE)


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """A file's descriptor. Raises OSError, also where a link leads elsewhere or it is another user's."""
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(file).st_uid not in (os.geteuid(), ROOT):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))
        yield file
    finally:
        os.close(file)


def read(path: Path) -> bytes:
    """A file's content. Raises OSError as `opened` does."""
    with opened(path, os.O_RDONLY) as file, open(file, "rb", closefd=False) as content:
        return content.read()


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Raises DataDirError for what goes wrong with files at `path`."""
    try:
        yield
    except OSError as error:
        raise DataDirError(path, why(error) or error.strerror or type(error).__name__) from None


def why(error: BaseException | str) -> str | None:
    """What is wrong with the files that an error is about: an OSError, or what RocksDB or Java wrote.

    None where it is about something else.
    """
    number = number_of(error)
    return None if number is None else _WORDS[number]


def number_of(error: BaseException | str) -> int | None:
    """The system's number of such an error."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in _WORDS else None
    text = str(error)
    return next((number for words, number in _TEXTS.items() if words in text), None)
