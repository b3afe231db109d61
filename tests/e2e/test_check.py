"""`callstream simulate --check` on a real worker: all of it comes out, and nothing of what must not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from stream.broker.ports import free_port
from tests.e2e.full_worker import create_topics, full_worker
from tests.e2e.harness import ROOT, stopped_after
from tests.e2e.simulated_load import SimulatedLoad
from tests.real_broker import RealBroker

pytestmark = pytest.mark.broker


@pytest.mark.parametrize("privacy", ["masked", pytest.param("full", marks=pytest.mark.e2e)])
def test_what_comes_out_is_right_and_has_nothing_in_it_that_must_not_leave(
    broker: RealBroker, prefix: str, tmp_path: Path, privacy: str
) -> None:
    story = SimulatedLoad(prefix, 2, 1)
    create_topics(broker.bootstrap, story)
    environ = {
        "CALLSTREAM_PRIVACY": privacy,
        "CALLSTREAM_WORKER_LISTEN": f"127.0.0.1:{free_port()}",
    }
    worker = full_worker(broker.bootstrap, story, tmp_path, environ=environ)
    options = (
        "--calls",
        "300",
        "--failed",
        "0.3",
        "--sources",
        "all",
        "--seed",
        "5",
        "--log",
        str(worker.log),
    )
    # Nobody is at these: only this worker's metrics are looked at.
    nobody = dict.fromkeys(("CALLSTREAM_POLLER_LISTEN", "CALLSTREAM_GATEWAY_HEALTH_LISTEN"), "127.0.0.1:1")
    with stopped_after(worker):
        worker.start().wait_ready()
        done = subprocess.run(
            [sys.executable, "-m", "stream.cli", "simulate", "--check", "--json", *options],
            env=worker.environ | nobody,
            cwd=ROOT,
            capture_output=True,
            timeout=150,
            check=False,
        )
        said = orjson.loads(done.stdout)["check"]
        assert (done.returncode, said["examples"]) == (0, {})
        assert said["looked_at"][1:] == ["the worker's metrics", worker.log.name]
        assert worker.terminate()[0] == 0
