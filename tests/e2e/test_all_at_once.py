"""A whole local stack with every role, whose processes are killed, frozen and ended at random while webhooks
come and rows are polled: everything comes out once, the archive has it, and each role is ready again.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from stream.broker.ports import free_port
from stream.service.settings import load
from stream.simulator.accounts import simulated_environment
from tests.e2e.harness import WorkerProcess, read_topic, stopped_after, wait_until
from tests.e2e.incidents.observed import answers
from tests.e2e.poller import run_in_thread
from tests.e2e.processes import descendants
from tests.e2e.test_up import FIRST_ALERT_S, STOPPED_S, leaving_nothing
from tests.notify.sinks.stub_sinks import StubSinks, stub_sinks

pytestmark = pytest.mark.e2e

FAULTS_S = 90.0
CHECKED_S = 600.0
RATE = "25"
PROBED = ("worker", "gateway_health", "poller", "archive", "notify", "api_health")
ROLES = ("worker", "gateway", "poller", "archive", "notify", "api")
LOGS = tuple(f"{role}.log" for role in ROLES)


def everything(directory: Path, store: str, stub: StubSinks) -> WorkerProcess:
    """`callstream up` with all roles, not started. The simulator is another process."""
    sinks = [asdict(one) for one in stub.settings() if one.type == "webhook"]
    rest = f"127.0.0.1:{free_port()}"
    environment = simulated_environment(load({}), {}, rest_url=f"http://{rest}") | {
        f"CALLSTREAM_{role.upper()}_LISTEN": f"127.0.0.1:{free_port()}" for role in {*PROBED, *ROLES}
    }
    environment |= {
        "CALLSTREAM_DATA_DIR": str(directory / "data"),
        "CALLSTREAM_KAFKA": "",
        "CALLSTREAM_SIMULATE_LISTEN": rest,
        "CALLSTREAM_STORE": store,
        "CALLSTREAM_SESSION_TIMEOUT_S": "6",
        "CALLSTREAM_TIME_FACTOR": "60",
        "CALLSTREAM_POLL_INTERVAL_S": "5",
        "CALLSTREAM_POLL_LOOKBACK_S": "900",
        "CALLSTREAM_POLL_RATE": "100",
        "CALLSTREAM_NOTIFY_SINKS": json.dumps([{k: v for k, v in one.items() if v} for one in sinks]),
        "CALLSTREAM_NOTIFY_ROUTES": json.dumps([{"sink": "webhook", "wait_s": 5, "interval_s": 10}]),
        "PYTHONUNBUFFERED": "1",
    }
    argv = ["-m", "stream.cli", "up", "--plain", "--no-simulate", "--workers", "2"]
    return WorkerProcess(argv, environment, directory / "up.log")


def simulated(stack: WorkerProcess, seed: int) -> WorkerProcess:
    """Live calls that the stack is told of and can read, and the check of what comes out. Not started."""
    data = Path(stack.environ["CALLSTREAM_DATA_DIR"])
    argv = [
        "-m",
        "stream.cli",
        "simulate",
        "--gateway",
        f"http://{at(stack, 'gateway')}",
        "--serve",
        "--check",
    ]
    argv += ["--for", str(FAULTS_S), "--rate", RATE, "--drop", "0.05", "--failed", "0.2", "--json"]
    argv += ["--seed", str(seed), "--timeout", "150"]
    argv += [word for name in LOGS for word in ("--log", str(data / name))]
    return WorkerProcess(argv, stack.environ, stack.log.with_name("simulate.log"))


def at(stack: WorkerProcess, role: str) -> str:
    return stack.environ[f"CALLSTREAM_{role.upper()}_LISTEN"]


def wait_ready(stack: WorkerProcess) -> None:
    """Wait until each role says that it is ready."""
    for role in PROBED:
        url = f"http://{at(stack, role)}/readyz"
        wait_until(partial(answers, url), f"{role} is ready", FIRST_ALERT_S)


class Faults:
    """What happens to the processes of a stack, chosen by a seed and printed as it happens."""

    def __init__(self, stack: WorkerProcess, seed: int) -> None:
        self._stack = stack
        self._random = random.Random(seed)

    def go_on(self, seconds: float) -> None:
        """One fault after the other; the last one is over when it returns."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self._stack.exit_code is None, self._stack.output()
            role = self._random.choice((*ROLES, "worker", "Kafka"))
            how = self._random.choice((self._freeze, self._freeze, self._kill, self._end))
            found = self._processes(role)
            if found:  # else it is being started again
                (self._freeze if role == "Kafka" else how)(role, self._random.choice(found))
            time.sleep(self._random.choice((0.3, 1.0, 3.0, 6.0)))

    def _processes(self, role: str) -> list[int]:
        """The supervisor of several worker processes is one of them."""
        sign = " kafka.Kafka" if role == "Kafka" else f"stream.cli {role}"
        return sorted(pid for pid, name in descendants(self._stack.running.pid).items() if sign in name)

    def _freeze(self, role: str, pid: int) -> None:
        seconds = self._random.choice((0.5, 2.0, 5.0, 8.0, 12.0))
        if self._signal(role, pid, signal.SIGSTOP):
            try:
                time.sleep(seconds)
            finally:
                self._signal(role, pid, signal.SIGCONT)

    def _kill(self, role: str, pid: int) -> None:
        self._signal(role, pid, signal.SIGKILL)

    def _end(self, role: str, pid: int) -> None:
        self._signal(role, pid, signal.SIGTERM)

    def _signal(self, role: str, pid: int, what: signal.Signals) -> bool:
        print(f"{role} {pid}: {what.name}", file=sys.stderr)
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            return False
        return True


