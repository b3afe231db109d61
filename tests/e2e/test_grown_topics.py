"""Somebody gives the topics more partitions while workers run: calls stay where they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from tests.e2e.full_worker import CommitProgress, create_topics, full_worker, is_midstream
from tests.e2e.harness import Feed, stopped_after
from tests.e2e.simulated_load import SimulatedLoad
from tests.e2e.verdict import read_verdict
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 4
RATE = 700
NOTICED_S = 12
"""Longer than a client goes without asking for the partitions of its topics."""


def test_topics_that_grow_change_nothing_for_a_worker_that_runs_nor_for_one_that_joins(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 4000)
    create_topics(broker.bootstrap, story)
    one = full_worker(broker.bootstrap, story, tmp_path, "one")
    two = full_worker(broker.bootstrap, story, tmp_path, "two")
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(one, two):
        one.start().wait_ready()
        with Feed(broker.bootstrap, story.records, rate=RATE) as feed:
            progress.wait(0.1)
            grow(broker, story.names.callbacks, story.names.scopes, story.names.ticks, story.names.fetches)
            feed.wait_sent(feed.sent + RATE * NOTICED_S)
            two.start().wait_ready()
            one.wait_ready(times=2)
            assert is_midstream(progress.share())
            assert two.terminate()[0] == 0
            one.wait_ready(times=3)
        progress.finish()
        assert one.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}


def grow(broker: RealBroker, *topics: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for done in admin.create_partitions([NewPartitions(topic, PARTITIONS + 2) for topic in topics]).values():
        done.result(20)
