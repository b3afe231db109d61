"""`faust -A agents worker` is the same worker, started by Faust's own command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.harness import Feed, ending
from tests.e2e.household import Progress, full_worker, midway, prepare
from tests.e2e.story import Story
from tests.e2e.verdict import judge
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 4
FAUST = ("-m", "faust", "-A", "agents", "worker", "-l", "info")


def test_fausts_own_command_applies_every_delivery_once(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = Story(prefix, PARTITIONS, 800)
    prepare(broker.bootstrap, story)
    worker = full_worker(broker.bootstrap, story, tmp_path, argv=FAUST)
    with Progress(broker.bootstrap, story) as progress, ending(worker):
        worker.start().wait_ready()
        with Feed(broker.bootstrap, story.records, rate=2000):
            progress.wait(0.2)
            worker.kill()
            assert midway(progress.share())
            worker.start().wait_ready()
        progress.finish()
        assert worker.terminate()[0] == 0
    assert judge(broker.bootstrap, story).faults == {}
