"""A whole bench run: what is asked for, in order, on one broker, within its time.

A part that fails says so in its place and the next one goes on.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import sysconfig
import time
from collections.abc import Callable
from typing import Any

import msgspec

from tests.bench import (
    archive,
    callbacks,
    gateway,
    latency,
    offline,
    ordinary,
    pairs,
    recovery,
    through,
    throughput,
)
from tests.bench.ground import CandidateFailed, Ground, ground

PARTS = (
    "offline",
    "throughput",
    "stages",
    "gateway",
    "latency",
    "through",
    "recovery",
    "archive",
    "ordinary",
)
NEED_NO_BROKER = {"offline", "archive", "ordinary"}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure and how much of it. `limit_s`: no new round of throughput begins after that long."""

    parts: tuple[str, ...] = PARTS
    records: int = 400_000
    few_records: int = 40_000
    rounds: int = 5
    open_calls: int = 4000
    partitions: int = 12
    rate: int = 1000
    seconds: int = 12
    calls: int = 1_000_000
    requests: int = 30_000
    offline_calls: int = 1000
    archived: int = 200_000
    latency: tuple[tuple[int, int], ...] = latency.RATES
    ordinary_s: tuple[float, float] = (ordinary.WARM_S, ordinary.MEASURED_S)
    limit_s: float = 600.0


class Say:
    """Told how far it is. This one says nothing."""

    def step(self, what: str, total: int | None = None) -> None:
        """Something begins."""

    def at(self, count: int) -> None:
        """So much of it is done."""


def run(plan: Plan, say: Say) -> dict[str, Any]:
    """Everything that the plan asks for."""
    began = time.monotonic()
    result: dict[str, Any] = {
        "plan": msgspec.to_builtins(plan),
        "machine": {
            "cores": os.cpu_count(),
            "python": python_build(),
            "system": platform.platform(),
            "load_before": os.getloadavg()[0],
        },
    }
    if "offline" in plan.parts:
        result["offline"] = _offline(plan, say)
    if set(plan.parts) - NEED_NO_BROKER:
        _on_a_broker(plan, say, result)
    if "archive" in plan.parts:
        say.step(f"writing {plan.archived:,} events into each archive, and asking")
        result["archive"] = _or_failed(lambda: archive.measure(plan.archived, questions=True))
    if "ordinary" in plan.parts:
        warm_s, measured_s = plan.ordinary_s
        result["ordinary"] = _or_failed(
            lambda: ordinary.measure(warm_s=warm_s, measured_s=measured_s, say=say.step)
        )
    result["seconds"] = time.monotonic() - began
    return result


def _on_a_broker(plan: Plan, say: Say, result: dict[str, Any]) -> None:
    began = time.monotonic()
    say.step("starting a Kafka of our own")
    with ground(plan.partitions) as made:
        written = _write(made, plan, say)
        if written:
            result["callbacks"] = msgspec.to_builtins(written)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "throughput": lambda: _throughput(made, plan, written, say, began),
            "stages": lambda: _stages(made, written, say),
            "gateway": lambda: _gateway(made, plan, say),
            "latency": lambda: _latency(made, plan, say),
            "through": lambda: _through(made, plan, say),
            "recovery": lambda: _recovery(made, plan, say),
        }
        for name, part in parts.items():
            if name in plan.parts:
                result[name] = _or_failed(part)
        say.step("stopping Kafka")
    if "stages_us" in result.get("stages", {}):
        result["stages"]["summary_us"] = summary(result)


