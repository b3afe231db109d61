"""Each fault of three nodes under a worker in mid-stream: nothing lost, nothing twice, and it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cluster import faults
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.faults import Fault
from tests.e2e.cluster.scenario import Scenario, Table
from tests.e2e.household import midway

pytestmark = pytest.mark.e2e

AT_WORK_AFTER_LED_S = 15.0
"""The goal is 3 s; what is between is the noise of a small machine, and a session of the group."""


@pytest.mark.parametrize("fault", faults.ALL, ids=faults.told)
def test_a_fault_in_mid_stream_loses_and_doubles_nothing(
    cluster: Cluster, prefix: str, tmp_path: Path, table: Table, fault: Fault
) -> None:
    scenario = Scenario(cluster, prefix, tmp_path)
    with scenario.told():
        assert midway(scenario.watch.wait(0.15))
        fault(scenario)
    found = scenario.judged(table, faults.told(fault))
    assert found == {}
    assert set(scenario.codes) <= {0, 75}, "it gave up only to be started again"


def test_a_worker_with_a_store_on_disk_and_a_leader_die_together(
    cluster: Cluster, prefix: str, tmp_path: Path, table: Table
) -> None:
    scenario = Scenario(cluster, prefix, tmp_path, store="rocksdb")

    def both_killed(scenario: Scenario) -> None:
        scenario.worker.running.kill()
        faults.leader_killed(scenario)

    with scenario.told():
        assert midway(scenario.watch.wait(0.15))
        both_killed(scenario)
    found = scenario.judged(table, "worker with RocksDB and leader killed")
    assert found == {}
    assert set(scenario.codes) <= {0, 75, -9}


def test_a_second_worker_joins_while_the_coordinator_dies(
    cluster: Cluster, prefix: str, tmp_path: Path, table: Table
) -> None:
    scenario = Scenario(cluster, prefix, tmp_path)
    second = scenario.make_worker("b")
    with scenario.told(), scenario.restarted(second):
        assert midway(scenario.watch.wait(0.15))
        second.start()
        faults.coordinators_killed(scenario)
        scenario.watch.wait(scenario.watch.share() + 0.05)
    found = scenario.judged(table, "second worker joins, coordinators killed")
    assert found == {}
    assert set(scenario.codes) <= {0, 75}
