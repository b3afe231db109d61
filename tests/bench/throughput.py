"""The same callbacks through each candidate, several rounds, and whether each did all of its job.

A candidate whose outputs are not what the callbacks call for has no number: it is shown with what is wrong.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests.bench.callbacks import Written
from tests.bench.ground import COMPACTED, CandidateFailed, Ground

CALLBACKS, FEWER_CALLBACKS = "bench-callbacks", "bench-callbacks-few"


class Candidate(NamedTuple):
    """`module` is its process, `topic` what it reads, `says` what the table calls it."""

    name: str
    module: str
    topic: str
    says: str
    store: str = "memory"


WORKER = Candidate("worker_memory", "full_job", CALLBACKS, "worker")
WORKER_ROCKSDB = Candidate("worker_rocksdb", "full_job", CALLBACKS, "worker, RocksDB", "rocksdb")
IDLE_LANES = Candidate("idle_lanes", "idle_lanes", CALLBACKS, "lanes, no job")
PLAIN_FAUST = Candidate("plain_faust", "plain_faust", FEWER_CALLBACKS, "plain Faust")
QUIX = Candidate("quix_streams", "quix_streams", CALLBACKS, "Quix Streams")
BARE_LOOP = Candidate("bare_loop", "bare_loop", CALLBACKS, "bare loop")
CANDIDATES = (WORKER, WORKER_ROCKSDB, IDLE_LANES, QUIX, PLAIN_FAUST, BARE_LOOP)


def measure(
    ground: Ground,
    written: Mapping[str, Written],
    rounds: int,
    starting: Callable[[int, Candidate], None],
    in_time: Callable[[], bool],
) -> dict[str, Any]:
    """Each candidate's rounds and their medians, by its name. No round begins when time is over."""
    found: dict[str, list[dict[str, Any]]] = {}
    wrong: dict[str, str] = {}
    for number in range(rounds):
        if number and not in_time():
            break
        for candidate in CANDIDATES:
            if candidate.name in wrong:
                continue
            starting(number + 1, candidate)
            try:
                result = run(ground, candidate, written[candidate.topic])
            except CandidateFailed as error:
                wrong[candidate.name] = str(error)
                continue
            found.setdefault(candidate.name, []).append(result)
            complaint = differs(candidate, result, written[candidate.topic])
            if complaint:
                wrong[candidate.name] = complaint
    return {
        candidate.name: {
            "says": candidate.says,
            "rounds": found.get(candidate.name, []),
            "median": medians(found.get(candidate.name, [])),
            "to_quix": ratio(found.get(candidate.name, []), found.get(QUIX.name, [])),
            "wrong": wrong.get(candidate.name),
        }
        for candidate in CANDIDATES
    }


def run(ground: Ground, candidate: Candidate, written: Written) -> dict[str, Any]:
    """One run of one candidate. Raises CandidateFailed."""
    task = ground.task(candidate.name, topic=candidate.topic, records=written.records, store=candidate.store)
    if candidate.module == "plain_faust":
        ground.make_topic(task.prefix + "plain-calls-changelog", COMPACTED)
        ground.make_topic(task.prefix + "plain-alerts")
    if candidate.module == "bare_loop":
        ground.make_topic(task.prefix + "bare-calls-changelog", COMPACTED)
        ground.make_topic(task.prefix + "bare-alerts")
    if candidate.module == "quix_streams":  # it makes its changelog itself, with as many partitions
        ground.make_topic(task.prefix + "quix-alerts")
    return ground.run(candidate.module, task)


def differs(candidate: Candidate, result: Mapping[str, Any], written: Written) -> str | None:
    """What a candidate's outputs are not. None: they are what the callbacks call for."""
    wanted: dict[str, int] = {"records": written.records}
    if candidate.module == "full_job":
        wanted |= {"events": written.events, "alerts": written.alerts, "dead_letters": 0}
    elif candidate.module != "idle_lanes":
        wanted |= {"states": written.events, "alerts": written.failed_events}
    unlike = [f"{n} {name}, not {result[name]}" for name, n in wanted.items() if result[name] != n]
    return "should be " + ", ".join(unlike) if unlike else None


def ratio(rounds: list[dict[str, Any]], others: list[dict[str, Any]]) -> float | None:
    """The median of how often one has the other's CPU time, each compared in its own round."""
    pairs = [one["cpu_us"] / other["cpu_us"] for one, other in zip(rounds, others, strict=False)]
    return statistics.median(pairs) if pairs else None


def medians(rounds: list[dict[str, Any]]) -> dict[str, float]:
    """The median of every number."""
    if not rounds:
        return {}
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
