"""The full worker as a process, and how much of its input it has committed.

Faults are injected in mid-stream: a test asserts how far the worker was at that time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from stream.kafka import topics
from stream.service.settings import Settings
from tests.e2e.harness import WorkerProcess, read_topic, wait_until
from tests.e2e.simulated_load import SimulatedLoad

SHORTEST_SESSION_S = "6"


def create_topics(bootstrap: str, story: SimulatedLoad) -> None:
    """Create the topics of a load."""
    asyncio.run(topics.ensure(bootstrap, Settings(topic_prefix=story.prefix, partitions=story.partitions)))


def full_worker(
    bootstrap: str,
    story: SimulatedLoad,
    directory: Path,
    name: str = "a",
    *,
    store: str = "memory",
    data: str | None = None,
    argv: tuple[str, ...] = ("-m", "stream.cli", "worker"),
    environ: Mapping[str, str] | None = None,
) -> WorkerProcess:
    """A worker of the whole job, not started. `data` names its data directory, its own name by default."""
    return WorkerProcess(
        argv,
        {
            "CALLSTREAM_KAFKA": bootstrap,
            "CALLSTREAM_TOPIC_PREFIX": story.prefix,
            "CALLSTREAM_PARTITIONS": str(story.partitions),
            "CALLSTREAM_DATA_DIR": str(directory / f"data-{data or name}"),
            "CALLSTREAM_STORE": store,
            "CALLSTREAM_WORKER_LISTEN": "127.0.0.1:0",
            "CALLSTREAM_SESSION_TIMEOUT_S": SHORTEST_SESSION_S,
            **(environ or {}),
        },
        directory / f"worker-{name}.log",
    )


class CommitProgress:
    """How much of a load the worker group has committed. `sent`: its number of records, if not all."""

    def __init__(self, bootstrap: str, story: SimulatedLoad, sent: int = 0) -> None:
        self._bootstrap = bootstrap
        self._story = story
        self._sent = sent
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
        self._tps = [
            TopicPartition(topic, number) for topic in story.sources for number in range(story.partitions)
        ]
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": story.group,
                "enable.auto.commit": False,
                # Otherwise the request waits until a killed worker's open transaction has timed out.
                "isolation.level": "read_uncommitted",
                "log_level": 2,
            }
        )

    def __enter__(self) -> CommitProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def committed(self) -> int:
        """Deliveries whose offsets are committed."""
        found = self._consumer.committed(self._tps, timeout=20)
        return sum(max(0, tp.offset) for tp in found)

    def share(self) -> float:
        """The share of all deliveries of the load."""
        return self.committed() / (self._sent or len(self._story.records))

    def wait(self, share: float, timeout_s: float = 120.0) -> float:
        """Wait until this share is committed. Returns the share that is."""
        began = time.monotonic()
        while (now := self._share_or_none()) is None or now < share:
            assert time.monotonic() - began < timeout_s, f"{now} of {share} committed after {timeout_s} s"
            time.sleep(0.01)
        return now

    def timed(self, share: float, timeout_s: float = 120.0) -> float:
        """Wait until this share is committed. Returns the seconds."""
        began = time.monotonic()
        self.wait(share, timeout_s)
        return time.monotonic() - began

    def wait_written(self, timeout_s: float = 20.0) -> None:
        """Wait until events are written whose transaction is not committed."""
        began = time.monotonic()
        while self._events_end(IsolationLevel.READ_UNCOMMITTED) == self._events_end(
            IsolationLevel.READ_COMMITTED
        ):
            assert time.monotonic() - began < timeout_s, f"no transaction was open in {timeout_s} s"

    def _events_end(self, level: IsolationLevel) -> int:
        events = self._story.names.events
        wanted = {
            TopicPartition(events, number): OffsetSpec.latest() for number in range(self._story.partitions)
        }
        found = self._admin.list_offsets(wanted, isolation_level=level, request_timeout=10)
        return sum(end.result().offset for end in found.values())

    def finish(self, timeout_s: float = 180.0) -> None:
        """Wait until all of it is committed, and all that calls tell each other."""
        self.wait(1.0, timeout_s)
        wait_until(self._all_told, "all that calls tell each other is committed", timeout_s)

    def _all_told(self) -> bool:
        scopes = self._story.names.scopes
        try:
            last = {one.partition: one.offset for one in read_topic(self._bootstrap, scopes)}
            found = self._consumer.committed([TopicPartition(scopes, number) for number in last], timeout=20)
        except KafkaException:  # a broker that is away
            return False
        return all(tp.offset > last[tp.partition] for tp in found)

    def _share_or_none(self) -> float | None:
        try:
            return self.share()
        except KafkaException:  # a broker that is away
            return None


def is_midstream(share: float) -> bool:
    """Whether that was in mid-stream."""
    print(f"fault at {share:.0%}", file=sys.stderr)
    return 0.1 < share < 0.9


@contextlib.contextmanager
def supervised(worker: WorkerProcess) -> Iterator[list[int]]:
    """Restart `worker` whenever it ends, as a supervisor does. Yields the exit codes so far."""
    codes: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            code = worker.exit_code
            if code is not None:
                codes.append(code)
                worker.start()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield codes
    finally:
        over.set()
        thread.join()


def health_url(worker: WorkerProcess, timeout_s: float = 60.0) -> str:
    """The URL of the worker's own HTTP."""
    found: list[str] = []

    def said() -> bool:
        assert worker.exit_code is None, f"the worker ended with {worker.exit_code}:\n{worker.output()}"
        found[:] = re.findall(r"health and metrics at (http://\S+)", worker.output())
        return bool(found)

    wait_until(said, "the worker says where its HTTP is", timeout_s)
    return found[-1]


def get_json(url: str) -> tuple[int, Any]:
    """(status, body) of a JSON response; (0, None) without an answer."""
    status, text = get_text(url)
    return status, json.loads(text) if status else None


def get_text(url: str) -> tuple[int, str]:
    """(status, text) of a response; (0, "") without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""
