"""The whole worker killed or stopped in mid-stream, again and again: nothing lost, nothing twice."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.e2e.full_worker import CommitProgress, create_topics, full_worker, is_midstream
from tests.e2e.harness import Feed, stopped_after
from tests.e2e.simulated_load import SimulatedLoad
from tests.e2e.verdict import read_verdict
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 4
BACK_AT_WORK_S = 20.0


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_kill_9_three_times_in_mid_stream(
    broker: RealBroker, prefix: str, tmp_path: Path, store: str
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 2500)
    create_topics(broker.bootstrap, story)
    worker = full_worker(broker.bootstrap, story, tmp_path, store=store)
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        worker.start().wait_ready()
        with Feed(broker.bootstrap, story.records, rate=3000):
            for share in (0.12, 0.35, 0.6):
                progress.wait(share)
                worker.kill()
                assert is_midstream(progress.share())
                worker.start().wait_ready()
        progress.finish()
        assert worker.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}


def test_kill_9_while_a_long_backlog_is_worked_off(broker: RealBroker, prefix: str, tmp_path: Path) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 4000)
    create_topics(broker.bootstrap, story)
    with Feed(broker.bootstrap, story.records):
        pass
    worker = full_worker(broker.bootstrap, story, tmp_path, environ={"CALLSTREAM_INSTANCE_ID": "a"})
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        for share in (0.12, 0.25, 0.4, 0.55):
            worker.start()
            progress.wait(share)
            progress.wait_written()
            worker.kill()
            assert is_midstream(progress.share())
        worker.start().wait_ready()
        progress.finish()
        assert worker.terminate()[0] == 0
    verdict = read_verdict(broker.bootstrap, story)
    assert verdict.faults == {}
    assert verdict.repeated > 0, "no kill hit a transaction"


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_sigterm_in_mid_stream_ends_with_0_and_the_next_worker_goes_on(
    broker: RealBroker, prefix: str, tmp_path: Path, store: str
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 2000)
    create_topics(broker.bootstrap, story)
    worker = full_worker(broker.bootstrap, story, tmp_path, store=store)
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        worker.start().wait_ready()
        with Feed(broker.bootstrap, story.records, rate=3000):
            for share in (0.15, 0.5):
                progress.wait(share)
                code, seconds = worker.terminate()
                print(f"stopped in {seconds:.1f} s", file=sys.stderr)
                assert is_midstream(progress.share())
                assert code == 0
                worker.start().wait_ready()
        progress.finish()
        assert worker.terminate()[0] == 0
    verdict = read_verdict(broker.bootstrap, story)
    assert verdict.faults == {}
    assert verdict.repeated == 0, "a clean stop leaves no transaction open"


@pytest.mark.parametrize("instance", ["", "a"], ids=["without instance id", "with instance id"])
def test_after_kill_9_a_worker_is_back_at_work_within_20_s(
    broker: RealBroker, prefix: str, tmp_path: Path, instance: str
) -> None:
    story = SimulatedLoad(prefix, 12, 600)
    create_topics(broker.bootstrap, story)
    environ = {"CALLSTREAM_SESSION_TIMEOUT_S": "10", "CALLSTREAM_INSTANCE_ID": instance}
    worker = full_worker(broker.bootstrap, story, tmp_path, environ=environ)
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        worker.start().wait_ready()
        with Feed(broker.bootstrap, story.records, rate=300):
            progress.wait(0.15)
            worker.kill()
            killed_at = time.monotonic()
            stood = progress.share()
            assert is_midstream(stood)
            worker.start()
            progress.wait(stood + 0.001)
            away_s = time.monotonic() - killed_at
        progress.finish()
        assert worker.terminate()[0] == 0
    print(f"back at work after {away_s:.1f} s", file=sys.stderr)
    assert away_s < BACK_AT_WORK_S
    assert read_verdict(broker.bootstrap, story).faults == {}
