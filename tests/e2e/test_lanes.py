"""The long fault runs of the lanes, on the counting worker: nothing lost, nothing doubled, repeats alike."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from stream.kafka import topics
from stream.service.settings import Settings
from tests.e2e.counting import NO_FAULTS, Workload, compare, worker
from tests.e2e.harness import READY, Feed, WorkerProcess, stopped_after, wait_drained
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

PARTITIONS = 12
STORES = pytest.mark.parametrize("store", ["memory", "rocksdb"])


async def workload(broker: RealBroker, prefix: str, count: int) -> Workload:
    """Topics, and what to send to them."""
    await topics.ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=PARTITIONS))
    return Workload(topics.names(prefix), count, PARTITIONS)


def drain_and_stop(broker: RealBroker, prefix: str, work: Workload, *workers: WorkerProcess) -> None:
    """Everything that was sent is committed, and every worker stops cleanly."""
    wait_drained(broker.bootstrap, topics.app_id(prefix), work.sources)
    for one in workers:
        assert one.terminate()[0] == 0


@STORES
async def test_killed_three_times_in_mid_stream(
    broker: RealBroker, prefix: str, tmp_path: Path, store: str
) -> None:
    work = await workload(broker, prefix, 40_000)
    one = worker(broker.bootstrap, prefix, tmp_path, partitions=PARTITIONS, store=store)
    with stopped_after(one):
        one.start().wait_ready()
        with Feed(broker.bootstrap, work.records, rate=4000) as feed:
            for time_of_death in (8_000, 16_000, 24_000):
                feed.wait_sent(time_of_death)
                one.kill()
                assert one.start().wait_ready() < 20
        drain_and_stop(broker, prefix, work, one)
    assert compare(broker.bootstrap, work).faults == NO_FAULTS


@STORES
async def test_stopped_twice_in_mid_stream(
    broker: RealBroker, prefix: str, tmp_path: Path, store: str
) -> None:
    work = await workload(broker, prefix, 30_000)
    one = worker(broker.bootstrap, prefix, tmp_path, partitions=PARTITIONS, store=store)
    with stopped_after(one):
        one.start().wait_ready()
        with Feed(broker.bootstrap, work.records, rate=4000) as feed:
            for stopped_at in (8_000, 16_000):
                feed.wait_sent(stopped_at)
                code, seconds = one.terminate()
                assert (code, seconds < 10) == (0, True)
                one.start().wait_ready()
        drain_and_stop(broker, prefix, work, one)
    sums = compare(broker.bootstrap, work)
    assert (sums.faults, sums.aborted) == (NO_FAULTS, 0)


async def test_a_second_worker_joins_and_leaves_then_joins_and_dies(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    work = await workload(broker, prefix, 60_000)
    one = worker(broker.bootstrap, prefix, tmp_path, "one", partitions=PARTITIONS)
    two = worker(broker.bootstrap, prefix, tmp_path, "two", partitions=PARTITIONS, store="rocksdb")
    with stopped_after(one, two):
        one.start().wait_ready()
        with Feed(broker.bootstrap, work.records, rate=2000) as feed:
            feed.wait_sent(4_000)
            two.start().wait_ready()
            feed.wait_sent(feed.sent + 4_000)
            assert two.terminate()[0] == 0
            one.wait_ready(times=3)
            feed.wait_sent(feed.sent + 4_000)
            two.start().wait_ready()
            feed.wait_sent(feed.sent + 4_000)
            two.kill()
            one.wait_ready(times=5)
        drain_and_stop(broker, prefix, work, one)
    assert compare(broker.bootstrap, work).faults == NO_FAULTS


@STORES
async def test_a_worker_frozen_for_longer_than_its_session_wakes_to_find_another_at_work(
    broker: RealBroker, prefix: str, tmp_path: Path, store: str
) -> None:
    work = await workload(broker, prefix, 100_000)
    slow = {"COUNTING_DELAY_S": "0.005"}  # so that it is frozen in the middle of something
    two = [
        worker(broker.bootstrap, prefix, tmp_path, name, partitions=PARTITIONS, store=store, environ=slow)
        for name in ("one", "two")
    ]
    with stopped_after(*two):
        for one in two:
            one.start().wait_ready()
        with Feed(broker.bootstrap, work.records, rate=2000):
            for frozen, other in (two, two[::-1]):
                time.sleep(3)
                before = other.output().count(READY)
                frozen.freeze()
                time.sleep(14)
                assert other.output().count(READY) > before, "nobody took over"
                frozen.wake()
                time.sleep(8)
                if frozen.exit_code is not None:
                    frozen.start().wait_ready()
        drain_and_stop(broker, prefix, work, *two)
    assert compare(broker.bootstrap, work).faults == NO_FAULTS


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_the_broker_goes_away_twice_and_comes_back(
    broker: RealBroker, prefix: str, tmp_path: Path, how: str
) -> None:
    work = await workload(broker, prefix, 40_000)
    one = worker(broker.bootstrap, prefix, tmp_path, partitions=PARTITIONS)
    with stopped_after(one):
        one.start().wait_ready()
        with Feed(broker.bootstrap, work.records, rate=3000) as feed:
            for gone_at in (10_000, 20_000):
                feed.wait_sent(gone_at)
                getattr(broker, how)()
                time.sleep(5)
                broker.restart()
        if one.exit_code is not None:
            one.start()
        drain_and_stop(broker, prefix, work, one)
    assert compare(broker.bootstrap, work).faults == NO_FAULTS


async def test_the_changelog_is_refused_for_three_seconds(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    work = await workload(broker, prefix, 20_000)
    one = worker(broker.bootstrap, prefix, tmp_path, partitions=PARTITIONS)
    with stopped_after(one):
        one.start().wait_ready()
        with Feed(broker.bootstrap, work.records, rate=3000) as feed:
            feed.wait_sent(7_000)
            limit_batches(broker.bootstrap, work.names.changelog, 120)
            time.sleep(3)
            limit_batches(broker.bootstrap, work.names.changelog, 2 << 20)
            feed.wait_sent(14_000)
            if one.exit_code is None:
                one.kill()
            one.start().wait_ready()
        drain_and_stop(broker, prefix, work, one)
    assert "was not committed" in one.log.read_text()
    assert compare(broker.bootstrap, work).faults == NO_FAULTS


def limit_batches(bootstrap: str, topic: str, max_bytes: int) -> None:
    """What is larger is refused. 120 still takes a transaction's markers."""
    entry = ConfigEntry("max.message.bytes", str(max_bytes), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result()
