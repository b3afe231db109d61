"""From a callback that the gateway has acknowledged to its alert, readable by a read_committed consumer.

All real parts at a steady rate: signed HTTP, gateway, Kafka, worker, Kafka. Both clocks are the machine's own
monotonic one. On a small machine what sends and what reads takes its share of the processors too.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition

from stream.kafka import topics
from tests.bench.callbacks import OPEN_S
from tests.bench.candidate import Task
from tests.bench.gateway import apply_load, port_of
from tests.bench.ground import CandidateFailed, Ground, end, said
from tests.bench.http_load import Load
from tests.bench.latency import FAILED_SHARE, REST_S, WARM_UP_S, wait_ready

CONNECTIONS = 200


class AlertReader(threading.Thread):
    """Notes when each call's alert could be read."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        super().__init__(daemon=True)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": topic + "-through",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
                "fetch.queue.backoff.ms": 1,
                "log_level": 2,
            }
        )
        self._consumer.assign([TopicPartition(topic, n, 0) for n in range(partitions)])
        self.ending = False
        self.read_at: dict[str, float] = {}

    def run(self) -> None:
        while not self.ending:
            for message in self._consumer.consume(100, 0.005):
                now, value = time.perf_counter(), message.value()
                if message.error() is None and value is not None:
                    self.note(orjson.loads(value), now)
        self._consumer.close()

    def note(self, alert: dict[str, Any], now: float) -> None:
        """The first time of a call counts. An alert about an endpoint or an account has no call."""
        if alert["call"] is not None:
            self.read_at.setdefault(alert["call"]["id"], now)


def measure(ground: Ground, rate: int, seconds: int) -> dict[str, Any]:
    """Percentiles in milliseconds. Raises CandidateFailed."""
    task = ground.task("through")
    worker = ground.start("standing_worker", task)
    gateway = ground.start("gateway_process", task)
    try:
        wait_ready(worker, task)
        port = port_of(gateway, task)
        reader = AlertReader(ground.bootstrap, topics.names(task.prefix).alerts, ground.partitions)
        reader.start()
        about = {"port": port, "connections": CONNECTIONS, "rate": float(rate), "out": ""}
        about |= {"open_calls": round(rate * OPEN_S), "failed": FAILED_SHARE}
        apply_load(task, Load(requests=round(rate * WARM_UP_S), seed=4, **about))
        found = apply_load(task, Load(requests=rate * seconds, seed=3, **about))
        time.sleep(REST_S)
        reader.ending = True
        reader.join(10)
        _stop(gateway, task)
        _stop(worker, task)
    finally:
        end(worker)
        end(gateway)
        ground.drop_topics(task.prefix.rstrip("."))
    return {
        "rate": rate,
        "answers": found["statuses"],
        "answer_ms": found["ms"].get("204", {}),
        "alerts": len(found["failed_calls"]),
        "alerts_ms": took_ms(found["failed_calls"], reader.read_at),
    }


def took_ms(acknowledged: Mapping[str, float], read: Mapping[str, float]) -> dict[str, float]:
    """From the acknowledgement of a call's end to its alert; an alert can be there first."""
    took = sorted(read[call] - at for call, at in acknowledged.items() if call in read)
    if not took:
        return {}
    shares = {f"p{share}": took[len(took) * share // 100] * 1e3 for share in (50, 90, 99)}
    return {**shares, "max": took[-1] * 1e3, "n": len(took)}


def _stop(process: subprocess.Popen[bytes], task: Task) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        raise CandidateFailed(f"it did not stop:\n{said(task)}") from None
