"""Each fault of three nodes in mid-stream: nothing is lost or repeated, and work continues.

Worker, gateway and poller are at work when it happens; gateway and poller have their own topics.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cluster import faults
from tests.e2e.cluster.cluster import Cluster
from tests.e2e.cluster.faults import Fault
from tests.e2e.cluster.gateway_and_poller import GatewayAndPoller
from tests.e2e.cluster.scenario import RATE, Scenario, Table
from tests.e2e.full_worker import is_midstream

pytestmark = pytest.mark.e2e

AGAIN = {0, 75}
"""Stopped cleanly, or to be restarted."""


@pytest.mark.parametrize("fault", faults.ALL, ids=faults.fault_name)
def test_a_fault_in_mid_stream_loses_and_doubles_nothing(
    cluster: Cluster, prefix: str, tmp_path: Path, table: Table, fault: Fault
) -> None:
    doors = GatewayAndPoller(cluster, f"d{prefix}", tmp_path)
    calls, rate = (1200, RATE / 2) if fault in faults.LONG else (1000, RATE)
    scenario = Scenario(cluster, prefix, tmp_path, calls=calls)
    with doors.open():
        scenario.probes |= {"gateway": doors.gateway_ready, "poller": doors.poller_ready}
        with scenario.told(rate):
            assert is_midstream(scenario.watch.wait(0.15))
            fault(scenario)
    found = scenario.record_verdict(table, faults.fault_name(fault))
    lost = doors.add_to_table(table, faults.fault_name(fault))
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
        assert is_midstream(scenario.watch.wait(0.15))
        scenario.worker.running.kill()
        faults.leader_killed(scenario)
    assert scenario.record_verdict(table, "worker with RocksDB and leader killed") == {}
    assert set(scenario.codes) <= AGAIN | {-9}


def test_a_second_worker_joins_while_the_coordinator_dies(
    cluster: Cluster, prefix: str, tmp_path: Path, table: Table
) -> None:
    scenario = Scenario(cluster, prefix, tmp_path)
    second = scenario.make_worker("b")
    with scenario.told(RATE / 2), scenario.restarted(second):
        assert is_midstream(scenario.watch.wait(0.15))
        second.start()
        faults.coordinators_killed(scenario)
        scenario.watch.wait(min(1.0, scenario.watch.share() + 0.05))
    assert scenario.record_verdict(table, "second worker joins, coordinators killed") == {}
    assert {*scenario.codes, *scenario.others_codes} <= AGAIN
