"""What the lanes ask of Kafka when they read: offsets, records, and who leads.

The rule of this file: it names questions and answers. An answer may come from a broker that was cut off and
does not know it: who asks, judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiokafka import TopicPartition
from faust.types import TP

from stream.engine.changelog_end import Committed


class Fetched(NamedTuple):
    """Records, and for each partition asked for: the next offset, the known end, when that was heard."""

    records: Mapping[TopicPartition, Sequence[Any]]
    positions: dict[TP, int]
    ends: dict[TP, int]
    heard_ms: int
    refused: Mapping[TP, int] = {}
    """Offsets that a broker says are outside its log. The position stays where it is."""


class Log(Protocol):
    """The partitions of this consumer. Raises KafkaError where nobody answers."""

    async def begins(self, partitions: Sequence[TP]) -> dict[TP, int]:
        """The first offsets that are kept."""
        ...

    async def ends(self, partitions: Sequence[TP]) -> dict[TP, int]:
        """The last stable offsets."""
        ...

    async def committed(self, partitions: Sequence[TP]) -> dict[TP, Committed | None]:
        """What the group has committed, None for what it has not."""
        ...

    async def read_from(self, offsets: Mapping[TP, int]) -> None:
        """Fetch from `offsets` next."""
        ...

    async def fetch(self, partitions: set[TP], timeout_s: float) -> Fetched:
        """Records of `partitions`, waiting up to `timeout_s` for the first."""
        ...

    async def refresh(self) -> None:
        """Ask anew who leads. Never raises."""
        ...
