"""A worker starts while a former leader is cut off from the other nodes and still answers it.

Each start is proven to have asked that node, and that node to have been behind: the other nodes do not tell
the worker who leads until it has asked.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.cluster import kafka_requests
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.kafka_requests import TopicAndPartition
from tests.e2e.cluster.node import Node
from tests.e2e.cluster.scenario import LANES, Scenario, Table
from tests.e2e.cluster.wires import NODES, AskedEnd
from tests.e2e.full_worker import supervised
from tests.e2e.harness import WorkerProcess, stopped_after

pytestmark = pytest.mark.e2e

STARTS = 5
MISLED_S = 5.0
BACK_AT_WORK_S = 45.0
LEAVES_S = 15.0
RATE = 120.0


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_a_worker_that_starts_at_a_former_leader_loses_and_doubles_nothing(
    cluster: Cluster, prefix: str, tmp_path: Path, table: Table, store: str
) -> None:
    scenario = Scenario(cluster, prefix, tmp_path, store=store)
    asked = behind = 0
    with scenario.watch, stopped_after(scenario.worker), scenario.fed(RATE):
        scenario.worker.start().wait_ready()
        scenario.watch.wait(0.1)
        stale = scenario.plain_leader()
        led = led_by(scenario, stale)
        cut_off(scenario, stale)
        for number in range(STARTS):
            worker = scenario.make_worker(f"start-{number}", bootstrap=stale.worker, data="a")
            with stopped_after(worker):
                found = start_misled(scenario, worker, stale, led)
                asked += bool(found)
                behind += any(one.offset < true_end(scenario, stale, one) for one in found)
                at_work(scenario, worker)
        finish(scenario)
    faults = scenario.record_verdict(
        table, f"worker started in a cut, {store}", starts=STARTS, asked=asked, behind=behind
    )
    assert (asked, behind) == (STARTS, STARTS), "it was not a stale leader that was asked"
    assert faults == {}


def test_a_worker_that_starts_at_a_former_coordinator_loses_and_doubles_nothing(
    cluster: Cluster, prefix: str, tmp_path: Path, table: Table
) -> None:
    scenario = Scenario(cluster, prefix, tmp_path)
    with scenario.watch, stopped_after(scenario.worker), scenario.fed(RATE):
        scenario.worker.start().wait_ready()
        scenario.watch.wait(0.1)
        stale = scenario.coordinator()
        cut_off(scenario, stale)
        cluster.wires.mend_workers()
        for number in range(2):
            worker = scenario.make_worker(f"start-{number}", bootstrap=stale.worker, data="a")
            with stopped_after(worker):
                worker.start()
                at_work(scenario, worker)
        finish(scenario)
    faults = scenario.record_verdict(table, "worker started at a cut-off coordinator", starts=2)
    assert faults == {}


def led_by(scenario: Scenario, node: Node) -> set[TopicAndPartition]:
    """The changelog partitions that it leads."""
    changelog = scenario.story.names.changelog
    return {(changelog, lane) for lane in range(LANES) if scenario.leader(lane) is node}


def cut_off(scenario: Scenario, stale: Node) -> None:
    """The others lead, and the worker has worked on with them, so that the stale ends are old."""
    cluster = scenario.cluster
    scenario.ill.add(stale.number)
    cluster.wires.cut_off(stale.number)
    cluster.wires.cut_workers(stale.number, "reset")
    print(f"led by others after {cluster.wait_led([stale.number]):.1f} s", file=sys.stderr)
    with supervised(scenario.worker) as codes:
        scenario.watch.wait_went_on(time.monotonic())
    scenario.codes += codes
    scenario.worker.ensure_ended()


def start_misled(
    scenario: Scenario, worker: WorkerProcess, stale: Node, led: set[TopicAndPartition]
) -> list[AskedEnd]:
    """It starts, and only the stale node says who leads. Returns what that one said about ends."""
    wires = scenario.cluster.wires
    wires.mend_workers()
    wires.refuse_workers([node for node in NODES if node != stale.number], kafka_requests.METADATA)
    wires.forget()
    worker.start()
    until = time.monotonic() + BACK_AT_WORK_S
    found: list[AskedEnd] = []
    while not found and time.monotonic() < until and worker.exit_code is None:
        time.sleep(0.2)
        found = [
            one
            for one in wires.ends_asked(stale.number)
            if (one.topic, one.partition) in led and one.timestamp == kafka_requests.LATEST and one.error == 0
        ]
    time.sleep(MISLED_S)  # for as long it may be wrong
    wires.mend_workers()
    return found


def true_end(scenario: Scenario, stale: Node, asked: AskedEnd) -> int:
    """What the leader says of the same partition."""
    place = asked.topic, asked.partition
    leader = scenario.cluster.nodes[scenario.cluster.leader(place, but_not=[stale.number])]
    found = kafka_requests.ends(leader.client, [place])[place]
    print(f"{place}: node {stale.number} told {asked.offset} of {found} at {leader.number}", file=sys.stderr)
    return found


def at_work(scenario: Scenario, worker: WorkerProcess) -> None:
    """Wait until it has committed something, if it can while the cut lasts, and end it."""
    began = time.monotonic()
    try:
        scenario.watch.wait(min(1.0, scenario.watch.share() + 0.02), BACK_AT_WORK_S)
        said = f"went on after {time.monotonic() - began:.1f} s"
    except AssertionError:
        said = "committed nothing"
    if worker.exit_code is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.terminate(LEAVES_S)  # so that the next one need not wait for this one's session
    scenario.codes.append(-9 if worker.exit_code is None else worker.exit_code)
    said += f", ended with {worker.exit_code}"
    print(f"{worker.log.name}: {said}", file=sys.stderr)


def finish(scenario: Scenario) -> None:
    """The cut is mended, and one more worker does the rest."""
    scenario.cluster.wires.mend()
    last = scenario.make_worker("last", data="a")
    with stopped_after(last):
        last.start().wait_ready(90)
        scenario.ill.clear()
        scenario.wait_processed()
        scenario.codes.append(last.terminate()[0])
