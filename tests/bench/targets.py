"""What is aimed at, and how to find it in a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Target(NamedTuple):
    """`path` leads to the number in a result; with `over` it is divided by that other one."""

    name: str
    says: str
    path: str
    least: float | None = None
    most: float | None = None
    over: str | None = None

    def value(self, result: Mapping[str, Any]) -> float | None:
        """The number that was measured, None if it was not."""
        value = _find(result, self.path)
        if value is None or self.over is None:
            return value
        other = _find(result, self.over)
        return value / other if other else None

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def wanted(self) -> str:
        return f"≥ {self.least:,g}" if self.least is not None else f"≤ {self.most:,g}"

    def text(self, value: float) -> str:
        return f"{value:,.1f}"


def _find(result: Any, path: str) -> float | None:
    for name in path.split("."):
        result = result.get(name) if isinstance(result, Mapping) else None
    return result if isinstance(result, int | float) else None


def _median(candidate: str, number: str) -> str:
    return f"throughput.{candidate}.median.{number}"


TARGETS = (
    Target(
        "worker_memory.events_per_s",
        "worker, deliveries/s",
        _median("worker_memory", "events_per_s"),
        least=40_000,
    ),
    Target("worker_memory.cpu_us", "worker, CPU µs", _median("worker_memory", "cpu_us"), most=25),
    Target(
        "worker_rocksdb.events_per_s",
        "worker with RocksDB, deliveries/s",
        _median("worker_rocksdb", "events_per_s"),
        least=35_000,
    ),
    Target(
        "ratio",
        "worker in times plain Faust",
        _median("worker_memory", "events_per_s"),
        least=10,
        over=_median("plain_faust", "events_per_s"),
    ),
    Target("gateway.full.per_s", "gateway, callbacks/s", "gateway.full.per_s", least=3000),
    Target("gateway.half.p99", "gateway at half rate, p99 ms", "gateway.half.ms.204.p99", most=100),
    Target("latency.alerts.p50", "callback → alert, p50 ms", "latency.alerts_ms.p50", most=80),
    Target("latency.alerts.p99", "callback → alert, p99 ms", "latency.alerts_ms.p99", most=250),
    Target("through.alerts.p50", "gateway's answer → alert, p50 ms", "through.alerts_ms.p50", most=80),
    Target("through.alerts.p99", "gateway's answer → alert, p99 ms", "through.alerts_ms.p99", most=250),
    Target("recovery.memory", "recovery, memory, s", "recovery.memory.seconds", most=20),
    Target("recovery.rocksdb", "recovery, RocksDB, s", "recovery.rocksdb.seconds", most=40),
)
