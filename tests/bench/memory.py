"""The worker's memory over millions of calls: `python -m tests.bench.memory --calls 3000000`.

A real worker on the embedded broker, fed with small calls of three callbacks each at the pace of the machine,
with a settle window of a minute: after that as many calls leave as come, so memory should not grow. It prints
a line every few seconds: resident memory, calls in the due index, entries of the store.

It stops by itself, and everything that it started and wrote is gone when it ends. The topics have a short
retention, so that the disk does not fill; the worker never falls so far behind that it loses records.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import NamedTuple

import orjson
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from stream.broker import configuration
from stream.broker.ports import free_port
from stream.kafka import topics
from stream.service import settings
from tests.bench.ground import ROOT, ground

PREFIX = "memory."
AHEAD = 60_000
"""So many callbacks are written before the worker has applied them, at most."""
KEPT_BYTES = 48 << 20
"""Of each partition of a topic that is not compacted: more than is ahead."""
WORKER_LIMIT_S = 60.0
CALLBACKS = (("initiated", 0), ("in-progress", 1), ("completed", 2))


class Sample(NamedTuple):
    """One line of the table."""

    seconds: float
    calls: int
    deliveries: int
    rss_mb: float
    due: int
    entries: int
    active: int


HEADINGS = ("seconds", "calls fed", "deliveries", "RSS MB", "due index", "store entries", "open calls")


def callbacks(number: int) -> Iterator[tuple[bytes, bytes]]:
    """(key, envelope) of one small call, received now. Ids are spread as the provider's are."""
    call_id = f"CA{number * 0x9E3779B97F4A7C15 & (1 << 128) - 1:032x}"
    now = datetime.now(UTC)
    received_at, at = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), format_datetime(now)
    body = {
        "CallSid": call_id,
        "AccountSid": "AC" + "0a" * 16,
        "From": "+15005550006",
        "To": "+15005550009",
        "Direction": "outbound-api",
        "Timestamp": at,
    }
    for status, sequence_number in CALLBACKS:
        envelope = {
            "v": 1,
            "source": "twilio_status_callback",
            "received_at": received_at,
            "account": body["AccountSid"],
            "endpoint": "/callbacks/twilio",
            "delivery": {"token": None, "attempt": None, "query": None, "verified": True},
            "body": body | {"CallStatus": status, "SequenceNumber": str(sequence_number)},
        }
        yield f"twilio:{call_id}".encode(), orjson.dumps(envelope)


class Worker:
    """A worker's process, looked at from outside."""

    def __init__(self, chosen: settings.Settings, directory: Path) -> None:
        self._url = f"http://{chosen.worker_listen}/metrics"
        told = {
            "CALLSTREAM_KAFKA": chosen.kafka,
            "CALLSTREAM_TOPIC_PREFIX": chosen.topic_prefix,
            "CALLSTREAM_PARTITIONS": str(chosen.partitions),
            "CALLSTREAM_DATA_DIR": str(directory),
            "CALLSTREAM_STORE": chosen.store,
            "CALLSTREAM_SETTLE_S": f"{chosen.settle_s:g}",
            "CALLSTREAM_WORKER_LISTEN": chosen.worker_listen,
        }
        self._output = directory / "output.txt"
        with self._output.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli", "worker"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **told},
            )

    def look(self, seconds: float, calls: int) -> Sample:
        """What it says of itself. Raises RuntimeError where it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"the worker ended:\n{self._output.read_text(errors='replace')[-3000:]}")
        try:
            with urllib.request.urlopen(self._url, timeout=20) as answer:
                exposition = answer.read().decode()
        except OSError:
            exposition = ""  # it is starting
        found = {
            name: round(sum(_values(exposition, name)))
            for name in ("events_processed_total", "due_calls", "table_entries", "calls_active")
        }
        return Sample(
            seconds, calls, found["events_processed_total"], self._rss_mb(), *list(found.values())[1:]
        )

    def _rss_mb(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6

    def stop(self) -> None:
        """End it, if need be by force."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(WORKER_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _values(exposition: str, name: str) -> Iterator[float]:
    for line in exposition.splitlines():
        series, _, value = line.rpartition(" ")
        if series.partition("{")[0] == f"callstream_{name}":
            yield float(value)


def keep_little(bootstrap: str, names: topics.Topics) -> None:
    """What a topic holds beyond the last megabytes goes within seconds."""
    changes = {"retention.bytes": str(KEPT_BYTES), "segment.bytes": str(KEPT_BYTES // 4)}
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            getattr(names, role),
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in changes.items()
            ],
        )
        for role, policy in topics.POLICIES.items()
        if policy["cleanup.policy"] != "compact"
    ]
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    for future in admin.incremental_alter_configs(resources).values():
        future.result(30)


