"""The faults of nodes and wires, one function each. A fault is repaired when its function returns.

Each measures how long work stood still; if work cannot continue before the repair, from its start.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.e2e.cluster.fault_target import FaultTarget

Fault = Callable[[FaultTarget], None]

WITHOUT_MAJORITY_S = 15.0
WITHOUT_LEADER_S = 15.0
STAYS_CUT_OFF_S = 5.0


def leader_killed(ground: FaultTarget) -> None:
    node = ground.plain_leader()
    node.kill()
    since = time.monotonic()
    ground.measure(since)
    ground.cluster.start_ended()


def coordinators_killed(ground: FaultTarget) -> None:
    """The group's, then that of a lane's transactions."""
    cluster = ground.cluster
    for find in (ground.coordinator, ground.transactions_coordinator):
        node = find()
        node.kill()
        since = time.monotonic()
        ground.measure(since)
        cluster.start_ended()
        cluster.wait_in_sync()


def rolling_restart(ground: FaultTarget) -> None:
    for node in ground.cluster.nodes.values():
        node.stop()
        since = time.monotonic()
        ground.measure(since)
        ground.cluster.start_ended()
        ground.cluster.wait_in_sync()


def below_min_isr(ground: FaultTarget) -> None:
    """Two of three are dead: no majority can elect a leader, and one replica is not enough."""
    first = ground.coordinator()
    second = ground.other_than(first)
    first.kill()
    second.kill()
    ground.look_at_probes(WITHOUT_MAJORITY_S)
    since = time.monotonic()
    ground.cluster.start_ended()
    ground.measure(since)


def frozen_leader(ground: FaultTarget) -> None:
    """It keeps its connections and answers nothing, for longer than its session."""
    node = ground.plain_leader()
    ground.ill.add(node.number)
    since = time.monotonic()
    node.freeze()
    ground.measure(since)
    node.thaw()
    ground.ill.discard(node.number)


def leader_cut_off(ground: FaultTarget, how: str = "silently") -> None:
    """From its followers, not from clients."""
    node = ground.plain_leader()
    ground.ill.add(node.number)
    since = time.monotonic()
    ground.cluster.wires.cut_off(node.number, how)
    ground.measure(since)
    time.sleep(STAYS_CUT_OFF_S)
    ground.cluster.wires.mend()
    ground.ill.discard(node.number)


def leader_cut_off_by_reset(ground: FaultTarget) -> None:
    leader_cut_off(ground, "reset")


def worker_cut_off(ground: FaultTarget) -> None:
    """From one leader that the other nodes reach, so that none replaces it."""
    node = ground.plain_leader()
    ground.cluster.wires.cut_workers(node.number)
    time.sleep(WITHOUT_LEADER_S)
    since = time.monotonic()
    ground.cluster.wires.mend_workers()
    ground.measure(since)


ALL: tuple[Fault, ...] = (
    leader_killed,
    coordinators_killed,
    rolling_restart,
    below_min_isr,
    frozen_leader,
    leader_cut_off,
    leader_cut_off_by_reset,
    worker_cut_off,
)

LONG: tuple[Fault, ...] = (coordinators_killed, rolling_restart)
"""More than one node goes down, one after the other."""


def fault_name(fault: Fault) -> str:
    """Its name in the table."""
    return fault.__name__.replace("_", " ")
