"""The gateway between providers and Kafka: every acknowledged webhook comes out, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stream.broker.ports import free_port
from stream.service.settings import load
from stream.simulator.accounts import simulated_environment
from tests.e2e.full_worker import get_text, supervised
from tests.e2e.harness import WorkerProcess, stopped_after, wait_until
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = "12"
SIMULATED_S = 400.0


class Roles:
    """A gateway, a worker and a simulator with matching credentials, on the run's broker. Not started."""

    def __init__(self, broker: RealBroker, prefix: str, directory: Path, rest: str | None = None) -> None:
        """`rest`: where the simulator serves what a poller reads; None: nowhere."""
        self.port, self.health_port = free_port(), free_port()
        rest_url = None if rest is None else f"http://{rest}"
        self.environ = simulated_environment(load({}), {}, rest_url=rest_url) | {
            "CALLSTREAM_KAFKA": broker.bootstrap,
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_PARTITIONS": PARTITIONS,
            "CALLSTREAM_DATA_DIR": str(directory / "data"),
            "CALLSTREAM_GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "CALLSTREAM_GATEWAY_HEALTH_LISTEN": f"127.0.0.1:{self.health_port}",
            "CALLSTREAM_WORKER_LISTEN": f"127.0.0.1:{free_port()}",
        }
        self._directory = directory
        self.gateway = self._process("gateway")
        self.worker = self._process("worker")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def health(self) -> str:
        return f"http://127.0.0.1:{self.health_port}"

    def _process(self, name: str, *more: str) -> WorkerProcess:
        argv = ("-m", "stream.cli", name, *more)
        return WorkerProcess(argv, self.environ, self._directory / f"{name}.log")

    def simulator(self, *more: str) -> WorkerProcess:
        """Sends calls over HTTP and checks the outputs; searches topics, metrics and logs."""
        logs = ("--log", str(self.gateway.log), "--log", str(self.worker.log))
        seeded = ("--check", "--json", "--seed", "11", "--timeout", "90")
        return self._process("simulate", "--gateway", self.url, *seeded, *logs, *more)

    def start(self) -> None:
        """Starts gateway and worker, and waits until both are ready."""
        self.gateway.start()
        self.worker.start().wait_ready()
        self.wait_ready()

    def wait_ready(self) -> None:
        wait_until(lambda: get_text(f"{self.health}/readyz")[0] == 200, "the gateway is ready", 60)

    def counted(self, family: str) -> float:
        """The sum of a counter of the gateway."""
        text = get_text(f"{self.health}/metrics")[1]
        samples = re.findall(rf"^callstream_{family}\{{.*\}} (\S+)$", text, re.MULTILINE)
        return sum(float(value) for value in samples)


def report_of(simulator: WorkerProcess) -> dict[str, Any]:
    """Its report, once it has ended."""
    simulator.running.wait(SIMULATED_S)
    output = simulator.output()
    found: Mapping[str, Any] = json.loads(output[output.index("{\n") :])
    assert simulator.exit_code == 0, json.dumps(found)[:4000]
    return dict(found)


def test_ten_thousand_calls_over_http_and_a_broker_that_is_away_for_twenty_seconds(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    roles = Roles(broker, prefix, tmp_path)
    # A provider's retry schedule, stretched to span the outage.
    simulator = roles.simulator(
        *("--calls", "10000", "--duplicates", "0.1", "--reorder", "0.1"),
        *("--retry-policy", "rc=5&rp=all&rt=5000", "--retry-scale", "10"),
    )
    with stopped_after(roles.gateway, roles.worker, simulator):
        roles.start()
        with supervised(roles.worker):
            simulator.start()
            wait_until(lambda: roles.counted("webhook_events_received_total") > 5000, "callbacks arrive", 120)
            broker.stop()
            time.sleep(20)
            assert get_text(f"{roles.health}/readyz")[0] == 503
            assert get_text(f"{roles.health}/livez")[0] == 200
            assert roles.counted("webhook_requests_rejected_total") > 0
            broker.restart()
            found = report_of(simulator)
        assert found["gateway"]["given_up"] == 0
        assert found["gateway"]["answers"]["5xx"] > 0
        assert found["check"]["ok"] is True
        assert roles.gateway.terminate()[0] == 0


def test_a_gateway_killed_under_load_has_lost_nothing_that_it_acknowledged(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    roles = Roles(broker, prefix, tmp_path)
    asked = ("--calls", "4000", "--duplicates", "0.05", "--no-polled", "--retry-scale", "5")
    simulator = roles.simulator(*asked)
    with stopped_after(roles.gateway, roles.worker, simulator):
        roles.start()
        simulator.start()
        for _ in range(2):
            wait_until(lambda: roles.counted("webhook_events_received_total") > 1500, "callbacks arrive", 120)
            os.kill(roles.gateway.running.pid, signal.SIGKILL)
            roles.gateway.running.wait()
            time.sleep(1)
            roles.gateway.start()
            roles.wait_ready()
        found = report_of(simulator)
        answers = found["gateway"]["answers"]
        assert answers["unreachable"] + answers["no_answer"] > 0, "it was not missed"
        assert found["check"]["ok"] is True
        assert roles.worker.terminate()[0] == 0


def test_a_gateway_that_is_told_to_stop_answers_what_it_took(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    roles = Roles(broker, prefix, tmp_path)
    simulator = roles.simulator("--calls", "2000", "--no-polled", "--retry-scale", "5")
    with stopped_after(roles.gateway, roles.worker, simulator):
        roles.start()
        simulator.start()
        wait_until(lambda: roles.counted("webhook_events_received_total") > 1500, "callbacks arrive", 120)
        code, seconds = roles.gateway.terminate()
        assert (code, seconds < 10) == (0, True)
        roles.gateway.start()
        found = report_of(simulator)
        assert found["gateway"]["answers"]["no_answer"] == 0, "a request was taken and not answered"
        assert found["check"]["ok"] is True
