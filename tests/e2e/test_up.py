"""`callstream up`: alerts from a real Kafka within seconds, and nothing left of it afterwards."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream.broker.ports import free_port
from tests.e2e.harness import WorkerProcess, stopped_after, wait_until
from tests.e2e.processes import descendants, running, wait_gone

pytestmark = pytest.mark.e2e

FIRST_ALERT_S = 90.0
SECOND_TIME_ALERT_S = 30.0
"""On a machine that does other things too; a quiet one needs 15."""
STOPPED_S = 20.0


def local_stack(directory: Path, *more: str) -> WorkerProcess:
    """`callstream up`, not started."""
    argv = ["-m", "stream.cli", "up", "--plain", *more]
    environ = {
        "CALLSTREAM_DATA_DIR": str(directory / "data"),
        "CALLSTREAM_WORKER_LISTEN": f"127.0.0.1:{free_port()}",
        "CALLSTREAM_KAFKA": "",
        "PYTHONUNBUFFERED": "1",
    }
    return WorkerProcess(argv, environ, directory / "up.log")


@contextmanager
def leaving_nothing(home: WorkerProcess) -> Iterator[None]:
    """End what the local stack started, should it fail to."""
    seen: dict[int, str] = {}
    try:
        with stopped_after(home):
            try:
                yield
            finally:
                seen = descendants(home.running.pid)
        if seen:
            wait_gone(seen, STOPPED_S)
    finally:
        for pid in running(seen):
            os.kill(pid, signal.SIGKILL)


def wait_alert(home: WorkerProcess, timeout_s: float) -> float:
    """Wait for the first alert. Returns the seconds."""

    def shown() -> bool:
        assert home.exit_code is None, f"it ended with {home.exit_code}:\n{home.output()}"
        return "alert: " in home.output()

    seconds = wait_until(shown, "an alert is shown", timeout_s)
    print(f"first alert after {seconds:.1f} s", file=sys.stderr)
    return seconds


def test_a_local_stack_shows_alerts_and_leaves_nothing_behind_and_starts_again(tmp_path: Path) -> None:
    home = local_stack(tmp_path, "--rate", "200")
    with leaving_nothing(home):
        for limit_s in (FIRST_ALERT_S, SECOND_TIME_ALERT_S):
            home.start()
            assert wait_alert(home, limit_s) < limit_s
            everyone = descendants(home.running.pid)
            names = " ".join(everyone.values())
            assert all(name in names for name in ("kafka.Kafka", "stream.cli worker", "stream.cli simulate"))
            home.running.send_signal(signal.SIGINT)
            began = time.monotonic()
            assert home.running.wait(STOPPED_S) == 0
            print(f"stopped after {time.monotonic() - began:.1f} s", file=sys.stderr)
            wait_gone(everyone, 5.0)
            assert "Stopped." in home.output()
            assert "Traceback" not in home.output()


def test_a_local_stack_for_so_many_seconds_ends_by_itself(tmp_path: Path) -> None:
    home = local_stack(tmp_path, "--for", "20")
    with leaving_nothing(home):
        home.start()
        wait_until(lambda: "Kafka: " in home.output(), "it says where Kafka is", FIRST_ALERT_S)
        everyone = descendants(home.running.pid)
        assert home.running.wait(60) == 0
        wait_gone(everyone, 5.0)


def test_a_second_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    home = local_stack(tmp_path)
    with leaving_nothing(home):
        home.start()
        wait_until(lambda: "worker running" in home.output(), "the worker runs", FIRST_ALERT_S)
        everyone = descendants(home.running.pid)
        home.running.send_signal(signal.SIGINT)
        wait_until(lambda: "Stopping" in home.output(), "it stops")
        home.running.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert home.running.wait(STOPPED_S) in (0, 130)
        assert time.monotonic() - began < 5
        wait_gone(everyone, 15.0)


def test_a_killed_local_stack_takes_broker_worker_and_simulator_with_it(tmp_path: Path) -> None:
    home = local_stack(tmp_path)
    with leaving_nothing(home):
        home.start()
        wait_until(lambda: "worker running" in home.output(), "the worker runs", FIRST_ALERT_S)
        everyone = descendants(home.running.pid)
        assert len(everyone) >= 4, everyone  # supervisor, Java, worker, simulator
        home.kill()
        print(f"all gone after {wait_gone(everyone, 20.0):.1f} s", file=sys.stderr)


def test_a_killed_worker_is_started_again_by_the_local_stack(tmp_path: Path) -> None:
    home = local_stack(tmp_path, "--rate", "200", "--workers", "1")
    with leaving_nothing(home):
        home.start()
        wait_alert(home, FIRST_ALERT_S)
        (worker,) = (
            pid for pid, name in descendants(home.running.pid).items() if "stream.cli worker" in name
        )
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: "the worker ended" in home.output(), "it says that the worker ended")
        said = len(home.output())
        wait_until(lambda: "worker running" in home.output()[said:], "another worker runs", 60)
        everyone = descendants(home.running.pid)
        home.running.send_signal(signal.SIGINT)
        assert home.running.wait(STOPPED_S) == 0
        wait_gone(everyone, 5.0)
