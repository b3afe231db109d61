"""From a callback in its topic to its alert and its event, readable by a read_committed consumer.

Callbacks at a steady rate, so that what is measured is a worker that keeps up, not a queue. Many of them
fail: those and short ones give alerts. Every output says which record it came of (`origin`, `evidence`), and
the time of that record is when the producer was given it.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from stream.kafka import topics
from tests.bench.callbacks import OPEN_S, Tally, Written, callbacks
from tests.bench.candidate import Task
from tests.bench.ground import CandidateFailed, Ground, end, said
from tests.bench.standing_worker import READY

WARM_UP_S = 30.0
"""A broker that has just started takes many seconds to compile itself; nobody runs one so briefly."""
CATCH_UP_LIMIT_S = 30.0
WARM_UP_RATE = 100
RATES = ((1, 60), (10, 30), (100, 15), (1000, 15))
"""Callbacks a second, and for how many seconds. Rising: the reads of earlier calls are a small load then."""
FAILED_SHARE, FAILED_SHARE_OF_FEW = 0.15, 0.5
"""The latter up to FEW callbacks a second, where there would be hardly an alert."""
FEW = 10
START_LIMIT_S = 60.0
REST_S = 3.0
"""How long after the last callback outputs are still waited for."""

Place = tuple[int, int]


class Reader(threading.Thread):
    """Reads events and alerts as they become visible, and notes when for the record that they came of."""

    def __init__(self, bootstrap: str, names: topics.Topics, partitions: int) -> None:
        super().__init__(daemon=True)
        self._names = names
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": names.events + "-latency",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
                "fetch.queue.backoff.ms": 1,
                "log_level": 2,
            }
        )
        self._consumer.assign(
            [TopicPartition(topic, n, 0) for topic in (names.events, names.alerts) for n in range(partitions)]
        )
        self.ending = False
        self.events: dict[Place, float] = {}
        self.alerts: dict[Place, float] = {}

    def run(self) -> None:
        while not self.ending:
            for message in self._consumer.consume(500, 0.005):
                now, value = time.perf_counter(), message.value()
                if message.error() is None and value is not None:
                    self.note(message.topic() or "", orjson.loads(value), now)
        self._consumer.close()

    def note(self, topic: str, read: dict[str, Any], now: float) -> None:
        """An event or alert is readable at `now`. An alert of a condition came of many records."""
        if topic == self._names.events:
            origin = read["origin"]
            self.events[origin["partition"], origin["offset"]] = now
        elif read["evidence"]:
            evidence = read["evidence"][0]
            self.alerts[evidence["partition"], evidence["offset"]] = now


def measure(
    ground: Ground,
    rates: Sequence[tuple[int, int]] = RATES,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Percentiles in milliseconds, by rate. Raises CandidateFailed.

    `rates`: (callbacks a second, seconds).
    """
    task = ground.task("latency")
    worker = ground.start("standing_worker", task)
    found: dict[str, Any] = {}
    try:
        wait_ready(worker, task)
        names = topics.names(task.prefix)
        reader = Reader(ground.bootstrap, names, ground.partitions)
        reader.start()
        _, warm = _send(ground.bootstrap, names.callbacks, WARM_UP_RATE, WARM_UP_S, seed=4)
        _catch_up(reader, warm)
        for number, (rate, seconds) in enumerate(rates):
            about = (ground.bootstrap, names.callbacks, rate, seconds)
            sent, written = _send(*about, seed=5 + number, progress=progress)
            time.sleep(REST_S)
            found[str(rate)] = {
                "sent": len(sent),
                "events": written.events,
                "alerts": written.alerts,
                "events_read": len(reader.events.keys() & sent.keys()),
                "events_ms": percentiles(reader.events, sent),
                "alerts_read": len(reader.alerts.keys() & sent.keys()),
                "alerts_ms": percentiles(reader.alerts, sent),
            }
        if not reader.is_alive():
            raise CandidateFailed("the reader of events and alerts has ended")
        reader.ending = True
        reader.join(10)
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(30)
        except subprocess.TimeoutExpired:
            raise CandidateFailed(f"the worker did not stop:\n{said(task)}") from None
    finally:
        end(worker)
        ground.drop_topics(task.prefix.rstrip("."))
    return {"rates": found, "worker": ground.result("standing_worker", task)}


def percentiles(read: dict[Place, float], sent: dict[Place, float]) -> dict[str, float]:
    """p50, p90, p99 and the longest, of the records in `sent`, in milliseconds."""
    took = sorted(at - sent[place] for place, at in read.items() if place in sent)
    if not took:
        return {}
    found = {f"p{share}": took[len(took) * share // 100] * 1e3 for share in (50, 90, 99)}
    return {**found, "max": took[-1] * 1e3, "n": len(took)}


def wait_ready(worker: subprocess.Popen[bytes], task: Task) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while not (Path(task.directory) / READY).exists():
        if worker.poll() is not None or time.monotonic() > limit:
            raise CandidateFailed(f"the worker did not start:\n{said(task)}")
        time.sleep(0.1)


def _catch_up(reader: Reader, written: Written) -> None:
    """Wait until the worker has nothing left of the warm-up."""
    limit = time.monotonic() + CATCH_UP_LIMIT_S
    while len(reader.events) < written.events and time.monotonic() < limit:
        time.sleep(0.1)


def _send(
    bootstrap: str,
    topic: str,
    rate: int,
    seconds: float,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[dict[Place, float], Written]:
    """Each callback at its time. Returns when the record at each (partition, offset) was handed over."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 0, "partitioner": "murmur2_random", "log_level": 2}
    )
    sent: dict[Place, float] = {}
    tally = Tally()

    def note(at: float) -> Callable[[Any, Any], None]:
        def delivered(error: Any, message: Any) -> None:
            if error is None:
                sent[message.partition(), message.offset()] = at

        return delivered

    failed = FAILED_SHARE if rate > FEW else FAILED_SHARE_OF_FEW
    # So many open calls that they are received at this rate. To make them costs as much as the worker's job.
    traffic = list(callbacks(rate * round(seconds), round(rate * OPEN_S), seed=seed, failed=failed))
    began = time.perf_counter()
    for number, record in enumerate(traffic):
        wait_s = began + number / rate - time.perf_counter()
        if wait_s > 0:
            producer.poll(0)
            time.sleep(wait_s)
        producer.produce(topic, record.value, record.key, on_delivery=note(time.perf_counter()))
        tally.add(record)
        if number % 100 == 0:
            producer.poll(0)
            if progress is not None:
                progress(number)
    producer.flush(30)
    return sent, tally.written
