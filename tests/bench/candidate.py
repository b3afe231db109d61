"""The input of each candidate's process, how it measures itself, and its result.

A candidate measures its own process, from the first record that it receives to the last one that it has
processed. Start and stop do not count.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import msgspec


class Task(msgspec.Struct, kw_only=True):
    """What a candidate is to do.

    - `topic`: the callbacks; `records`: how many of them there are.
    - `prefix`: of the topics and the application id that are this run's own; `directory`: its own data.
    - `instance`: a name for the group, so that the next process of that name need not wait for it.
    - `started`: `time.time()` when the process was started.
    """

    bootstrap: str
    topic: str = ""
    records: int = 0
    partitions: int = 12
    prefix: str
    directory: str
    store: str = "memory"
    instance: str = ""
    started: float = 0.0
    profile: str = ""


def task() -> Task:
    """The task in this process' only argument."""
    return msgspec.json.decode(sys.argv[1], type=Task)


def give_back(result: dict[str, Any]) -> None:
    """Write the result and end, at once: nothing of the end is measured, and nothing of it is kept."""
    out = Path(task().directory) / "result.json"
    out.write_text(json.dumps(result))
    sys.stdout.flush()
    os._exit(0)


def rss_mb() -> int:
    """The most memory that this process ever had, in MB (1e6 bytes)."""
    try:
        # Linux hands a parent's highest ru_maxrss down through fork and exec; this number is our own.
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 // 1_000_000
    except (OSError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1_000_000 if sys.platform == "darwin" else most * 1024 // 1_000_000


class Meter:
    """Wall clock and processor time of the whole process, all threads."""

    def __init__(self) -> None:
        self.running = False
        self._began = 0.0
        self._began_cpu = 0.0

    def start(self) -> None:
        """The first record is here. Later calls change nothing."""
        if not self.running:
            self.running = True
            self._began = time.perf_counter()
            self._began_cpu = time.process_time()

    def result(self, records: int) -> dict[str, Any]:
        """The last of `records` is done."""
        seconds = time.perf_counter() - self._began
        cpu_s = time.process_time() - self._began_cpu
        return {
            "records": records,
            "seconds": seconds,
            "events_per_s": records / seconds,
            "cpu_us": cpu_s / records * 1e6,
            "rss_mb": rss_mb(),
        }
