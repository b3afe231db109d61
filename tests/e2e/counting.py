"""The load of the counting worker, and the comparison of its outputs with what was sent."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from stream.kafka import topics
from tests.e2e.harness import (
    ReadRecord,
    RecordToSend,
    WorkerProcess,
    differing_repeats,
    latest,
    more_than_once,
    read_topic,
)

WORKER = Path(__file__).with_name("counting_worker.py")


class CountDifferences(NamedTuple):
    """What differs from what was sent. Everything but `aborted` and `ticks` must be zero."""

    lost: int
    """Events that are missing in the changelog's states."""
    doubled: int
    """Events that the states applied more than once."""
    outputs_lost: int
    outputs_twice: int
    """As a reader of committed records sees them."""
    unlike: int
    """Repetitions, for a reader of uncommitted records, that differ from what they repeat."""
    aborted: int
    """Outputs that only a reader of uncommitted records sees. Not a fault."""
    ticks: int

    @property
    def faults(self) -> CountDifferences:
        """Only what must be zero."""
        return self._replace(aborted=0, ticks=0)


NO_FAULTS = CountDifferences(0, 0, 0, 0, 0, 0, 0)


class Workload:
    """`count` records over `keys` keys, two topics and `partitions` partitions, in a shuffled but fixed
    order.
    """

    def __init__(self, names: topics.Topics, count: int, partitions: int, keys: int = 500) -> None:
        self.names = names
        self.records: list[RecordToSend] = []
        self.counts: dict[bytes, Counter[str]] = defaultdict(Counter)
        pad = "x" * 200
        for number in range(count):
            key_number = number * 7919 % keys
            key = b"key-%05d" % key_number
            topic = names.callbacks if number * 31 % 5 < 3 else names.polled
            sequence = self.counts[key][topic]
            self.counts[key][topic] += 1
            body = orjson.dumps({"s": sequence, "pad": pad})
            self.records.append(RecordToSend(topic, key_number % partitions, key, body))

    @property
    def sources(self) -> list[str]:
        """The source topics."""
        return [self.names.callbacks, self.names.polled]


def worker(
    bootstrap: str,
    prefix: str,
    directory: Path,
    name: str = "a",
    *,
    partitions: int,
    store: str = "memory",
    environ: Mapping[str, str] | None = None,
) -> WorkerProcess:
    """A counting worker, not started. `directory` keeps its log and its store."""
    return WorkerProcess(
        [*LAUNCHER, str(WORKER)],
        {
            "CALLSTREAM_KAFKA": bootstrap,
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_PARTITIONS": str(partitions),
            "CALLSTREAM_DATA_DIR": str(directory / f"data-{name}"),
            "CALLSTREAM_STORE": store,
            "CALLSTREAM_MAX_ERRORS_IN_A_ROW": "10",
            **(environ or {}),
        },
        directory / f"worker-{name}.log",
    )


def compare(bootstrap: str, workload: Workload) -> CountDifferences:
    """Compares what a reader finds with what was sent."""
    names = workload.names
    states = {
        key: orjson.loads(state) for key, state in latest(read_topic(bootstrap, names.changelog)).items()
    }
    lost = doubled = 0
    for key, sent in workload.counts.items():
        state = states.get(key, {"seen": {}, "n": 0})
        known = sum(int(mask, 16).bit_count() for mask in state["seen"].values())
        lost += sum(sent.values()) - known
        doubled += state["n"] - known
    ticked = sum(state["n"] for key, state in states.items() if key.startswith(b"tick:"))
    committed = read_topic(bootstrap, names.events)
    uncommitted = read_topic(bootstrap, names.events, committed=False)
    sent_events = {
        (key.decode(), topic, number)
        for key, topics_of in workload.counts.items()
        for topic, count in topics_of.items()
        for number in range(count)
    }
    bodies = [orjson.loads(record.value or b"") for record in committed]
    out = {(body["key"], body["topic"], body["s"]) for body in bodies if body["topic"] != names.ticks}
    twice = sum(count - 1 for count in more_than_once(map(_identity, committed)).values())
    sums = CountDifferences(
        lost=lost,
        doubled=doubled,
        outputs_lost=len(sent_events - out),
        outputs_twice=twice,
        unlike=len(differing_repeats(uncommitted, _identity)),
        aborted=len(uncommitted) - len(committed),
        ticks=ticked,
    )
    print(sums, file=sys.stderr)
    return sums


def _identity(record: ReadRecord) -> tuple[Any, ...]:
    body = orjson.loads(record.value or b"")
    return (body["topic"], record.partition, body["offset"])


LAUNCHER: tuple[str, ...] = ()
