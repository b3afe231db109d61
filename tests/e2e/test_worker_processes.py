"""Several processes of one worker in mid-stream: one of them killed, all stopped, their supervisor killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from stream.broker.ports import free_port
from tests.e2e.full_worker import CommitProgress, create_topics, full_worker, get_json, get_text, is_midstream
from tests.e2e.harness import Feed, WorkerProcess, stopped_after, wait_until
from tests.e2e.processes import descendants, running, wait_gone
from tests.e2e.simulated_load import SimulatedLoad
from tests.e2e.verdict import read_verdict
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 6
GONE_S = 5.0


def two_processes(
    broker: RealBroker, story: SimulatedLoad, directory: Path, store: str, environ: Mapping[str, str]
) -> tuple[WorkerProcess, str]:
    """A worker of two processes, not started, and its URL."""
    listen = f"127.0.0.1:{free_port()}"
    environ = {"CALLSTREAM_WORKER_PROCESSES": "2", "CALLSTREAM_WORKER_LISTEN": listen, **environ}
    return full_worker(broker.bootstrap, story, directory, store=store, environ=environ), f"http://{listen}"


def wait_all_ready(worker: WorkerProcess, url: str) -> None:
    def are_ready() -> bool:
        assert worker.exit_code is None, worker.output()[-4000:]
        return get_json(f"{url}/readyz")[0] == 200

    seconds = wait_until(are_ready, "all processes are ready", 60)
    print(f"all ready after {seconds:.1f} s", file=sys.stderr)


def process(worker: WorkerProcess, number: int) -> int:
    """The process id of one of them."""
    (pid,) = (
        pid
        for pid, command in descendants(worker.running.pid).items()
        if command.rstrip().endswith(f"--process {number}")
    )
    return pid


def applied(url: str) -> float:
    """The deliveries that were applied, by the worker's metrics."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in get_text(f"{url}/metrics")[1].splitlines()
        if line.startswith("callstream_events_processed_total{") and 'result="applied"' in line
    )


@pytest.mark.parametrize(("store", "instance"), [("memory", ""), ("rocksdb", "host")])
def test_kill_9_of_one_process_and_of_the_other_in_mid_stream(
    broker: RealBroker, prefix: str, tmp_path: Path, store: str, instance: str
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 3500)
    create_topics(broker.bootstrap, story)
    worker, url = two_processes(broker, story, tmp_path, store, {"CALLSTREAM_INSTANCE_ID": instance})
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        worker.start()
        wait_all_ready(worker, url)
        with Feed(broker.bootstrap, story.records, rate=1500):
            for share, number in ((0.15, 1), (0.45, 2)):
                progress.wait(share)
                counted = applied(url)
                os.kill(process(worker, number), signal.SIGKILL)
                assert is_midstream(progress.share())
                wait_all_ready(worker, url)
                assert applied(url) >= counted > 0
        progress.finish()
        everyone = descendants(worker.running.pid)
        assert worker.terminate()[0] == 0
        wait_gone(everyone, GONE_S)
    said = worker.output()
    assert said.count("ended with -9; started again") == 2
    assert all(f"process {number} callstream.lanes: at work on partitions" in said for number in (1, 2))
    assert read_verdict(broker.bootstrap, story).faults == {}


def test_sigterm_stops_all_processes_with_0_and_the_next_ones_go_on(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 2500)
    create_topics(broker.bootstrap, story)
    worker, url = two_processes(broker, story, tmp_path, "memory", {})
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        worker.start()
        wait_all_ready(worker, url)
        with Feed(broker.bootstrap, story.records, rate=1500):
            progress.wait(0.2)
            everyone = descendants(worker.running.pid)
            # A service manager sends it to all of a unit, and the supervisor to each process again.
            for pid in everyone:
                os.kill(pid, signal.SIGTERM)
            code, seconds = worker.terminate()
            print(f"stopped in {seconds:.1f} s", file=sys.stderr)
            assert is_midstream(progress.share())
            assert code == 0
            assert running(everyone) == {}
            worker.start()
            wait_all_ready(worker, url)
        progress.finish()
        assert worker.terminate()[0] == 0
    # What is in a transaction when the first leaves the group is repeated by the next owner.
    assert read_verdict(broker.bootstrap, story).faults == {}


def test_kill_9_of_the_supervisor_ends_its_processes_and_the_next_one_goes_on(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 2500)
    create_topics(broker.bootstrap, story)
    worker, url = two_processes(broker, story, tmp_path, "memory", {})
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        worker.start()
        wait_all_ready(worker, url)
        with Feed(broker.bootstrap, story.records, rate=1500):
            progress.wait(0.2)
            everyone = descendants(worker.running.pid)
            assert len(everyone) == 2
            worker.kill()
            wait_gone(everyone, GONE_S)
            assert is_midstream(progress.share())
            worker.start()
            wait_all_ready(worker, url)
        progress.finish()
        assert worker.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}
