"""A whole bench run: what is asked for, in order, on one broker, within its time.

A part that fails says so in its place and the next one goes on.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from typing import Any

import msgspec

from tests.bench import callbacks, gateway, latency, recovery, through, throughput
from tests.bench.ground import CandidateFailed, Ground, ground

PARTS = ("throughput", "stages", "gateway", "latency", "through", "recovery")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure and how much of it. `limit_s`: no new round of throughput begins after that long."""

    parts: tuple[str, ...] = PARTS
    records: int = 400_000
    few_records: int = 40_000
    rounds: int = 3
    open_calls: int = 4000
    partitions: int = 12
    rate: int = 1000
    seconds: int = 12
    calls: int = 1_000_000
    requests: int = 30_000
    limit_s: float = 200.0


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
            "python": platform.python_version(),
            "system": platform.platform(),
            "load_before": os.getloadavg()[0],
        },
    }
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
    result["seconds"] = time.monotonic() - began
    return result


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
    say.step(f"latency at {plan.rate}/s", plan.rate * plan.seconds)
    return latency.measure(made, plan.rate, plan.seconds, say.at)


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
