"""Who runs the data in a directory: one lock, and a note of where the broker answers.

The rule of this file: the lock is the truth, the note only says where to look.
The lock is an open file that supervisor and Java inherit; it is free when both are gone, however they went.
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
class Running:
    """A broker that was ready: process ids of Java and its supervisor, its port and cluster."""

    pid: int
    supervisor_pid: int
    port: int
    cluster_id: str


def try_lock(directory: Path) -> int | None:
    """The lock as an open file descriptor; None if somebody has it."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def note(directory: Path, running: Running) -> None:
    fresh = directory / "running.json.new"
    fresh.write_text(json.dumps(asdict(running)))
    fresh.replace(directory / "running.json")


def forget(directory: Path) -> None:
    (directory / "running.json").unlink(missing_ok=True)


def noted(directory: Path) -> Running | None:
    """What the note says, true or not."""
    try:
        return Running(**json.loads(data_dir.read(directory / "running.json")))
    except (OSError, ValueError, TypeError):
        return None  # none, or cut short by a crash


def find_running(directory: Path) -> Running | None:
    """The broker of this directory that answers now: the noted port, the noted cluster."""
    running = noted(directory)
    if running is not None and cluster_id(running.port) == running.cluster_id:
        return running
    return None
