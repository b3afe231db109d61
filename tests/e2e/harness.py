"""For fault runs: worker processes, a feed of records, and topics read back.

It knows Kafka and processes, and nothing about what a worker does with its records.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

ROOT = Path(__file__).resolve().parents[2]
READY = "at work on partitions"

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_the_tests() -> None:
    """Linux: a worker does not outlive a test run that was killed."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ReadRecord(NamedTuple):
    """A record that was read from a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class RecordToSend(NamedTuple):
    """A record for a source topic."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None


class WorkerProcess:
    """A worker in its own process. `argv` follows the interpreter; its output goes to `log`."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.argv = [sys.executable, *argv]
        self.environ = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._seen = 0

    def start(self) -> WorkerProcess:
        """Start it (again)."""
        self._seen = self.log.stat().st_size if self.log.exists() else 0
        in_main_thread = threading.current_thread() is threading.main_thread()
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.argv,
                env=self.environ,
                stdout=out,
                stderr=out,
                cwd=ROOT,
                start_new_session=True,
                # The signal is sent when the starting thread ends, and a supervisor's ends before the test.
                preexec_fn=_die_with_the_tests if in_main_thread else None,
            )
        return self

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process, started."""
        assert self.process is not None, "the worker was not started"
        return self.process

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self.running.poll()

    def output(self) -> str:
        """What it printed since it was last started."""
        return self.log.read_bytes()[self._seen :].decode(errors="replace")

    def wait_ready(self, timeout_s: float = 60.0, times: int = 1) -> float:
        """Wait until it has logged `times` times that it is at work. Returns the seconds."""
        began = time.monotonic()
        while self.output().count(READY) < times:
            if self.exit_code is not None:
                raise AssertionError(f"the worker ended with {self.exit_code}:\n{self.output()[-4000:]}")
            if time.monotonic() - began > timeout_s:
                raise AssertionError(
                    f"the worker was not ready after {timeout_s} s:\n{self.output()[-4000:]}"
                )
            time.sleep(0.1)
        return time.monotonic() - began

    def kill(self) -> None:
        """kill -9."""
        self.running.kill()
        self.running.wait()

    def freeze(self) -> None:
        """SIGSTOP: it neither works nor notices that time passes."""
        os.kill(self.running.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT."""
        os.kill(self.running.pid, signal.SIGCONT)

    def terminate(self, timeout_s: float = 30.0) -> tuple[int, float]:
        """SIGTERM. Returns the exit code and the seconds that took."""
        began = time.monotonic()
        self.running.terminate()
        code = self.running.wait(timeout_s)
        return code, time.monotonic() - began

    def ensure_ended(self) -> None:
        """End it if it still runs."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.wake()
            self.kill()


class Feed:
    """Sends `records` in its own thread, `rate` a second; None for full speed."""

    def __init__(
        self,
        bootstrap: str,
        records: Sequence[RecordToSend],
        rate: float | None = None,
        *,
        patience_s: float = 60.0,
    ) -> None:
        """`patience_s`: request time-out of a broker before another is tried."""
        self._records = records
        self._rate = rate
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "log_level": 2,
                "message.max.bytes": 2_000_000,
                "socket.timeout.ms": round(1000 * patience_s),
                "request.timeout.ms": round(1000 * min(30.0, patience_s)),
            }
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: Exception | None = None
        self.sent = 0

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self, timeout_s: float = 300.0) -> None:
        """Wait until everything is sent and acknowledged."""
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "the feed did not finish"
        if self._error is not None:
            raise self._error
        assert self._producer.flush(60) == 0, "not everything was acknowledged"

    def wait_sent(self, count: int) -> None:
        """Wait until `count` records were sent."""
        wait_until(lambda: self.sent >= count, f"{count} records sent")

    def _run(self) -> None:
        try:
            self._send()
        except Exception as error:  # noqa: BLE001  raised again by `finish`
            self._error = error

    def _send(self) -> None:
        began = time.monotonic()
        for number, record in enumerate(self._records):
            if self._rate is not None and number % 20 == 0:
                time.sleep(max(0.0, began + number / self._rate - time.monotonic()))
            while True:
                try:
                    self._producer.produce(
                        record.topic, record.value, key=record.key, partition=record.partition
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
            if number % 500 == 0:
                self._producer.poll(0)
            self.sent = number + 1


def wait_until(true: Callable[[], bool], what: str, timeout_s: float = 120.0) -> float:
    """Wait until `true`. Returns the seconds."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > timeout_s:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.1)
    return time.monotonic() - began


def read_topic(
    bootstrap: str, topic: str, *, committed: bool = True, timeout_s: float = 90.0
) -> list[ReadRecord]:
    """All records of `topic`, by partition and offset, as a reader with the isolation level finds them."""
    consumer = _consumer(bootstrap, f"read-{time.monotonic_ns()}", committed=committed)
    with contextlib.closing(consumer):
        partitions = set(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        found: list[ReadRecord] = []
        deadline = time.monotonic() + timeout_s
        while partitions:
            assert time.monotonic() < deadline, f"no end of {topic}: partitions {sorted(partitions)}"
            for message in consumer.consume(5000, 0.5):
                error = message.error()
                if error is None:
                    found.append(
                        ReadRecord(
                            topic,
                            message.partition(),
                            message.offset(),
                            message.key(),
                            message.value(),
                            tuple(message.headers() or ()),
                        )
                    )
                elif error.code() == -191:  # end of partition
                    partitions.discard(message.partition())
    return sorted(found, key=lambda record: (record.partition, record.offset))


def latest(records: Iterable[ReadRecord]) -> dict[bytes, bytes]:
    """The content of a compacted topic: the last value of each key, without removed keys."""
    last: dict[bytes, bytes | None] = {}
    for record in records:
        if record.key is not None:
            last[record.key] = record.value
    return {key: value for key, value in last.items() if value is not None}


def lag(bootstrap: str, group: str, topics: Sequence[str]) -> int:
    """How many records of `topics` the group has not committed."""
    consumer = _consumer(bootstrap, group, committed=True)
    total = 0
    with contextlib.closing(consumer):
        for topic in topics:
            numbers = consumer.list_topics(topic, timeout=20).topics[topic].partitions
            for tp in consumer.committed([TopicPartition(topic, number) for number in numbers], timeout=20):
                low, high = consumer.get_watermark_offsets(tp, timeout=20)
                total += high - max(low, tp.offset)
    return total


def wait_drained(bootstrap: str, group: str, topics: Sequence[str], timeout_s: float = 120.0) -> float:
    """Wait until the group has committed all of `topics`."""

    def drained() -> bool:
        try:
            return lag(bootstrap, group, topics) == 0
        except KafkaException:  # the broker is restarting
            return False

    return wait_until(drained, f"{group} has committed all of {topics}", timeout_s)


def more_than_once(identities: Iterable[object]) -> dict[object, int]:
    """Identities that occur more than once, and how often."""
    return {identity: count for identity, count in Counter(identities).items() if count > 1}


def differing_repeats(
    records: Iterable[ReadRecord], identity: Callable[[ReadRecord], object]
) -> list[tuple[ReadRecord, ReadRecord]]:
    """Pairs of records with the same identity that differ in topic, partition, key, value or headers."""
    first: dict[object, ReadRecord] = {}
    unlike = []
    for record in records:
        other = first.setdefault(identity(record), record)
        if other._replace(offset=0) != record._replace(offset=0):
            unlike.append((other, record))
    return unlike


@contextlib.contextmanager
def stopped_after(*workers: WorkerProcess) -> Iterator[None]:
    """Stop the workers in any case; print their logs after a failure."""
    try:
        yield
    except BaseException:
        for worker in workers:
            if worker.log.exists():
                print(f"--- {worker.log.name}\n{worker.log.read_text(errors='replace')[-6000:]}")
        raise
    finally:
        for worker in workers:
            worker.ensure_ended()


def _consumer(bootstrap: str, group: str, *, committed: bool) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
