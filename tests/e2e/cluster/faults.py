"""What happens to nodes and wires in mid-stream, one function a fault, mended when it returns.

The rule of this file: a fault says when it began to be mended if work cannot go on before that, and notes how
long work stood still.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.e2e.cluster.scenario import Scenario

Fault = Callable[[Scenario], None]

WITHOUT_MAJORITY_S = 15.0
WITHOUT_LEADER_S = 15.0
STAYS_CUT_OFF_S = 5.0


def leader_killed(scenario: Scenario) -> None:
    node = scenario.plain_leader()
    since = time.monotonic()
    node.kill()
    scenario.measure(since)
    scenario.cluster.start_ended()


def coordinators_killed(scenario: Scenario) -> None:
    """The group's, then that of a lane's transactions."""
    cluster = scenario.cluster
    for find in (scenario.coordinator, scenario.transactions_coordinator):
        node = find()
        since = time.monotonic()
        node.kill()
        scenario.measure(since)
        cluster.start_ended()
        cluster.wait_in_sync()


def rolling_restart(scenario: Scenario) -> None:
    for node in scenario.cluster.nodes.values():
        since = time.monotonic()
        node.stop()
        scenario.measure(since)
        scenario.cluster.start_ended()
        scenario.cluster.wait_in_sync()


def below_min_isr(scenario: Scenario) -> None:
    """Two of three are dead: there is nobody to elect a leader, and one copy is not enough."""
    first, second = [scenario.coordinator(), scenario.other_than(scenario.coordinator())]
    first.kill()
    second.kill()
    scenario.look_at_probes(WITHOUT_MAJORITY_S)
    since = time.monotonic()
    scenario.cluster.start_ended()
    scenario.measure(since)


def frozen_leader(scenario: Scenario) -> None:
    """It keeps its connections and answers nothing, for longer than its session."""
    node = scenario.plain_leader()
    scenario.watch.ill.add(node.number)
    since = time.monotonic()
    node.freeze()
    scenario.measure(since)
    node.thaw()
    scenario.watch.ill.discard(node.number)


def leader_cut_off(scenario: Scenario, how: str = "silently") -> None:
    """From its followers, not from clients."""
    node = scenario.plain_leader()
    scenario.watch.ill.add(node.number)
    since = time.monotonic()
    scenario.cluster.wires.cut_off(node.number, how)
    scenario.measure(since)
    time.sleep(STAYS_CUT_OFF_S)
    scenario.cluster.wires.mend()
    scenario.watch.ill.discard(node.number)


def leader_cut_off_by_reset(scenario: Scenario) -> None:
    leader_cut_off(scenario, "reset")


def worker_cut_off(scenario: Scenario) -> None:
    """From one leader, which the other nodes reach: nobody takes its place."""
    node = scenario.plain_leader()
    scenario.cluster.wires.cut_workers(node.number)
    time.sleep(WITHOUT_LEADER_S)
    since = time.monotonic()
    scenario.cluster.wires.mend_workers()
    scenario.measure(since)


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


def told(fault: Fault) -> str:
    """Its name in the table."""
    return fault.__name__.replace("_", " ")
