"""The whole worker on a real Kafka: one kill -9, one hand-over, one recovery. The long runs are beside it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.full_worker import CommitProgress, create_topics, full_worker, is_midstream
from tests.e2e.harness import Feed, ReadRecord, read_topic, stopped_after
from tests.e2e.malformed_records import mixed_with_malformed
from tests.e2e.simulated_load import SimulatedLoad
from tests.e2e.verdict import read_verdict
from tests.real_broker import RealBroker

pytestmark = pytest.mark.broker

PARTITIONS = 4


def test_a_worker_killed_in_mid_stream_applies_every_delivery_once(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 800)
    create_topics(broker.bootstrap, story)
    worker = full_worker(broker.bootstrap, story, tmp_path, environ={"CALLSTREAM_INSTANCE_ID": f"{prefix}a"})
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(worker):
        worker.start().wait_ready()
        with Feed(broker.bootstrap, story.records, rate=2000):
            progress.wait(0.3)
            worker.kill()
            assert is_midstream(progress.share())
            assert worker.start().wait_ready() < 20
        progress.finish()
        assert worker.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}


@pytest.mark.e2e
def test_a_worker_hands_its_calls_over_and_takes_them_back(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 1200)
    create_topics(broker.bootstrap, story)
    one = full_worker(broker.bootstrap, story, tmp_path, "one")
    two = full_worker(broker.bootstrap, story, tmp_path, "two", store="rocksdb")
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(one, two):
        one.start().wait_ready()
        two.start()
        with Feed(broker.bootstrap, story.records, rate=1200):
            two.wait_ready()
            assert is_midstream(progress.wait(0.15))
            code, _ = two.terminate()
            assert code == 0
            assert is_midstream(progress.share())
            one.wait_ready(times=3)
        progress.finish()
        assert one.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}


def test_calls_recovered_from_the_changelog_know_what_they_have_seen(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 600)
    create_topics(broker.bootstrap, story)
    half = len(story.records) // 2
    old = full_worker(broker.bootstrap, story, tmp_path, "old")
    new = full_worker(broker.bootstrap, story, tmp_path, "new", store="rocksdb")
    with CommitProgress(broker.bootstrap, story) as progress, stopped_after(old, new):
        old.start().wait_ready()
        with Feed(broker.bootstrap, story.records[:half]):
            pass
        progress.wait(half / len(story.records))
        assert old.terminate()[0] == 0
        new.start().wait_ready()
        # Everything that came before comes once more, in between what is new.
        story.records += story.records[: half // 2]
        with Feed(broker.bootstrap, story.records[half:]):
            pass
        progress.finish()
        assert new.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story).faults == {}


def test_each_third_record_bad_in_another_way_costs_none_of_the_good_ones(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    story = SimulatedLoad(prefix, PARTITIONS, 160)
    records, reasons = mixed_with_malformed(story.records)
    assert len(reasons) == len(story.records) // 2 > 900
    create_topics(broker.bootstrap, story)
    worker = full_worker(broker.bootstrap, story, tmp_path)
    with CommitProgress(broker.bootstrap, story, len(records)) as progress, stopped_after(worker):
        worker.start().wait_ready()
        with Feed(broker.bootstrap, records):
            pass
        progress.finish()
        assert worker.terminate()[0] == 0
    assert read_verdict(broker.bootstrap, story, poisoned=True).faults == {}
    offsets: Counter[tuple[str, int]] = Counter()
    expected = {}
    for at, record in enumerate(records):
        place = (record.topic, record.partition)
        if at in reasons:
            expected[*place, offsets[place]] = (reasons[at], record.key, record.value)
        offsets[place] += 1
    assert by_source(read_topic(broker.bootstrap, story.names.dead_letters)) == expected


def by_source(
    letters: list[ReadRecord],
) -> dict[tuple[str, int, int], tuple[str, bytes | None, bytes | None]]:
    """(reason, key, bytes) of each dead letter by where it came from; no place twice."""
    found = {}
    for letter in letters:
        headers = {name: value.decode() for name, value in letter.headers}
        place = (headers["source_topic"], int(headers["source_partition"]), int(headers["source_offset"]))
        assert place not in found, f"two dead letters of {place}"
        found[place] = (headers["reason"], letter.key, letter.value)
    return found
