"""`faust -A agents worker` is the same worker, started by Faust's own command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.full_worker import CommitProgress, create_topics, full_worker, is_midstream
from tests.e2e.harness import Feed, stopped_after
from tests.e2e.simulated_load import SimulatedLoad
from tests.e2e.verdict import read_verdict
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 4
FAUST = ("-m", "faust", "-A", "agents", "worker", "-l", "info")


def test_fausts_own_command_applies_every_delivery_once(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 800)
    create_topics(broker.bootstrap, story)
    worker = full_worker(broker.bootstrap, story, tmp_path, argv=FAUST)
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        worker.start().wait_ready()
        with Feed(broker.bootstrap, story.records, rate=2000):
            progress.wait(0.2)
            worker.kill()
            assert is_midstream(progress.share())
            worker.start().wait_ready()
        progress.finish()
        assert worker.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}
