"""The data directory: private to its owner. Links and files that another user has put there are not followed.

Secret files are not covered: they are where their user put them, behind symbolic links in Kubernetes.
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
MEND = "correct it, or set CALLSTREAM_DATA_DIR to another directory"

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
    """Make sure that the directory exists, is private and can be written. Raises DataDirError."""
    directory = directory.absolute()
    probe = directory / f".probe-{os.getpid()}"
    with file_errors(directory):
        directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        check_owner(directory)
        try:
            with open_owned(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
                os.write(file, bytes(_PROBE_BYTES))
                os.fsync(file)
        finally:
            probe.unlink(missing_ok=True)


def check_owner(directory: Path) -> None:
    """Check that the directory belongs to this user or root. One of this user's is made private.

    Raises DataDirError.
    """
    me = os.geteuid()
    with file_errors(directory):
        link, found = directory.lstat(), directory.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "")
        for one in (link, found):
            if one.st_uid not in (me, ROOT):
                raise DataDirError(directory, f"it belongs to another user (uid {one.st_uid})")
        if found.st_mode & stat.S_ISVTX and found.st_mode & stat.S_IWOTH:
            raise DataDirError(directory, "it is open to all users")
        if found.st_uid == me and stat.S_IMODE(found.st_mode) & UMASK:
            directory.chmod(PRIVATE)


@contextmanager
def open_owned(path: Path, flags: int, *, of_anyone: bool = False) -> Iterator[int]:
    """A file's descriptor. Raises OSError, also for a symbolic link and, unless `of_anyone`, for another
    user's file.
    """
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not of_anyone and os.fstat(file).st_uid not in (os.geteuid(), ROOT):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))
        yield file
    finally:
        os.close(file)


def read(path: Path, *, to_show: bool = False) -> bytes:
    """A file's content. Raises OSError as `open_owned` does.

    - `to_show`: and for nothing else, so that root may read what a role wrote as the user of its service.
    """
    of_anyone = to_show and os.geteuid() == ROOT
    with (
        open_owned(path, os.O_RDONLY, of_anyone=of_anyone) as file,
        open(file, "rb", closefd=False) as content,
    ):
        return content.read()


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turns an OSError about files at `path` into a DataDirError."""
    try:
        yield
    except OSError as error:
        raise DataDirError(path, explain(error) or error.strerror or type(error).__name__) from None


def explain(error: BaseException | str) -> str | None:
    """What is wrong with the disk, from an OSError or from what RocksDB or Java wrote.

    None where the error is about something else.
    """
    return _WORDS.get(errno_of(error) or 0)


def errno_of(error: BaseException | str) -> int | None:
    """The errno of such an error; None where it is about something else."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if error.errno in _WORDS else None
    text = str(error)
    return next((number for words, number in _TEXTS.items() if words in text), None)
