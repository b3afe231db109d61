"""Which process runs the data in a directory: one lock, and a file that says where the broker answers.

Only the lock counts; the file may be outdated. The lock is an open file that supervisor and Java inherit, so
it is free when both have ended, in whatever way.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from stream.broker.probe import cluster_id
from stream.service import data_dir


@dataclass(frozen=True)
class RunningBroker:
    """A broker that was ready: process ids of Java and its supervisor, its port and cluster."""

    pid: int
    supervisor_pid: int
    port: int
    cluster_id: str


def try_lock(directory: Path) -> int | None:
    """The lock as an open file descriptor; None if another process holds it."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def record_running(directory: Path, running: RunningBroker) -> None:
    fresh = directory / "running.json.new"
    fresh.write_text(json.dumps(asdict(running)))
    fresh.replace(directory / "running.json")


def remove_record(directory: Path) -> None:
    (directory / "running.json").unlink(missing_ok=True)


def read_record(directory: Path) -> RunningBroker | None:
    """The content of the file, which may be outdated."""
    try:
        return RunningBroker(**json.loads(data_dir.read(directory / "running.json")))
    except (OSError, ValueError, TypeError):
        return None  # missing, or truncated by a crash


def find_running(directory: Path, *, silent_too: bool = False) -> RunningBroker | None:
    """The broker of this directory, if it answers at the recorded port with the recorded cluster id.

    `silent_too`: or if it runs and nothing answers there: it is frozen, or overloaded.
    """
    running = read_record(directory)
    if running is None:
        return None
    answering = cluster_id(running.port)
    if answering == running.cluster_id or (silent_too and answering is None and _is_locked(directory)):
        return running
    return None


def _is_locked(directory: Path) -> bool:
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
