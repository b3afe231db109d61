"""Two whole workers: one joins, leaves, dies, or sleeps through its session while the other takes over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.full_worker import CommitProgress, create_topics, full_worker, is_midstream
from tests.e2e.harness import Feed, stopped_after
from tests.e2e.simulated_load import SimulatedLoad
from tests.e2e.verdict import read_verdict
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 6


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_a_second_worker_joins_and_leaves_and_joins_and_dies(
    broker: RealBroker, prefix: str, tmp_path: Path, store: str
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 3500)
    create_topics(broker.bootstrap, story)
    one = full_worker(broker.bootstrap, story, tmp_path, "one", store=store)
    two = full_worker(broker.bootstrap, story, tmp_path, "two", store=store)
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(one, two):
        one.start().wait_ready()
        with Feed(broker.bootstrap, story.records, rate=1200):
            assert is_midstream(progress.wait(0.11))
            two.start().wait_ready()
            one.wait_ready(times=2)
            assert is_midstream(progress.share())
            assert two.terminate()[0] == 0
            one.wait_ready(times=3)
            two.start().wait_ready()
            progress.wait(progress.share() + 0.05)
            two.kill()
            assert is_midstream(progress.share())
            one.wait_ready(times=5)
        progress.finish()
        assert one.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_a_worker_frozen_for_longer_than_its_session_writes_nothing_when_it_wakes(
    broker: RealBroker, prefix: str, tmp_path: Path, store: str
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 4500)
    create_topics(broker.bootstrap, story)
    one = full_worker(broker.bootstrap, story, tmp_path, "one", store=store)
    two = full_worker(broker.bootstrap, story, tmp_path, "two", store=store)
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(one, two):
        one.start().wait_ready()
        two.start().wait_ready()
        one.wait_ready(times=2)
        with Feed(broker.bootstrap, story.records, rate=900):
            ready = {one: 2, two: 1}
            for share, sleeper, other in ((0.12, one, two), (0.4, two, one)):
                progress.wait(share)
                sleeper.freeze()
                stood = progress.share()
                assert is_midstream(stood)
                ready[other] += 1
                other.wait_ready(times=ready[other])
                progress.wait(stood + 0.05)  # of the sleeper's partitions too
                sleeper.wake()
                assert is_midstream(progress.share())
                if sleeper.exit_code is None:
                    ready[sleeper] += 1
                    sleeper.wait_ready(times=ready[sleeper])
                ready[other] += 1
                other.wait_ready(times=ready[other])
        progress.finish()
        assert one.terminate()[0] == 0
        assert two.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}
