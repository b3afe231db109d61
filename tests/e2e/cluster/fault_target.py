"""What a fault needs to know: which node to hit, and how to measure the effect.

It knows nothing about what runs on the nodes.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from tests.e2e.cluster import kafka_requests
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.node import Node

LANES = 6


class FaultTarget(ABC):
    """A consumer group on a cluster. `ill`: nodes that answer but must not be trusted."""

    def __init__(self, cluster: Cluster, group: str) -> None:
        self.cluster = cluster
        self.group = group
        self.ill: set[int] = set()
        self.probes: dict[str, Callable[[], int]] = {}
        """By role, reads the status of its `/readyz`; 0: no answer."""
        self.ready: dict[str, list[int]] = {}
        """The probes' answers while nothing could be committed."""

    @abstractmethod
    def changelog(self) -> str:
        """The topic whose leaders are hit."""

    @abstractmethod
    def measure(self, since: float, timeout_s: float = 120.0) -> None:
        """Wait until work continues, and record how long that took."""

    def look_at_probes(self, for_s: float) -> None:
        """Read the `probes` for this long."""
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            for role, probe in self.probes.items():
                self.ready.setdefault(role, []).append(probe())
            time.sleep(0.5)

    def leader(self, lane: int = 0) -> Node:
        return self.cluster.nodes[self.cluster.leader((self.changelog(), lane))]

    def coordinator(self) -> Node:
        """The group's."""
        return self.cluster.nodes[self.cluster.coordinator(self.group)]

    def plain_leader(self) -> Node:
        """One that leads lanes and does not coordinate the group."""
        coordinator = self.coordinator().number
        return next(node for lane in range(LANES) if (node := self.leader(lane)).number != coordinator)

    def transactions_coordinator(self) -> Node:
        """That of a lane's transactions, if it does not coordinate the group, else of any of them."""
        address, group = self.cluster.healthy().client, self.coordinator()
        found = [
            kafka_requests.coordinator(address, f"{self.group}-{lane}", of_transactions=True)
            for lane in range(LANES)
        ]
        other = next((node for node in found if node not in (-1, group.number)), group.number)
        return self.cluster.nodes[other]

    def other_than(self, node: Node) -> Node:
        return next(other for other in self.cluster.nodes.values() if other is not node)
