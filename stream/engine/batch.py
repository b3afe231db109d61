"""What the lanes ask of the job that runs on them, and what they get back.

The rule of this file: it names the two sides of the hand-over and does nothing.
The job sees records, states and outputs; transactions, offsets and partitions' owners are the lanes'
business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

KEYED = -1
"""As an output's partition: the one that the key hashes to (murmur2, Java's default) in the output's own
topic.
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


class Output(NamedTuple):
    """One record to be written. `partition` None is the lane's own number, `KEYED` the key's.

    On the hot path a plain tuple of the four will do; it takes a tenth of the time to make.
    """

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None


def nothing() -> None:
    """Nothing to be told of the commit."""


class Batch(msgspec.Struct):
    """What a batch of records came to.

    `states` maps keys to new states, None for a tombstone.
    `outputs` maps topics to records, in the order in which they are to be written.
    `committed` is called once, after the commit and after the store shows the states.
    `taken` is how many of the records it is of, from the first; None for all. The others come again, first.
    `unfinished` asks for another tick soon: the last one left something due. `due_s` is the second (Unix
    time) from which a tick finds something to do, or an earlier one; None for never.
    """

    states: dict[bytes, bytes | None]
    outputs: dict[str, list[Output]]
    committed: Callable[[], None] = nothing
    taken: int | None = None
    unfinished: bool = False
    due_s: int | None = None


class Processor(Protocol):
    """The job. Synchronous, and pure of Kafka, clock and chance.

    What it returns is a function of the records and of what `get` says: after an abort the same records come
    again, and a reader of uncommitted records must then see the same outputs.
    """

    def process(
        self, partition: int, records: Sequence[Record], get: Callable[[bytes], bytes | None]
    ) -> Batch:
        """Fold `records`. `get` shows the state of a key before the batch.

        Whatever it raises, the same records come again after a pause; after too many times the process ends.
        """
        ...

    def partition_assigned(self, partition: int, items: Iterable[tuple[bytes, bytes]]) -> None:
        """A partition was assigned and recovered: `items` are all its states. Before its first batch."""
        ...

    def partition_revoked(self, partition: int) -> None:
        """A partition that was opened is no longer ours."""
        ...