class Run:
    """Feeding and looking, in turns."""

    def __init__(self, worker: Worker, chosen: settings.Settings, every_s: float, limit_s: float) -> None:
        self._worker = worker
        self._every_s = every_s
        self._limit_s = limit_s
        self._began = time.monotonic()
        self._fed = 0
        self._printed = -every_s
        self.samples: list[Sample] = []
        self._topic = topics.names(chosen.topic_prefix).callbacks
        self._producer = Producer(
            {
                "bootstrap.servers": chosen.kafka,
                "enable.idempotence": True,
                "linger.ms": 20,
                "batch.size": 200_000,
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": 200_000,
                "log_level": 2,
            }
        )

    def feed(self, calls: int) -> None:
        """So many calls, or as many as there is time for, and then until all of them have settled."""
        for number in range(1, calls + 1):
            for key, value in callbacks(number):
                self._producer.produce(self._topic, value, key)
            self._fed = number
            if number % 500 == 0:
                self._producer.poll(0)
                self._wait_for_the_worker()
                if self._out_of_time():
                    print(f"stopped after {self._limit_s:g} s, {number} calls")
                    break
        self._producer.flush(60)
        fed_in_s = time.monotonic() - self._began
        while self._look().due and not self._out_of_time():
            time.sleep(1.0)
        last = self._look(show=True)
        pace = len(CALLBACKS) * self._fed / fed_in_s
        print(f"{self._fed} calls in {fed_in_s:.0f} s, {pace:.0f} deliveries/s; applied {last.deliveries}")

    def _out_of_time(self) -> bool:
        return time.monotonic() - self._began > self._limit_s

    def _wait_for_the_worker(self) -> None:
        sample = self.samples[-1] if self.samples else None
        elapsed = time.monotonic() - self._began
        if sample is None or elapsed - sample.seconds >= 1.0:
            sample = self._look()
        while len(CALLBACKS) * self._fed - sample.deliveries > AHEAD and not self._out_of_time():
            self._producer.poll(0.3)
            sample = self._look()

    def _look(self, *, show: bool = False) -> Sample:
        seconds = time.monotonic() - self._began
        sample = self._worker.look(seconds, self._fed)
        self.samples.append(sample)
        if show or seconds - self._printed >= self._every_s:
            self._printed = seconds
            cells = (f"{value:.0f}" for value in sample)
            print(
                "  ".join(f"{cell:>{len(name)}}" for cell, name in zip(cells, HEADINGS, strict=True)),
                flush=True,
            )
        return sample


def verdict(samples: list[Sample], settle_s: float) -> str:
    """Whether memory grows after the settle window, while calls are fed: a straight line through it."""
    last = samples[-1].calls
    steady = [one for one in samples if one.seconds > 2 * settle_s and one.calls < last]
    if len(steady) < 10:
        return "too few calls for a judgement: feed for longer than two settle windows"
    mean_x = sum(one.calls for one in steady) / len(steady)
    mean_y = sum(one.rss_mb for one in steady) / len(steady)
    spread = sum((one.calls - mean_x) ** 2 for one in steady)
    slope = sum((one.calls - mean_x) * (one.rss_mb - mean_y) for one in steady) / spread
    due = [one.due for one in steady]
    return (
        f"after two settle windows: RSS {steady[0].rss_mb:.0f} to {steady[-1].rss_mb:.0f} MB, at most "
        f"{max(one.rss_mb for one in steady):.0f}; {slope * 1e6:+.1f} MB a million calls; "
        f"due index {min(due)} to {max(due)}; at the end {samples[-1].due}"
    )


@contextlib.contextmanager
def short_retention() -> Iterator[None]:
    """The embedded broker looks for what it may delete every five seconds, not every five minutes."""
    before = configuration.BROKER
    configuration.BROKER = {**before, "log.retention.check.interval.ms": "5000"}  # type: ignore[misc]
    try:
        yield
    finally:
        configuration.BROKER = before  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--settle-s", type=float, default=60.0, help="the worker's settle window")
    parser.add_argument("--store", default="rocksdb", choices=("rocksdb", "memory"))
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--every-s", type=float, default=10.0, help="seconds between two lines")
    parser.add_argument("--limit-s", type=float, default=1800.0, help="when it stops in any case")
    asked = parser.parse_args()
    with (
        short_retention(),
        ground(asked.partitions) as made,
        tempfile.TemporaryDirectory(prefix="callstream-memory-") as folder,
    ):
        chosen = settings.Settings(
            kafka=made.bootstrap,
            topic_prefix=PREFIX,
            partitions=asked.partitions,
            store=asked.store,
            settle_s=asked.settle_s,
            worker_listen=f"127.0.0.1:{free_port()}",
        )
        asyncio.run(topics.ensure(chosen.kafka, chosen))
        keep_little(made.bootstrap, topics.names(PREFIX))
        worker = Worker(chosen, Path(folder))
        try:
            print("  ".join(HEADINGS))
            run = Run(worker, chosen, asked.every_s, asked.limit_s)
            run.feed(asked.calls)
            print(verdict(run.samples, asked.settle_s))
        finally:
            worker.stop()


if __name__ == "__main__":
    main()
