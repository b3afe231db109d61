"""Each fault of three nodes in mid-stream: nothing lost, nothing twice, and work goes on.

The rule of this file: worker, gateway and poller are at work when it happens, the two on topics of their own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cluster import faults
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.doors import Doors
from tests.e2e.cluster.faults import Fault
from tests.e2e.cluster.scenario import RATE, Scenario, Table
from tests.e2e.household import midway

pytestmark = pytest.mark.e2e

AGAIN = {0, 75}
"""Ended in order, or to be started again."""


@pytest.mark.parametrize("fault", faults.ALL, ids=faults.told)
def test_a_fault_in_mid_stream_loses_and_doubles_nothing(
    cluster: Cluster, prefix: str, tmp_path: Path, table: Table, fault: Fault
) -> None:
    doors = Doors(cluster, f"d{prefix}", tmp_path)
    calls, rate = (1200, RATE / 2) if fault in faults.LONG else (1000, RATE)
    scenario = Scenario(cluster, prefix, tmp_path, calls=calls)
    with doors.open():
        scenario.probes |= {"gateway": doors.gateway_ready, "poller": doors.poller_ready}
        with scenario.told(rate):
            assert midway(scenario.watch.wait(0.15))
            fault(scenario)
    found = scenario.judged(table, faults.told(fault))
    lost = doors.written_down(table, faults.told(fault))
    assert (found, lost) == ({}, 0)
    assert doors.posting.acknowledged()
    assert doors.asked
    assert {answer.status for answer in doors.posting.answers} <= {204, 503}
    assert {*scenario.codes, *doors.gateway_codes, *doors.poller_codes} <= AGAIN
    for role, answers in scenario.ready.items():
        print(f"{role}: {answers}")
        assert 200 not in answers[len(answers) // 2 :], f"the {role} says that it is ready"


def test_a_worker_with_a_store_on_disk_and_a_leader_die_together(
    cluster: Cluster, prefix: str, tmp_path: Path, table: Table
) -> None:
    scenario = Scenario(cluster, prefix, tmp_path, store="rocksdb")
    with scenario.told():
        assert midway(scenario.watch.wait(0.15))
        scenario.worker.running.kill()
        faults.leader_killed(scenario)
    assert scenario.judged(table, "worker with RocksDB and leader killed") == {}
    assert set(scenario.codes) <= AGAIN | {-9}


def test_a_second_worker_joins_while_the_coordinator_dies(
    cluster: Cluster, prefix: str, tmp_path: Path, table: Table
) -> None:
    scenario = Scenario(cluster, prefix, tmp_path)
    second = scenario.make_worker("b")
    with scenario.told(RATE / 2), scenario.restarted(second):
        assert midway(scenario.watch.wait(0.15))
        second.start()
        faults.coordinators_killed(scenario)
        scenario.watch.wait(min(1.0, scenario.watch.share() + 0.05))
    assert scenario.judged(table, "second worker joins, coordinators killed") == {}
    assert {*scenario.codes, *scenario.others_codes} <= AGAIN