def assert_archived(stack: WorkerProcess) -> None:
    """The archive has every event of the topic once, and a record of every call that has one."""
    bootstrap = kafka(stack)
    events = [json.loads(one.value or b"")["id"] for one in read_topic(bootstrap, "calls.events.v1")]
    calls = {one.key for one in read_topic(bootstrap, "calls.ended.v1")}
    assert len(events) == len(set(events)) > 1000
    with closing(sqlite3.connect(Path(stack.environ["CALLSTREAM_DATA_DIR"]) / "archive.sqlite")) as archive:

        def counted() -> tuple[int, int]:
            asked = "SELECT (SELECT count(DISTINCT id) FROM events), (SELECT count(*) FROM records)"
            found: tuple[int, int] = archive.execute(asked).fetchone()
            return found

        wait_until(lambda: counted() == (len(events), len(calls)), "the archive has what was written", 60)
        assert archive.execute("SELECT count(*) FROM events").fetchone() == (len(events),)


def kafka(stack: WorkerProcess) -> str:
    """Where the stack's broker is."""
    found = re.search(r"^Kafka: (\S+)$", stack.output(), re.MULTILINE)
    assert found is not None
    return found[1]


def episodes(stack: WorkerProcess) -> int:
    """How many alerts have begun to fire."""
    alerts = (json.loads(one.value or b"") for one in read_topic(kafka(stack), "calls.alerts.v1"))
    return len({one["episode_id"] for one in alerts})


def told(stub: StubSinks) -> int:
    """Of how many alerts the webhook was told that they began to fire."""
    return sum(one["data"]["fired"] for one in stub.payloads("webhook"))


@pytest.mark.parametrize(("store", "seed"), [("memory", 1), ("rocksdb", 2)])
def test_everything_comes_out_once_though_processes_are_killed_and_frozen_at_random(
    tmp_path: Path, store: str, seed: int
) -> None:
    with run_in_thread(stub_sinks()) as stub:
        stack = everything(tmp_path, store, stub)
        simulator = simulated(stack, seed)
        with leaving_nothing(stack), stopped_after(simulator):
            stack.start()
            wait_ready(stack)
            simulator.start()
            Faults(stack, seed).go_on(FAULTS_S)
            assert simulator.running.wait(CHECKED_S) == 0, simulator.output()[-6000:]
            wait_ready(stack)
            assert_archived(stack)
            begun = episodes(stack)
            wait_until(lambda: told(stub) >= begun, "the webhook was told of every alert", 120)
            assert stub.refused == []
            stack.running.send_signal(signal.SIGINT)
            assert stack.running.wait(STOPPED_S) == 0
            assert "Traceback" not in stack.output()
