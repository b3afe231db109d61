"""Simulated calls as a fault run sends them, and the outputs of a worker without faults. Needs no broker.

The same deliveries go to Kafka and through the job in this process.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import orjson

from agents.processor import CallProcessor
from stream.core.alerting.scopes import is_scope
from stream.core.call.lifecycle import lifecycle_of
from stream.core.call.record import revise
from stream.core.call.state import Call, load
from stream.core.delivery.subscriptions import KEY as SUBSCRIPTIONS_KEY
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.core.sources import POLLED_SOURCES
from stream.kafka import topics
from stream.service.metrics.worker import WorkerMetrics
from stream.simulator.calls.options import Options
from stream.simulator.check.expected_outputs import ExpectedOutputs
from stream.simulator.delivery.record_writer import key_hash
from stream.simulator.run import traffic_for
from tests.e2e.harness import RecordToSend

OF_ARRIVAL = ("revision", "id", "arrival", "updated_at", "gaps")
"""Fields of a call record that depend on the order of arrival, or on ticks: a gap is told when its grace
period is over, and here no time goes on.
"""

BATCH = 500

POLICY = CallPolicy(polled=POLLED_SOURCES)
"""A worker's, without settings of its own."""


class SimulatedLoad:
    """Deliveries of `calls` simulated calls in a fixed order, and their expected outputs.

    Callbacks and polled rows of the same calls, of both providers, a tenth twice, a tenth out of order.
    """

    def __init__(self, prefix: str, partitions: int, calls: int, *, seed: int = 1) -> None:
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
            RecordToSend(record.topic, key_hash(record.key) % partitions, record.key, record.value)
            for record in traffic
        ]
        assert traffic.expected is not None
        self.expected: ExpectedOutputs = traffic.expected

    @property
    def sources(self) -> list[str]:
        """The source topics."""
        return [self.names.callbacks, self.names.polled]

    def deliveries_by_key(self) -> Counter[bytes]:
        """The number of deliveries of each call."""
        return Counter(record.key for record in self.records if record.key is not None)


class UndisturbedOutputs(NamedTuple):
    """The states and records after a run without faults."""

    states: dict[bytes, bytes]
    records: dict[str, dict[str, Any]]
    """The last call record of each call, without fields that depend on the order of arrival."""


class _Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def undisturbed_outputs(sent: SimulatedLoad) -> UndisturbedOutputs:
    """The load through the job, in its order, in this process."""
    names = sent.names
    metrics = WorkerMetrics(topics=topics.roles(names))
    job = CallProcessor(
        names,
        POLICY,
        Privacy("masked", ""),
        metrics,
        deployment=sent.prefix.rstrip("."),
        errors_limit=1,
    )
    states: dict[bytes, bytes] = {}
    said: list[bytes] = []
    by_partition: dict[int, list[_Record]] = defaultdict(list)
    offsets: Counter[tuple[str, int]] = Counter()
    for record in sent.records:
        place = (record.topic, record.partition)
        by_partition[record.partition].append(_Record(*place, offsets[place], 0, record.key, record.value))
        offsets[place] += 1
    for partition in range(sent.partitions):
        job.partition_assigned(partition, ())
    while by_partition:
        told: dict[int, list[_Record]] = defaultdict(list)
        for partition, records in by_partition.items():
            at = 0
            while at < len(records):
                made = job.process(partition, records[at : at + BATCH], states.get)  # type: ignore[arg-type]
                assert made.taken
                at += made.taken
                for key, state in made.states.items():
                    assert state is not None, "no call is removed so soon"
                    if key != SUBSCRIPTIONS_KEY:
                        states[key] = state
                said += [value or b"" for _, value, *_ in made.outputs.get(names.ended, ())]
                for key_, value, *_ in made.outputs.get(names.scopes, ()):
                    whose = key_hash(key_ or b"") % sent.partitions
                    told[whose].append(_Record(names.scopes, whose, len(told[whose]), 0, key_, value or b""))
                made.committed()
        by_partition = told
    calls = {key: state for key, state in states.items() if not is_scope(key)}
    return UndisturbedOutputs(calls, last_records(said, calls))


def last_records(values: Iterable[bytes], states: Mapping[bytes, bytes]) -> dict[str, dict[str, Any]]:
    """The highest revision of each call's record, without fields that depend on the order of arrival.

    A worker may have stopped before a call was quiet for long enough: then it is the revision that its state
    has still to write.
    """
    last: dict[str, dict[str, Any]] = {}
    for record in map(orjson.loads, values):
        known = last.get(record["key"])
        if known is None or known["revision"] < record["revision"]:
            last[record["key"]] = record
    last.update((record["key"], record) for record in due_records(states))
    return {
        key: {name: value for name, value in record.items() if name not in OF_ARRIVAL}
        | {"delivery_audit": [one for one in record["delivery_audit"] if one["result"] != "late"]}
        for key, record in last.items()
    }


def due_records(states: Mapping[bytes, bytes]) -> Iterator[dict[str, Any]]:
    """The revisions that states have still to write when their calls have been quiet for long enough."""
    for call in map(load, states.values()):
        if call.arrival.revise_us:
            due = revise(call, lifecycle_of(call), "", POLICY, settled=False)
            if due is not None:
                yield orjson.loads(msgspec.json.encode(due))


def comparable_state(stored: bytes) -> Any:
    """A state's content in a fixed order, without what depends on arrival and ticks."""
    call: Call = load(stored)
    call.lifecycle.sort(key=lambda entry: entry.fingerprint)
    known: dict[str, Any] = msgspec.structs.asdict(call)
    for name in ("arrival", "due_s", "gaps_open", "overdue", "fetches", "complete", "alerts"):
        del known[name]
    return known


def deliveries_of(stored: bytes) -> int:
    """How many deliveries a state has counted."""
    return load(stored).arrival.deliveries
