"""How long a worker needs to come back: a changelog full of usual calls, and a worker that has nothing else.

The states are what the real job leaves of the simulator's calls, each written many times under another id,
straight to the changelog.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from aiokafka.partitioner import murmur2
from aiokafka.structs import ConsumerRecord
from confluent_kafka import Producer

from stream.kafka import topics
from tests.bench import callbacks
from tests.bench.ground import COMPACTED, Ground
from tests.bench.stages import sample_states

SAMPLE_RECORDS = 40_000


def sample(partitions: int) -> list[tuple[bytes, bytes]]:
    """Usual calls: keys and states."""
    batches: dict[int, list[Any]] = {number: [] for number in range(partitions)}
    names = topics.names("bench.")
    for offset, record in enumerate(callbacks.callbacks(SAMPLE_RECORDS, 4000, seed=2)):
        number = (murmur2(record.key) & 0x7FFFFFFF) % partitions
        about = (names.callbacks, number, offset, record.at_us // 1000, 0, record.key, record.value)
        batches[number].append(ConsumerRecord(*about, None, len(record.key), len(record.value), ()))
    return list(sample_states(filter(None, batches.values()), names).items())


def multiplied(calls: list[tuple[bytes, bytes]], count: int) -> Iterator[tuple[bytes, bytes]]:
    """`count` calls with ids of their own."""
    for number, (key, state) in zip(range(count), itertools.cycle(calls), strict=False):
        other = key[:-8] + b"%08x" % number
        yield other, state.replace(key, other)


def write(ground: Ground, changelog: str, count: int, progress: Callable[[int], None] | None) -> float:
    """Fill `changelog`. Returns the mean size of a state in bytes."""
    ground.make_topic(changelog, COMPACTED)
    producer = Producer(
        {
            "bootstrap.servers": ground.bootstrap,
            "enable.idempotence": True,
            "linger.ms": 20,
            "batch.size": 500_000,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
            "log_level": 2,
        }
    )
    size = 0
    for number, (key, state) in enumerate(multiplied(sample(ground.partitions), count)):
        size += len(state)
        while True:
            try:
                producer.produce(changelog, state, key)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 5000 == 0:
            producer.poll(0)
            if progress is not None:
                progress(number)
    if producer.flush(120):
        raise RuntimeError("the broker did not take all states")
    return size / count


def measure(
    ground: Ground,
    calls: int,
    stores: tuple[str, ...] = ("memory", "rocksdb"),
    writing: Callable[[int], None] | None = None,
    reading: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Seconds from the start of the process until it works, for each store. Raises CandidateFailed."""
    task = ground.task("recovery")
    state_bytes = write(ground, topics.names(task.prefix).changelog, calls, writing)
    found: dict[str, Any] = {"calls": calls, "state_bytes": state_bytes}
    for store in stores:
        if reading is not None:
            reading(store)
        again = ground.task("recovery", store=store, instance="bench")
        again.prefix = task.prefix
        process = ground.start("recovered", again)
        ground.await_end("recovered", process, again, timeout_s=180.0)
        found[store] = ground.result("recovered", again)
    ground.drop_topics(task.prefix.rstrip("."))
    return found
