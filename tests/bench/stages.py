"""Candidate: where the worker's own time goes, stage by stage, over the same callbacks in one process.

Each stage is done for some dozens of records before the next one begins: enough that looking at the clock
costs nothing, and few enough that what one stage leaves is still near when the next one takes it up.
The sum of the stages is what the real job needs; the job itself is measured too, and what it needs more is
what lies between the stages (`between`).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from aiokafka.structs import ConsumerRecord
from confluent_kafka import Consumer, TopicPartition

from agents.batch_state import BatchState, PartitionMemory
from agents.outputs import write
from agents.processor import CallProcessor
from stream.core.call.fold import fold
from stream.core.call.identity_pages import Pages
from stream.core.call.state import dump, load
from stream.core.events import Origin
from stream.core.privacy.masking import Privacy
from stream.engine.batch import Record
from stream.kafka import topics
from stream.kafka.envelope_codec import read_envelope
from stream.service.metrics.worker import WorkerMetrics
from stream.sources import DECODERS
from tests.bench import masking
from tests.bench.candidate import Task, give_back, task
from tests.bench.job import COLLECT_AFTER, worker_policy

BATCH = 1000
CHUNK = 50
RECORDS = 60_000
ROUNDS = 3


class Stopwatch:
    """Processor time by stage: from one `lap` to the next."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._at = time.process_time()

    def start(self) -> None:
        self._at = time.process_time()

    def lap(self, stage: str) -> None:
        now = time.process_time()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._at
        self._at = now


def batches_of(asked: Task) -> list[list[Record]]:
    """Records of the callbacks topic as the lanes get them: by partition, in batches."""
    consumer = Consumer(
        {
            "bootstrap.servers": asked.bootstrap,
            "group.id": asked.prefix + "stages",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    found: list[Record] = []
    with closing(consumer):
        for partition in range(asked.partitions):
            consumer.assign([TopicPartition(asked.topic, partition, 0)])
            found += _whole_partition(consumer)
            if len(found) >= min(RECORDS, asked.records):
                break
    return [batch for batch in _batches(found) if len(batch) == BATCH] or list(_batches(found))


def _whole_partition(consumer: Consumer) -> Iterator[Record]:
    while True:
        for message in consumer.consume(5000, 0.5):
            if message.error() is not None:
                return
            key, value = message.key() or b"", message.value() or b""
            yield ConsumerRecord(
                message.topic(),
                message.partition(),
                message.offset(),
                message.timestamp()[1],
                0,
                key,
                value,
                None,
                len(key),
                len(value),
                (),
            )


def _batches(records: list[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        if batch and (len(batch) == BATCH or batch[0].partition != record.partition):
            yield batch
            batch = []
        batch.append(record)
    if batch:
        yield batch


def by_stage(batches: Iterable[Sequence[Record]], names: topics.Topics) -> dict[str, float]:
    """Seconds of each stage, with the worker's own policy: all sources are polled."""
    watch, policy, privacy = Stopwatch(), worker_policy(), Privacy()
    store: dict[bytes, bytes] = {}
    for batch in batches:
        calls: dict[bytes, Any] = {}
        pages = Pages(store.get)
        written = BatchState(batch[0].partition, store.get, PartitionMemory())
        watch.start()
        for at in range(0, len(batch), CHUNK):
            records = batch[at : at + CHUNK]
            envelopes = [read_envelope(record.value) for record in records]
            watch.lap("wire")
            decoded = [DECODERS[envelope.source](envelope) for envelope in envelopes]
            watch.lap("decode")
            for readings in decoded:
                for reading in readings:
                    privacy.apply(reading)
            watch.lap("mask")
            for record in records:
                key = record.key or b""
                if key not in calls:
                    stored = store.get(key)
                    calls[key] = load(stored) if stored is not None else None
            watch.lap("decode_states")
            effects: list[tuple[bytes, list[Any]]] = []
            for record, envelope, readings in zip(records, envelopes, decoded, strict=True):
                key = record.key or b""
                origin = Origin(record.topic, record.partition, record.offset)
                folded = fold(calls[key], readings, envelope, origin, policy, pages)
                calls[key] = folded.call
                effects.append((key, folded.effects))
            watch.lap("identify_and_fold")
            for key, of_record in effects:
                write(written, key, of_record, names, "bench")
            watch.lap("encode_outputs")
        states = {key: dump(call) for key, call in calls.items()}
        watch.lap("encode_states")
        store.update(states)
    return watch.seconds


def whole_job(batches: Iterable[Sequence[Record]], names: topics.Topics) -> dict[str, float]:
    """Seconds of the real processor over the same batches, and of what it does once they are committed."""
    metrics = WorkerMetrics()
    job = CallProcessor(names, worker_policy(), Privacy(), metrics, deployment="bench", errors_limit=1)
    stores: dict[int, dict[bytes, bytes]] = {}
    watch = Stopwatch()
    for batch in batches:
        partition = batch[0].partition
        if partition not in stores:
            stores[partition] = {}
            job.partition_assigned(partition, ())
        store = stores[partition]
        watch.start()
        made = job.process(partition, batch, store.get)
        watch.lap("job")
        store.update({key: state for key, state in made.states.items() if state is not None})
        watch.start()
        made.committed()
        watch.lap("count")
    return watch.seconds


def sample_states(batches: Iterable[Sequence[Record]], names: topics.Topics) -> dict[bytes, bytes]:
    """The states that the real processor leaves of these batches."""
    metrics = WorkerMetrics()
    job = CallProcessor(names, worker_policy(), Privacy(), metrics, deployment="bench", errors_limit=1)
    store: dict[bytes, bytes] = {}
    opened: set[int] = set()
    for batch in batches:
        partition = batch[0].partition
        if partition not in opened:
            opened.add(partition)
            job.partition_assigned(partition, ())
        made = job.process(partition, batch, store.get)
        store.update({key: state for key, state in made.states.items() if state is not None})
        made.committed()
    return store


def _fastest(measure: Callable[[], dict[str, float]], records: int) -> dict[str, float]:
    """Microseconds a record: of several rounds the lowest of each stage, since noise only adds."""
    rounds = [measure() for _ in range(ROUNDS)]
    return {stage: min(found[stage] for found in rounds) / records * 1e6 for stage in rounds[0]}


def main() -> None:
    asked = task()
    gc.set_threshold(*COLLECT_AFTER)
    batches = batches_of(asked)
    records = sum(len(batch) for batch in batches)
    names = topics.names(asked.prefix)
    stages = _fastest(lambda: by_stage(batches, names), records)
    job = _fastest(lambda: whole_job(batches, names), records)
    stages["between"] = job["job"] - sum(stages.values())
    masking_us = masking.measure([record.value for batch in batches for record in batch][: masking.CALLBACKS])
    give_back(
        {
            "records": records,
            "stages_us": stages,
            "job_us": job["job"],
            "count_us": job["count"],
            "masking_us": masking_us,
        }
    )


if __name__ == "__main__":
    main()