def _or_failed(part: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return part()
    except CandidateFailed as error:
        return {"failed": str(error)}


def _write(made: Ground, plan: Plan, say: Say) -> dict[str, callbacks.Written]:
    if not {"throughput", "stages"} & set(plan.parts):
        return {}
    say.step("writing the callbacks", plan.records)
    counts = {
        throughput.CALLBACKS: plan.records,
        throughput.FEWER_CALLBACKS: min(plan.few_records, plan.records),
    }
    for topic in counts:
        made.make_topic(topic)
    return callbacks.write(made.bootstrap, counts, plan.open_calls, say.at)


def python_build() -> dict[str, Any]:
    """The interpreter: its version, what its build says of itself, and how fast it is.

    `loop_us`: processor time of a small loop. Debian's interpreter is optimised and does not say so: its
    configuration describes the shared library.
    """
    config = f"{sysconfig.get_config_var('CONFIG_ARGS')} {sysconfig.get_config_var('PY_CFLAGS')}"
    return {
        "version": platform.python_version(),
        "pgo": "--enable-optimizations" in config or "-fprofile-use" in config,
        "lto": "--with-lto" in config or "-flto" in config,
        "loop_us": min(_loop_us() for _ in range(9)),
    }


def _loop_us() -> float:
    began = time.process_time()
    sum(number % 7 for number in range(50_000))
    return (time.process_time() - began) * 1e6


def _offline(plan: Plan, say: Say) -> dict[str, Any]:
    """Medians of the jobs without Kafka, in turn."""
    rounds: dict[str, list[dict[str, Any]]] = {job: [] for job in offline.JOBS}
    for number in range(plan.rounds):
        for job, found in rounds.items():
            say.step(f"round {number + 1} of {plan.rounds} without Kafka: {job}")
            found += pairs.run([pairs.ROOT], sys.executable, job, plan.offline_calls, seed=1)
    return {
        job: {**found[-1], "us": statistics.median(one["us"] for one in found), "rounds": len(found)}
        for job, found in rounds.items()
    }


def _throughput(
    made: Ground, plan: Plan, written: dict[str, callbacks.Written], say: Say, began: float
) -> dict[str, Any]:
    def starting(number: int, candidate: throughput.Candidate) -> None:
        say.step(f"round {number} of {plan.rounds}: {candidate.says}")

    def in_time() -> bool:
        return time.monotonic() - began < plan.limit_s

    return throughput.measure(made, written, plan.rounds, starting, in_time)


def _stages(made: Ground, written: dict[str, callbacks.Written], say: Say) -> dict[str, Any]:
    say.step("the stages of the worker, one by one")
    task = made.task("stages", topic=throughput.CALLBACKS, records=written[throughput.CALLBACKS].records)
    return made.run("stages", task)


def _gateway(made: Ground, plan: Plan, say: Say) -> dict[str, Any]:
    say.step("the gateway: full speed, half of it, too many at once")
    return gateway.measure(made, plan.requests, plan.seconds)


def _latency(made: Ground, plan: Plan, say: Say) -> dict[str, Any]:
    say.step(f"latency at {', '.join(str(rate) for rate, _ in plan.latency)} a second")
    return latency.measure(made, plan.latency)


def _through(made: Ground, plan: Plan, say: Say) -> dict[str, Any]:
    say.step(f"from the gateway to the alert at {plan.rate}/s")
    return through.measure(made, plan.rate, plan.seconds)


def _recovery(made: Ground, plan: Plan, say: Say) -> dict[str, Any]:
    say.step("filling a changelog", plan.calls)
    return recovery.measure(
        made, plan.calls, writing=say.at, reading=lambda store: say.step(f"recovery, {store}")
    )


def summary(result: dict[str, Any]) -> dict[str, float]:
    """The stages, with what the lanes cost around them where throughput was measured too. CPU µs."""
    stages = result["stages"]
    found: dict[str, float] = {name.replace("_", " "): us for name, us in stages["stages_us"].items()}
    found["the job, all of it"] = stages["job_us"]
    found["count, after the commit"] = stages["count_us"]
    for way, us in stages.get("masking_us", {}).items():
        found[f"of it masked {way}" if way == "by value" else f"masked {way}"] = us
    medians = {name: one["median"] for name, one in result.get("throughput", {}).items() if name != "failed"}
    idle, worker = medians.get("idle_lanes"), medians.get("worker_memory")
    if idle and worker:
        found["fetch, queue (lanes alone)"] = idle["cpu_us"]
        found["produce, commit, store, and what else there is"] = (
            worker["cpu_us"] - idle["cpu_us"] - stages["job_us"] - stages["count_us"]
        )
        found["the worker, all of it"] = worker["cpu_us"]
    return found
