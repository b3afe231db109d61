"""The engine's side of the job that runs on it: records and states in, outputs and new states out.

The job sees records, states and outputs; transactions, offsets and the owners of partitions are the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from stream.kafka.transactional_producer import EACH, KEYED, Output

__all__ = ["EACH", "KEYED", "Batch", "BatchPolicy", "Output", "Processor", "Record"]


class BatchPolicy(NamedTuple):
    """How a lane gathers its batches."""

    max_batch: int = 1000
    collect_s: float = 0.02
    """How long a record waits for older ones of other topics to arrive."""
    latency_s: float = 0.1
    """A transaction begins this long after the last one, or when enough records wait or a batch is full."""
    hold_s: float = 0.2
    """How long a batch waits for a topic that is known to have unread records."""
    tries: int = 10
    """How often one batch is tried, with growing pauses (about 25 s in all), before the process ends.

    The job dead-letters single records that fail; a batch that fails whole is for a supervisor to see.
    """


class Record(Protocol):
    """One record as fetched: an aiokafka `ConsumerRecord`. `timestamp` is milliseconds since 1970 UTC."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Batch(msgspec.Struct):
    """What the job made of a batch of records.

    - `states`: new states by key, None for a tombstone.
    - `outputs`: records by topic, in the order in which they are to be written.
    - `committed`: called once, after the commit and after the store shows the states.
    - `taken`: how many of the records it covers, from the first; None for all. The others come next.
    - `unfinished`: asks for another tick soon: the last one left something due.
    - `due_s`: a second (Unix time) before which no tick finds anything to do; None for never.
    - `ticked`: how many entries its ticks found due.
    """

    states: dict[bytes, bytes | None]
    outputs: dict[str, list[Output]]
    committed: Callable[[], None] = lambda: None
    taken: int | None = None
    unfinished: bool = False
    due_s: int | None = None
    ticked: int = 0


class Processor(Protocol):
    """The job. Synchronous, without Kafka, clock or chance.

    A batch is a function of the records and of what `get` returns: after an abort the same records come
    again, and a reader of uncommitted records must then see the same outputs.
    """

    def process(
        self, partition: int, records: Sequence[Record], get: Callable[[bytes], bytes | None]
    ) -> Batch:
        """Fold `records`. `get` returns the state of a key before the batch.

        If it raises, the same records come again after a pause; after too many times the process ends.
        """

    def partition_assigned(self, partition: int, items: Iterable[tuple[bytes, bytes]]) -> None:
        """A partition was assigned and recovered: `items` are all its states. Before its first batch."""

    def partition_revoked(self, partition: int) -> None:
        """A partition that was assigned was revoked."""
