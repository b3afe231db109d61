"""The environment of a bench run: its own broker, topics, and a process for each candidate.

Everything that it started and wrote is gone when it ends, and every wait has a time-out.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from stream import broker
from stream.broker.ports import free_port
from stream.service import settings
from tests.bench.candidate import Task

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = {"quix_streams": Path(sys.prefix) / "quix/bin/python"}
"""The interpreters of modules that do not run in this environment: `make bench` installs them."""
COMPACTED = {"cleanup.policy": "compact"}


class CandidateFailed(Exception):
    """A candidate ended without a result, or did not end in time. The message has its last words."""


class Ground:
    """A broker at `bootstrap` and a directory, for one bench run."""

    def __init__(self, bootstrap: str, directory: Path, partitions: int) -> None:
        self.bootstrap = bootstrap
        self.partitions = partitions
        self._directory = directory
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
        self._numbers = itertools.count(1)

    def make_topic(self, name: str, config: dict[str, str] | None = None) -> None:
        """Create a topic and wait until it is there."""
        topic = NewTopic(name, self.partitions, 1, config=config or {})
        for future in self._admin.create_topics([topic]).values():
            future.result(30)

    def drop_topics(self, prefix: str) -> None:
        """Delete what a run has written: a bench run would fill a small disk."""
        mine = [name for name in self._admin.list_topics(timeout=20).topics if is_of(prefix, name)]
        if mine:
            for future in self._admin.delete_topics(mine).values():
                with contextlib.suppress(KafkaException):
                    future.result(30)

    def written_bytes(self, prefix: str) -> int:
        """The size of all that a run has written, as the broker keeps it, compressed or not."""
        # Not Path.rglob: other topics are being deleted.
        logs = map(Path, glob(f"{self._directory}/broker/**/*.log", recursive=True))
        return sum(log.stat().st_size for log in logs if is_of(prefix, log.parent.name))

    def task(self, name: str, **about: Any) -> Task:
        """A task with a prefix and a directory of its own."""
        prefix = f"b{next(self._numbers)}-{name}."
        directory = self._directory / prefix.rstrip(".")
        directory.mkdir()
        return Task(
            bootstrap=self.bootstrap,
            partitions=self.partitions,
            prefix=prefix,
            directory=str(directory),
            started=time.time(),
            **about,
        )

    def start(self, module: str, task: Task) -> subprocess.Popen[bytes]:
        """The candidate's process. Its output goes to a file in its directory."""
        task.started = time.time()
        python = PYTHONS.get(module, Path(sys.executable))
        if not python.exists():
            raise CandidateFailed(f"{python} is missing: `make bench` installs it")
        with (Path(task.directory) / "output.txt").open("wb") as out:
            return subprocess.Popen(
                [str(python), "-m", f"tests.bench.{module}", msgspec.json.encode(task).decode()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def run(self, module: str, task: Task, timeout_s: float = 120.0) -> dict[str, Any]:
        """Run a candidate to its end, and clean up after it. Raises CandidateFailed."""
        prefix = task.prefix.rstrip(".")
        try:
            self.await_end(module, self.start(module, task), task, timeout_s)
            written = self.written_bytes(prefix)
        finally:
            self.drop_topics(prefix)
        result = self.result(module, task)
        return {**result, "bytes_out": written / result["records"]}

    def await_end(self, module: str, process: subprocess.Popen[bytes], task: Task, timeout_s: float) -> None:
        """Wait for a candidate; end it when it takes too long. Raises CandidateFailed."""
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise CandidateFailed(f"{module} was not done after {timeout_s:g} s:\n{said(task)}") from None
        finally:
            end(process)

    def result(self, module: str, task: Task) -> dict[str, Any]:
        """What a candidate that has ended gave back."""
        try:
            result: dict[str, Any] = json.loads((Path(task.directory) / "result.json").read_text())
        except OSError:
            raise CandidateFailed(f"{module} gave no result:\n{said(task)}") from None
        shutil.rmtree(task.directory, ignore_errors=True)
        return result


def is_of(prefix: str, topic: str) -> bool:
    """Whether a run has written a topic. Quix Streams puts a word of its own before its changelog's name."""
    return topic.removeprefix("changelog__").startswith(prefix)


def said(task: Task) -> str:
    """The last words of a candidate."""
    try:
        return (Path(task.directory) / "output.txt").read_text(errors="replace")[-3000:]
    except OSError:
        return ""


def end(process: subprocess.Popen[bytes]) -> None:
    """End it if it still runs."""
    if process.poll() is None:
        process.kill()
        process.wait()


@contextlib.contextmanager
def ground(partitions: int) -> Iterator[Ground]:
    """A fresh embedded broker in a temporary directory, both gone afterwards."""
    chosen = settings.load()
    with tempfile.TemporaryDirectory(prefix="callstream-bench-") as folder:
        directory = Path(folder)
        running = broker.start(
            directory / "broker", cache=chosen.cache_dir, libs=chosen.kafka_libs, port=free_port()
        )
        try:
            yield Ground(running.bootstrap, directory, partitions)
        finally:
            running.stop()
