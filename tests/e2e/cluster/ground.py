"""What a fault may ask of whoever it is dealt to: which node to hit, and to note what came of it.

The rule of this file: it knows nothing of what runs on the nodes.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from tests.e2e.cluster import asking
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.node import Node

LANES = 6


class Ground(ABC):
    """A group on a cluster. `ill`: nodes that are there and not to be believed."""

    def __init__(self, cluster: Cluster, group: str) -> None:
        self.cluster = cluster
        self.group = group
        self.ill: set[int] = set()
        self.probes: dict[str, Callable[[], int]] = {}
        """By role, what says the status of its `/readyz`; 0: nobody answers."""
        self.ready: dict[str, list[int]] = {}
        """What they answered while nothing could be committed."""

    @abstractmethod
    def changelog(self) -> str:
        """The topic by whose leaders a leader is chosen."""

    @abstractmethod
    def measure(self, since: float, timeout_s: float = 120.0) -> None:
        """Wait until work goes on, and note how long that took."""

    def look_at_probes(self, for_s: float) -> None:
        """Ask `probes` until the time is over."""
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
            asking.coordinator(address, f"{self.group}-{lane}", of_transactions=True) for lane in range(LANES)
        ]
        other = next((node for node in found if node not in (-1, group.number)), group.number)
        return self.cluster.nodes[other]

    def other_than(self, node: Node) -> Node:
        return next(other for other in self.cluster.nodes.values() if other is not node)
