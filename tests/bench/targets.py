"""What is aimed at, and how to find it in a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Target(NamedTuple):
    """`path` leads to the number in a result; with `over` it is divided by that other one.

    `floor`: what is accepted if the goal is missed; None: nothing else.
    """

    name: str
    says: str
    path: str
    least: float | None = None
    most: float | None = None
    over: str | None = None
    floor: float | None = None

    def value(self, result: Mapping[str, Any]) -> float | None:
        """The number that was measured, None if it was not."""
        value = _find(result, self.path)
        if value is None or self.over is None:
            return value
        other = _find(result, self.over)
        return value / other if other else None

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def accepted(self, value: float) -> bool:
        """Met, or within the floor."""
        if self.floor is None:
            return self.met(value)
        return value >= self.floor if self.least is not None else value <= self.floor

    def wanted(self) -> str:
        return f"≥ {self.least:,g}" if self.least is not None else f"≤ {self.most:,g}"

    def text(self, value: float) -> str:
        return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


def _find(result: Any, path: str) -> float | None:
    for name in path.split("."):
        result = result.get(name) if isinstance(result, Mapping) else None
    return result if isinstance(result, int | float) else None


def _median(candidate: str, number: str) -> str:
    return f"throughput.{candidate}.median.{number}"


def _most(name: str, says: str, path: str, goal: float, floor: float, over: str | None = None) -> Target:
    return Target(name, says, path, most=goal, floor=floor, over=over)


TARGETS = (
    _most(
        "worker_memory.to_quix",
        "worker in times Quix Streams, CPU",
        "throughput.worker_memory.to_quix",
        1.1,
        1.4,
    ),
    _most("worker_memory.cpu_us", "worker, CPU µs", _median("worker_memory", "cpu_us"), 25, 32),
    Target(
        "worker_memory.events_per_s",
        "worker, deliveries/s",
        _median("worker_memory", "events_per_s"),
        least=40_000,
        floor=28_000,
    ),
    _most(
        "rocksdb",
        "RocksDB in times memory, CPU",
        _median("worker_rocksdb", "cpu_us"),
        1.15,
        1.25,
        over=_median("worker_memory", "cpu_us"),
    ),
    _most(
        "worker_memory.bytes_out", "bytes out a callback", _median("worker_memory", "bytes_out"), 1100, 1300
    ),
    _most(
        "life.to_quix",
        "a call's whole life in times a callback of Quix Streams, CPU",
        "offline.life.us",
        60,
        95,
        over=_median("quix_streams", "cpu_us"),
    ),
    *(
        _most(
            f"ordinary.{rate}.{role}", f"{role} at {rate}/s, cores", f"ordinary.{rate}.cores.{role}", *limits
        )
        for role, by_rate in {
            "worker": {0: (0.01, 0.02), 10: (0.03, 0.05), 100: (0.08, 0.14)},
            "broker": {0: (0.02, 0.04), 10: (0.06, 0.10), 100: (0.12, 0.22)},
            "poller": {100: (0.05, 0.08)},
        }.items()
        for rate, limits in by_rate.items()
    ),
    *(
        _most(
            f"latency.{rate}.alerts.{share}",
            f"callback → alert at {rate:,}/s, {share} ms",
            f"latency.rates.{rate}.alerts_ms.{share}",
            *limits,
        )
        for rate in (1, 10, 100, 1000)
        for share, limits in {"p50": (120, 150), "p99": (250, 300)}.items()
    ),
    Target("gateway.full.per_s", "gateway, callbacks/s", "gateway.full.per_s", least=3000),
    Target("gateway.half.p99", "gateway at half rate, p99 ms", "gateway.half.ms.204.p99", most=100),
    _most("through.alerts.p50", "gateway's answer → alert, p50 ms", "through.alerts_ms.p50", 120, 150),
    _most("through.alerts.p99", "gateway's answer → alert, p99 ms", "through.alerts_ms.p99", 250, 300),
    *(
        Target(f"archive.{name}.per_s", f"archive, {name}, events/s", f"archive.{name}.per_s", least=least)
        for name, least in {"sqlite": 20_000, "postgresql": 15_000}.items()
    ),
    *(
        Target(
            f"archive.{name}.{what}", f"archive, {name}, {says}, p99 ms", f"archive.{name}.{path}", most=most
        )
        for name in ("sqlite", "postgresql")
        for what, says, path, most in (
            ("call", "a call", "questions_ms.call.p99", 20),
            ("lists", "the slowest list", "slowest_list_ms", 200),
            ("overview", "overview", "questions_ms.overview.p99", 300),
        )
    ),
    Target("recovery.memory", "recovery, memory, s", "recovery.memory.seconds", most=20),
    Target("recovery.rocksdb", "recovery, RocksDB, s", "recovery.rocksdb.seconds", most=40),
)
