"""Simulated calls as a fault run sends them, and what a worker that nothing disturbs makes of them.

The rule of this file: no broker. The same deliveries go to Kafka and through the job in this process.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import orjson

from agents.processor import CallProcessor
from stream.core.call.state import Call, load
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.core.sources import POLLED_SOURCES
from stream.kafka import topics
from stream.service.metrics.label_values import LabelValues
from stream.service.metrics.worker import WorkerMetrics
from stream.simulator.calls.options import Options
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.delivery.record_writer import key_hash
from stream.simulator.run import traffic_for
from tests.e2e.harness import ToSend

OF_ARRIVAL = ("revision", "id", "arrival", "updated_at")
"""What the order of arrival may change in a call record."""

BATCH = 500


class Story:
    """Deliveries of `calls` simulated calls in a fixed order, and the truth of them.

    Callbacks and polled rows of the same calls, of both providers, a tenth twice, a tenth out of order.
    `deliveries` cuts it off: then the truth is of what was delivered.
    """

    def __init__(
        self, prefix: str, partitions: int, calls: int, *, seed: int = 1, deliveries: int | None = None
    ) -> None:
        self.names = topics.names(prefix)
        self.group = topics.app_id(prefix)
        self.prefix = prefix
        self.partitions = partitions
        options = Options(
            calls=calls,
            duplicates=0.1,
            reorder=0.1,
            failed=0.1,
            telnyx=0.3,
            seed=seed,
            start_us=time.time_ns() // 1000,
        )
        traffic = traffic_for(prefix, options)
        self.records = [
            ToSend(record.topic, key_hash(record.key) % partitions, record.key, record.value)
            for record in islice(traffic, deliveries)
        ]
        assert traffic.expected is not None
        self.expected: ExpectedOutputs = traffic.expected

    @property
    def sources(self) -> list[str]:
        """The topics it is sent to."""
        return [self.names.callbacks, self.names.polled]

    def deliveries_by_key(self) -> Counter[bytes]:
        """How often each call must have been told of something."""
        return Counter(record.key for record in self.records if record.key is not None)


class Undisturbed(NamedTuple):
    """What one worker that nothing happens to leaves behind."""

    states: dict[bytes, bytes]
    records: dict[str, dict[str, Any]]
    """The last call record of each call, without what depends on arrival."""


class _Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def undisturbed(story: Story) -> Undisturbed:
    """The story through the job, in its order, in this process."""
    names = story.names
    roles = {getattr(names, field.name): field.name for field in dataclasses.fields(names)}
    metrics = WorkerMetrics(LabelValues(account_alias="default", topics=roles))
    job = CallProcessor(
        names,
        CallPolicy(polled=POLLED_SOURCES),
        Privacy("masked", ""),
        metrics,
        deployment=story.prefix.rstrip("."),
        errors_limit=1,
    )
    states: dict[bytes, bytes] = {}
    said: list[bytes] = []
    by_partition: dict[int, list[_Record]] = defaultdict(list)
    offsets: Counter[tuple[str, int]] = Counter()
    for record in story.records:
        place = (record.topic, record.partition)
        by_partition[record.partition].append(_Record(*place, offsets[place], 0, record.key, record.value))
        offsets[place] += 1
    for partition, records in by_partition.items():
        job.partition_assigned(partition, ())
        for at in range(0, len(records), BATCH):
            made = job.process(partition, records[at : at + BATCH], states.get)  # type: ignore[arg-type]
            for key, state in made.states.items():
                assert state is not None, "nothing ends so soon"
                states[key] = state
            said += [output.value or b"" for output in made.outputs.get(names.ended, ())]
            made.committed()
    return Undisturbed(states, last_records(said))


def last_records(values: Iterable[bytes]) -> dict[str, dict[str, Any]]:
    """The record with the highest revision of each call, without what depends on arrival."""
    last: dict[str, dict[str, Any]] = {}
    for record in map(orjson.loads, values):
        known = last.get(record["key"])
        if known is None or known["revision"] < record["revision"]:
            last[record["key"]] = record
    return {
        key: {name: value for name, value in record.items() if name not in OF_ARRIVAL}
        for key, record in last.items()
    }


def knowledge(stored: bytes) -> Any:
    """What a state knows, without what depends on arrival and ticks, in one order."""
    call: Call = load(stored)
    call.lifecycle.sort(key=lambda entry: entry.fingerprint)
    known: dict[str, Any] = msgspec.structs.asdict(call)
    for name in ("arrival", "due_s", "gaps_open", "overdue", "fetches", "complete"):
        del known[name]
    return known


def deliveries_of(stored: bytes) -> int:
    """How many deliveries a state says that it has taken in."""
    return load(stored).arrival.deliveries
