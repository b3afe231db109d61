"""Which poller gets which partitions of the fetches topic, and with them its share of every account's budget.

The rule of this file: shares add up to the whole. Partitions go in contiguous ranges to as many members as
the smallest account can be dealt out to, to each in proportion to what of it is its own; whoever is left over
stands by with none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import msgspec
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

from stream.poller.limiter.shares import slots_share


class Place(msgspec.Struct, frozen=True):
    """A member's place among those that are at work: the `rank`th of `active`, from 0; -1: it stands by."""

    rank: int
    active: int

    def slots(self, concurrency: int) -> int:
        """How many of an account's requests at once are this member's: those i with i % active == rank."""
        return slots_share(concurrency, self.rank, self.active)


def shares(
    members: Iterable[str], partitions: Iterable[int], most: int
) -> dict[str, tuple[Place, list[int]]]:
    """Each member's place and partitions; at most `most` members get any."""
    by_id, in_order = sorted(members), sorted(partitions)
    active = min(len(by_id), len(in_order), most)
    standby = Place(-1, active)
    found: dict[str, tuple[Place, list[int]]] = {member: (standby, []) for member in by_id}
    weights = [slots_share(most, rank, active) for rank in range(active)]
    for rank, (member, owned) in enumerate(zip(by_id, _ranges(in_order, weights), strict=False)):
        found[member] = (Place(rank, active), owned)
    return found


def _ranges(partitions: Sequence[int], weights: Sequence[int]) -> list[list[int]]:
    """Contiguous ranges: one partition for each weight, and the others in proportion to the weights."""
    others, whole = len(partitions) - len(weights), sum(weights) or 1
    bounds = [
        number + others * weight // whole for number, weight in enumerate(accumulate(weights, initial=0))
    ]
    return [list(partitions[begin:end]) for begin, end in pairwise(bounds)]


class ShareAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """One for each consumer: it remembers the place that its member was given.

    `most`: the fewest `shares.parts` of an account, so that each active member has a share of each.
    The group's leader decides, with its own.
    """

    name = "callstream-share"
    version = 0

    def __init__(self, most: int) -> None:
        self._most = max(1, most)
        self.place = Place(-1, 0)

    def assign(
        self, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """What each member gets of the one topic that all have subscribed to."""
        (topic,) = {topic for member in members.values() for topic in member.subscription}
        found = shares(members, cluster.partitions_for_topic(topic) or (), self._most)
        return {
            member: ConsumerProtocolMemberAssignment(
                self.version, [(topic, owned)] if owned else [], msgspec.json.encode(place)
            )
            for member, (place, owned) in found.items()
        }

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member says of itself when it joins."""
        return ConsumerProtocolMemberMetadata(self.version, list(topics), b"")

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Told before the consumer's listener is."""
        self.place = msgspec.json.decode(assignment.user_data, type=Place)
