"""The gateway under load: signed form callbacks to their answers, which come after Kafka's acknowledgement.

At full speed, at half of the target rate, and with more concurrent requests than it accepts. Every request
answered with 204 must be in Kafka, or the run gives no result.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from stream.kafka import topics
from tests.bench.candidate import Task
from tests.bench.gateway_process import ADDRESS
from tests.bench.ground import ROOT, CandidateFailed, Ground, end, said
from tests.bench.http_load import Load

START_LIMIT_S = 60.0
LOAD_LIMIT_S = 180.0
WARM_UP = 3000
FULL_CONNECTIONS = 64
HALF_RATE = 1500
CROWD = 2500
"""Connections of the overload: more than the requests that a gateway works on."""


def measure(ground: Ground, requests: int, seconds: int) -> dict[str, Any]:
    """`requests` at full speed, then `seconds` at half rate, then an overload. Raises CandidateFailed."""
    task = ground.task("gateway")
    process = ground.start("gateway_process", task)
    try:
        port = port_of(process, task)
        apply_load(task, Load(port=port, requests=WARM_UP, connections=32, out=""))
        found: dict[str, Any] = {}
        found["full"] = _measured(
            process, task, Load(port=port, requests=requests, connections=FULL_CONNECTIONS, out="")
        )
        half = Load(port=port, requests=HALF_RATE * seconds, connections=200, rate=HALF_RATE, out="")
        found["half"] = _measured(process, task, half)
        found["overload"] = _measured(
            process, task, Load(port=port, requests=requests, connections=CROWD, out="")
        )
        acknowledged = WARM_UP + sum(found[name]["statuses"].get("204", 0) for name in found)
        there = _count(ground, topics.names(task.prefix).callbacks)
        if there < acknowledged:
            raise CandidateFailed(f"{acknowledged} callbacks were acknowledged, {there} are in Kafka")
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        return {**found, "rss_mb": ground.result("gateway_process", task)["rss_mb"]}
    finally:
        end(process)
        ground.drop_topics(task.prefix.rstrip("."))


def port_of(process: subprocess.Popen[bytes], task: Task) -> int:
    limit = time.monotonic() + START_LIMIT_S
    address = Path(task.directory) / ADDRESS
    while not address.exists():
        if process.poll() is not None or time.monotonic() > limit:
            raise CandidateFailed(f"the gateway did not start:\n{said(task)}")
        time.sleep(0.1)
    return int(address.read_text().rpartition(":")[2])


def _measured(process: subprocess.Popen[bytes], task: Task, load: Load) -> dict[str, Any]:
    before = cpu_s(process.pid)
    found = apply_load(task, load)
    found.pop("failed_calls")
    after = cpu_s(process.pid)
    if before is not None and after is not None:
        found["cpu_us"] = (after - before) / found["requests"] * 1e6
    return found


def apply_load(task: Task, load: Load) -> dict[str, Any]:
    load.out = str(Path(task.directory) / "load.json")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.http_load", msgspec.json.encode(load).decode()],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=LOAD_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise CandidateFailed(f"the load failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    found: dict[str, Any] = json.loads(Path(load.out).read_text())
    return found


def cpu_s(pid: int) -> float | None:
    """CPU seconds of a running process, None where the system does not provide them."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _count(ground: Ground, topic: str) -> int:
    """Records in a topic."""
    consumer = Consumer({"bootstrap.servers": ground.bootstrap, "group.id": "none", "log_level": 2})
    try:
        return sum(
            consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=20)[1]
            for n in range(ground.partitions)
        )
    finally:
        consumer.close()
