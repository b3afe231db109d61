"""Partitions and places of a group of pollers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from hypothesis import given
from hypothesis import strategies as st

from stream.poller.limiter.assignor import Place, ShareAssignor, shares

TOPIC = "calls.fetches.v1"


class Cluster(ClusterMetadata):  # type: ignore[misc]
    """Knows of one topic."""

    def __init__(self, partitions: set[int] | None) -> None:
        super().__init__()
        self.partitions = partitions

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self.partitions if topic == TOPIC else None


def assigned(members: list[str], partitions: set[int] | None, most: int) -> dict[str, tuple[object, ...]]:
    """What each member finds after the broker has carried its assignment."""
    leader = ShareAssignor(most)
    said = {member: ShareAssignor(most).metadata([TOPIC]) for member in members}
    carried = {
        member: ConsumerProtocolMemberMetadata.decode(metadata.encode()) for member, metadata in said.items()
    }
    found: dict[str, tuple[object, ...]] = {}
    for member, assignment in leader.assign(Cluster(partitions), carried).items():
        own = ShareAssignor(most)
        arrived = ConsumerProtocolMemberAssignment.decode(assignment.encode())
        own.on_assignment(arrived)
        found[member] = (own.place, [tp.partition for tp in arrived.partitions()])
    return found


def test_two_pollers_have_a_half_each_in_the_order_of_their_ids() -> None:
    assert assigned(["b", "a"], {3, 1, 2, 0}, most=5) == {
        "a": (Place(0, 2), [0, 1]),
        "b": (Place(1, 2), [2, 3]),
    }


def test_partitions_that_do_not_come_out_even_are_spread_in_ranges() -> None:
    assert assigned(["a", "b", "c"], set(range(7)), most=5) == {
        "a": (Place(0, 3), [0, 1]),
        "b": (Place(1, 3), [2, 3, 4]),
        "c": (Place(2, 3), [5, 6]),
    }


def test_who_has_more_requests_at_once_has_more_partitions() -> None:
    found = assigned(["a", "b"], set(range(12)), most=5)
    assert [(place.slots(5), owned) for place, owned in found.values()] == [  # type: ignore[attr-defined]
        (3, [0, 1, 2, 3, 4, 5, 6]),
        (2, [7, 8, 9, 10, 11]),
    ]


def test_who_would_have_no_request_at_once_of_the_smallest_account_stands_by() -> None:
    assert assigned(["c", "b", "a"], {0, 1, 2, 3}, most=2) == {
        "a": (Place(0, 2), [0, 1]),
        "b": (Place(1, 2), [2, 3]),
        "c": (Place(-1, 2), []),
    }


def test_who_would_have_no_partition_stands_by() -> None:
    assert assigned(["a", "b", "c"], {0}, most=5) == {
        "a": (Place(0, 1), [0]),
        "b": (Place(-1, 1), []),
        "c": (Place(-1, 1), []),
    }


def test_without_accounts_one_poller_works_so_that_every_request_is_answered() -> None:
    assert assigned(["a", "b"], {0, 1}, most=0) == {"a": (Place(0, 1), [0, 1]), "b": (Place(-1, 1), [])}


@pytest.mark.parametrize("partitions", [None, set()])
def test_of_a_topic_that_is_not_there_nobody_has_anything(partitions: set[int] | None) -> None:
    assert assigned(["a"], partitions, most=5) == {"a": (Place(-1, 0), [])}


def test_before_it_was_assigned_anything_a_poller_stands_by() -> None:
    assert (ShareAssignor(5).place, ShareAssignor(5).place.slots(5)) == (Place(-1, 0), 0)


@given(
    members=st.sets(st.text("abcdef0123456789-", min_size=1), min_size=1, max_size=30),
    partitions=st.sets(st.integers(0, 999), min_size=1, max_size=60),
    most=st.integers(1, 40),
    more=st.integers(0, 40),
)
def test_shares_add_up_to_exactly_every_ceiling(
    members: set[str], partitions: set[int], most: int, more: int
) -> None:
    found = shares(members, partitions, most)
    assert set(found) == members
    working = [(place, owned) for _, (place, owned) in sorted(found.items()) if owned]
    idle = [(place, owned) for place, owned in found.values() if not owned]
    active = min(len(members), len(partitions), most)
    assert [place for place, _ in working] == [Place(rank, active) for rank in range(active)]
    assert all(place == Place(-1, active) for place, _ in idle)
    assert [number for _, owned in working for number in owned] == sorted(partitions)
    lengths = [len(owned) for _, owned in working]
    for rank, length in enumerate(lengths):
        ideal = 1 + Fraction((len(partitions) - active) * Place(rank, active).slots(most), most)
        assert abs(length - ideal) < 1
    assert sum(Fraction(length, len(partitions)) for length in lengths) == 1
    concurrency = most + more
    slots = [place.slots(concurrency) for place, _ in found.values()]
    assert sum(slots) == concurrency
    assert all(place.slots(concurrency) >= 1 for place, _ in working)
