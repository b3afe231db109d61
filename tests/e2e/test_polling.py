"""The whole circle: callbacks are lost, pollers read what the provider holds, all of it comes out once."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stream.broker.ports import free_port
from stream.service.settings import load
from stream.simulator.accounts import simulated_environment
from tests.e2e.full_worker import get_text
from tests.e2e.harness import WorkerProcess, stopped_after, wait_until
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

SIMULATED_S = 900.0
TIME_FACTOR = "60"


class Roles:
    """A worker, pollers and a simulator that serves what they read. Not started."""

    def __init__(self, broker: RealBroker, prefix: str, directory: Path, pollers: int = 1) -> None:
        rest = f"127.0.0.1:{free_port()}"
        self.environ = simulated_environment(load({}), {}, rest_url=f"http://{rest}") | {
            "CALLSTREAM_KAFKA": broker.bootstrap,
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_DATA_DIR": str(directory / "data"),
            "CALLSTREAM_WORKER_LISTEN": f"127.0.0.1:{free_port()}",
            "CALLSTREAM_SIMULATE_LISTEN": rest,
            "CALLSTREAM_TIME_FACTOR": TIME_FACTOR,
            "CALLSTREAM_POLL_INTERVAL_S": "3",
            "CALLSTREAM_POLL_RATE": "400",
            "CALLSTREAM_POLL_CONCURRENCY": "16",
            "CALLSTREAM_OVERDUE_S": "60",
        }
        self._directory = directory
        self.ports = [free_port() for _ in range(pollers)]
        self.worker = self._process("worker", ())
        self.pollers = [self._process("poller", (), number) for number in range(pollers)]

    def _process(self, name: str, more: Sequence[str], number: int = 0) -> WorkerProcess:
        environ = self.environ | {"CALLSTREAM_POLLER_LISTEN": f"127.0.0.1:{self.ports[number]}"}
        argv = ("-m", "stream.cli", name, *more)
        return WorkerProcess(argv, environ, self._directory / f"{name}{number}.log")

    def simulator(self, *more: str) -> WorkerProcess:
        """Calls to Kafka, what the provider holds over REST, compared with what comes out.

        Nothing that must not leave is in topics, metrics and logs.
        """
        logs = [word for role in (self.worker, *self.pollers) for word in ("--log", str(role.log))]
        seeded = ("--serve", "--check", "--json", "--seed", "11", "--timeout", "150")
        return self._process("simulate", (*seeded, *logs, *more))

    def open(self) -> None:
        """All at work, but for the simulator."""
        self.worker.start().wait_ready()
        for number, poller in enumerate(self.pollers):
            poller.start()
            wait_until(lambda n=number: self.ready(n), f"poller {number} is ready", 60)  # type: ignore[misc]

    def ready(self, number: int) -> bool:
        return get_text(f"http://127.0.0.1:{self.ports[number]}/readyz")[0] == 200

    def counted(self, family: str, number: int = 0) -> float:
        """Sum of a counter of a poller; 0 while it does not answer."""
        text = get_text(f"http://127.0.0.1:{self.ports[number]}/metrics")[1]
        samples = re.findall(rf"^callstream_{family}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
        return sum(float(value) for value in samples)

    def requests(self, number: int) -> float:
        """How many requests a poller has made of the providers."""
        return self.counted("poll_requests_total", number)

    def owned(self) -> list[float]:
        """How many partitions each poller serves."""
        return [self.counted("poll_owned_partitions", number) for number in range(len(self.pollers))]


def said(simulator: WorkerProcess) -> dict[str, Any]:
    """What it found, once it has ended."""
    simulator.running.wait(SIMULATED_S)
    output = simulator.output()
    found: dict[str, Any] = json.loads(output[output.index("{\n") :])
    assert simulator.exit_code == 0, json.dumps(found)[:6000]
    return found


def test_five_thousand_calls_of_which_callbacks_are_lost_come_out_whole(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    roles = Roles(broker, prefix, tmp_path)
    simulator = roles.simulator("--calls", "5000", "--drop", "0.05", "--rate", "150")
    with stopped_after(roles.worker, *roles.pollers, simulator):
        roles.open()
        simulator.start()
        found = said(simulator)
        assert found["check"]["ok"] is True
        assert found["check"]["calls_ended"] == 5000
        assert [process.terminate()[0] for process in (*roles.pollers, roles.worker)] == [0, 0]


def test_calls_come_out_whole_where_a_read_has_many_pages(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    roles = Roles(broker, prefix, tmp_path)
    small_pages = ("--rest-page-size", "5", "--timeout", "60")
    simulator = roles.simulator("--calls", "300", "--drop", "0.1", "--rate", "30", *small_pages)
    with stopped_after(roles.worker, *roles.pollers, simulator):
        roles.open()
        simulator.start()
        found = said(simulator)
        assert found["check"]["ok"] is True
        assert found["check"]["calls_ended"] == 300


def test_one_of_two_pollers_is_killed_and_the_other_reads_what_is_left(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    roles = Roles(broker, prefix, tmp_path, pollers=2)
    simulator = roles.simulator("--calls", "2000", "--drop", "0.05", "--rate", "100")
    with stopped_after(roles.worker, *roles.pollers, simulator):
        roles.open()
        wait_until(lambda: roles.owned() == [6, 6], "they share", 60)
        simulator.start()
        wait_until(lambda: sum(map(roles.requests, (0, 1))) > 500, "they read", 120)
        dies = max((0, 1), key=roles.requests)
        os.kill(roles.pollers[dies].running.pid, signal.SIGKILL)
        killed_s = time.monotonic()
        wait_until(lambda: roles.owned()[1 - dies] == 12, "the other takes over", 60)
        assert time.monotonic() - killed_s < 40
        found = said(simulator)
        assert found["check"]["ok"] is True
        assert found["check"]["calls_ended"] == 2000
