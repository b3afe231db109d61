"""The table read back from its changelog into an empty data directory, and what the probes say meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.e2e.full_worker import CommitProgress, create_topics, full_worker, get_json, get_text, health_url
from tests.e2e.harness import Feed, latest, read_topic, stopped_after
from tests.e2e.simulated_load import SimulatedLoad, undisturbed_outputs
from tests.e2e.verdict import read_verdict
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 6


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
def test_an_empty_data_directory_knows_every_call_again(
    broker: RealBroker, prefix: str, tmp_path: Path, store: str
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 1500)
    create_topics(broker.bootstrap, story)
    half = len(story.records) // 2
    old = full_worker(broker.bootstrap, story, tmp_path, "old", store=store)
    new = full_worker(broker.bootstrap, story, tmp_path, "new", store=store)
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(old, new):
        old.start().wait_ready()
        with Feed(broker.bootstrap, story.records[:half]):
            pass
        progress.wait(half / len(story.records))
        assert old.terminate()[0] == 0
        new.start().wait_ready()
        # All of the first half comes once more, before and among the rest.
        story.records[half:half] = story.records[: half // 2]
        story.records += story.records[half // 2 : half]
        with Feed(broker.bootstrap, story.records[half:]):
            pass
        progress.finish()
        assert new.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}


def test_a_worker_is_not_ready_until_it_has_recovered(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 500)
    create_topics(broker.bootstrap, story)
    worker = full_worker(broker.bootstrap, story, tmp_path)
    write_states(broker.bootstrap, story, copies=500)
    with stopped_after(worker):
        url = health_url(worker.start())
        said: list[str] = []
        live = set()
        while (answer := get_json(f"{url}/readyz"))[0] != 200:
            assert worker.exit_code is None
            if answer[0]:
                said += answer[1]["reasons"]
            live.add(get_json(f"{url}/livez")[0])
        assert answer == (200, {"status": "ok", "reasons": []})
        assert live <= {0, 200}, "recovering is progress"
        assert "the worker is recovering" in said
        assert "the table is not recovered" in said
        metrics = get_text(f"{url}/metrics")[1]
        assert 'callstream_worker_state{state="running"} 1.0' in metrics
        assert worker.terminate()[0] == 0


def write_states(bootstrap: str, story: SimulatedLoad, copies: int) -> None:
    """A long changelog: each call's state `copies` times."""
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 2, "linger.ms": 20})
    places = {record.key: record.partition for record in story.records}
    states = undisturbed_outputs(story).states
    for _ in range(copies):
        for key, state in states.items():
            producer.produce(story.names.changelog, state, key=key, partition=places[key])
        producer.flush(60)
    assert latest(read_topic(bootstrap, story.names.changelog)) == states
