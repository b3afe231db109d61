"""What a consumer group gives the engine: offsets, records, membership, flow control, and assignments.

An answer may come from a broker that was cut off and does not know it: the caller judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from stream.kafka.client.member_commit import Member
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import CommittedOffset


class FetchedRecords(NamedTuple):
    """One fetch: records, and for each partition asked for its next offset and its known end."""

    records: Mapping[TopicPartition, Sequence[Any]]
    positions: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    responded_ms: int
    """When a broker responded last, in Unix milliseconds; 0 where that is not known."""
    refused: Mapping[TopicPartition, int] = {}
    """Offsets that a broker says are outside its log. The position stays where it is."""


class FetchedChunk(NamedTuple):
    """Consecutive records of a source partition: fetched from `begin` up to `end`, in one generation."""

    topic: str
    partition: int
    generation: int
    begin: int
    records: Sequence[Any]
    end: int


class PartitionReader(Protocol):
    """Reads the partitions of this member of the group. Raises KafkaError where no broker answers."""

    async def begins(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The first offsets that are kept."""

    async def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The last stable offsets."""

    async def committed(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset | None]:
        """The group's committed offsets, asked of its coordinator, of finished transactions; None where it
        has none.
        """

    async def read_from(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Fetch from `offsets` next."""

    async def fetch(self, partitions: set[TopicPartition], timeout_s: float) -> FetchedRecords:
        """Records of `partitions`, waiting up to `timeout_s` for the first."""

    async def refresh(self) -> None:
        """Refresh the cluster's metadata: who leads. Never raises."""

    def member(self) -> Member:
        """This consumer as the coordinator knows it, for the commits of transactions."""

    async def confirmed(self) -> bool:
        """Whether the coordinator still counts this consumer in, asked anew."""


class Group(Protocol):
    """This process as a member of its consumer group."""

    @property
    def id(self) -> str: ...

    @property
    def session_timeout_s(self) -> float: ...

    @property
    def generation(self) -> int:
        """The generation that this process has heard of last."""

    @property
    def reader(self) -> PartitionReader: ...

    def pause(self, topic: str, partition: int) -> None:
        """Stop fetching a source partition: its queue is full."""

    def resume(self, topic: str, partition: int) -> None:
        """Fetch it again."""


class AssignmentOver(Exception):
    """The partitions were revoked, or another assignment has begun."""


class Assignment:
    """One assignment of partitions to this process."""

    def __init__(self, group: Group, generation: int) -> None:
        self.generation = generation
        self.over = False
        """Its lanes were closed."""
        self.group = group

    @property
    def holds(self) -> bool:
        """As far as this process has heard."""
        return not self.over and self.group.generation == self.generation

    def check(self) -> None:
        """Raises AssignmentOver where it does not hold any more."""
        if not self.holds:
            raise AssignmentOver("the assignment is over")

    async def confirmed(self) -> bool:
        """Asks the group's coordinator whether it holds."""
        return await self.group.reader.confirmed() and self.group.generation == self.generation
