"""A cluster of three Kafka nodes, and which node leads what. Each test finds all faults repaired."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import ElectionType
from confluent_kafka.admin import AdminClient

from stream.broker.jars import class_path
from stream.broker.java import java
from stream.broker.ports import free_port
from stream.broker.storage import new_cluster_id
from stream.service.settings import Settings
from tests.e2e.cluster import kafka_requests
from tests.e2e.cluster.kafka_requests import Partitions, TopicAndPartition
from tests.e2e.cluster.node import Node, Ports, between
from tests.e2e.cluster.wires import NODES, Wires
from tests.e2e.harness import wait_until

GROUPS, TRANSACTIONS = "__consumer_offsets", "__transaction_state"


class Cluster:
    """Started by `open`, stopped by `close`. Its processes never outlive this one."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        runtime, jars = java(), class_path(settings.kafka_libs, settings.cache_dir, say=print)
        fresh = iter(_different_ports())
        ports = {number: Ports(*itertools.islice(fresh, 5)) for number in NODES}
        cluster_id = new_cluster_id()
        self.nodes = {
            number: Node(number, ports, directory / f"node-{number}", runtime, jars, cluster_id)
            for number in NODES
        }
        self.wires = Wires()
        for a, b in itertools.permutations(NODES, 2):
            for port in (ports[b].nodes, ports[b].controller):
                self.wires.lay(f"{a}>{b}", (between(a, b), port), ("127.0.0.1", port))
        for number, own in ports.items():
            wire, target = ("127.0.0.1", own.worker_wire), ("127.0.0.1", own.worker)
            self.wires.lay(f"w>{number}", wire, target, heard=True)

    def open(self) -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(len(NODES)) as pool:
            list(pool.map(Node.format, self.nodes.values()))
        self._start(self.nodes.values())
        print(f"three nodes after {time.monotonic() - began:.1f} s", file=sys.stderr)

    def close(self) -> None:
        try:
            with ThreadPoolExecutor(len(NODES)) as pool:
                list(pool.map(Node.stop, self.nodes.values()))
        finally:
            self.wires.close()

    @property
    def bootstrap(self) -> str:
        """For the test's own clients, which are never cut off."""
        return ",".join(node.client for node in self.nodes.values())

    @property
    def workers_bootstrap(self) -> str:
        return ",".join(node.worker for node in self.nodes.values())

    def mend(self) -> None:
        """Repair everything, wait for all replicas, elect the preferred leaders, and delete the topics."""
        self.wires.mend()
        for node in self.nodes.values():
            if node.frozen:
                node.thaw()
        self.start_ended()
        self.wait_in_sync()
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})
        old = [name for name in admin.list_topics(timeout=20).topics if not name.startswith("__")]
        if old:
            for done in admin.delete_topics(old).values():
                done.result()
        self.balance(admin)
        self.wires.forget()

    def balance(self, admin: AdminClient | None = None) -> None:
        """Elect the preferred leader of each partition."""
        admin = admin or AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})
        admin.elect_leaders(ElectionType.PREFERRED).result()
        wait_until(
            lambda: all(one.leader == one.replicas[0] for one in self.partitions().values()),
            "every partition is led by its first replica",
            30,
        )

    def start_ended(self) -> None:
        """Start the nodes that do not run, and wait until they answer."""
        self._start([node for node in self.nodes.values() if not node.running])

    def wait_in_sync(self, timeout_s: float = 90.0) -> float:
        """Wait until every replica is in sync. Returns the seconds."""

        def in_sync() -> bool:
            found = self.partitions()
            return all(len(one.in_sync) == len(one.replicas) and one.leader > 0 for one in found.values())

        return wait_until(_answered(in_sync), "all replicas are in sync", timeout_s)

    def healthy(self, *, but_not: Iterable[int] = ()) -> Node:
        """A node that runs, is not frozen and is not excluded."""
        left_out = set(but_not)
        return next(
            node
            for node in self.nodes.values()
            if node.running and not node.frozen and node.number not in left_out
        )

    def partitions(self, topics: Iterable[str] | None = None, *, but_not: Iterable[int] = ()) -> Partitions:
        """As a healthy node sees them."""
        return kafka_requests.partitions(self.healthy(but_not=but_not).client, topics)

    def leader(self, place: TopicAndPartition, *, but_not: Iterable[int] = ()) -> int:
        return self.partitions([place[0]], but_not=but_not)[place].leader

    def coordinator(self, group: str) -> int:
        """The node that coordinates the group."""
        found: list[int] = []

        def known() -> bool:
            found[:] = [kafka_requests.coordinator(self.healthy().client, group)]
            return found[0] > 0

        wait_until(_answered(known), f"{group} has a coordinator", 30)
        return found[0]

    def well_led(self, partitions: Partitions, ill: Collection[int]) -> bool:
        """Whether each has a leader that runs and is not `ill`."""
        well = {node.number for node in self.nodes.values() if node.running and not node.frozen}
        return {one.leader for one in partitions.values()} <= well.difference(ill)

    def wait_led(self, ill: Collection[int], timeout_s: float = 60.0) -> float:
        """Wait until the other nodes say that everything is led, and not by `ill`. Returns the seconds."""

        def led() -> bool:
            return self.well_led(self.partitions(but_not=ill), ill)

        return wait_until(_answered(led), f"everything is led, and not by {ill}", timeout_s)

    def _start(self, nodes: Iterable[Node]) -> None:
        nodes = list(nodes)
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_answers()


def _answered(true: Callable[[], bool]) -> Callable[[], bool]:
    """False while no node answers."""

    def asked() -> bool:
        try:
            return true()
        except OSError:
            return False

    return asked


def _different_ports() -> list[int]:
    found: set[int] = set()
    while len(found) < 5 * len(NODES):
        found.add(free_port())
    return list(found)
