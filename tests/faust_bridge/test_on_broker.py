"""The lanes on a real Kafka, with real processes: the quick fault runs."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from stream.kafka import topics
from stream.kafka.client.connection import Connection
from stream.kafka.client.member_commit import Member
from stream.kafka.transactional_producer import (
    Closed,
    Fenced,
    Output,
    TransactionalProducer,
    TransactionPart,
)
from stream.service.settings import Settings
from tests.e2e.counting import NO_FAULTS, Workload, compare, worker
from tests.e2e.harness import Feed, stopped_after, wait_drained
from tests.real_broker import RealBroker

pytestmark = pytest.mark.broker

PARTITIONS = 4


async def workload(broker: RealBroker, prefix: str, count: int) -> Workload:
    """Topics, and what to send to them."""
    await topics.ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=PARTITIONS))
    return Workload(topics.names(prefix), count, PARTITIONS)


@pytest.mark.e2e
async def test_a_worker_killed_in_mid_stream_loses_nothing_and_doubles_nothing(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    work = await workload(broker, prefix, 8000)
    one = worker(broker.bootstrap, prefix, tmp_path, partitions=PARTITIONS)
    with stopped_after(one):
        one.start().wait_ready()
        with Feed(broker.bootstrap, work.records, rate=4000) as feed:
            feed.wait_sent(3000)
            one.kill()
            assert one.start().wait_ready() < 20
        wait_drained(broker.bootstrap, topics.app_id(prefix), work.sources)
        assert one.terminate()[0] == 0
    assert compare(broker.bootstrap, work).faults == NO_FAULTS


async def test_a_second_worker_takes_its_share_and_gives_it_back(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    work = await workload(broker, prefix, 12000)
    one = worker(broker.bootstrap, prefix, tmp_path, "one", partitions=PARTITIONS)
    two = worker(broker.bootstrap, prefix, tmp_path, "two", partitions=PARTITIONS, store="rocksdb")
    with stopped_after(one, two):
        one.start().wait_ready()
        with Feed(broker.bootstrap, work.records, rate=1000) as feed:
            feed.wait_sent(2000)
            two.start().wait_ready()
            feed.wait_sent(feed.sent + 1000)
            code, seconds = two.terminate()
            assert (code, seconds < 10) == (0, True)
            one.wait_ready(times=3)
        wait_drained(broker.bootstrap, topics.app_id(prefix), work.sources)
        assert one.terminate()[0] == 0
    assert compare(broker.bootstrap, work).faults == NO_FAULTS


@pytest.mark.e2e
async def test_of_two_workers_of_one_name_the_older_ends_and_says_why(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    await workload(broker, prefix, 0)
    name = {"CALLSTREAM_INSTANCE_ID": "same"}
    older, newer = (
        worker(broker.bootstrap, prefix, tmp_path, one, partitions=PARTITIONS, environ=name)
        for one in ("older", "newer")
    )
    with stopped_after(older, newer):
        older.start().wait_ready()
        newer.start().wait_ready()
        assert older.running.wait(20) == 75
        assert "another process has joined the group as CALLSTREAM_INSTANCE_ID=same" in older.output()
        assert newer.terminate()[0] == 0


@pytest.mark.parametrize("store", [pytest.param("memory", marks=pytest.mark.e2e), "rocksdb"])
async def test_an_empty_data_directory_is_filled_from_the_changelog(
    broker: RealBroker, prefix: str, tmp_path: Path, store: str
) -> None:
    work = await workload(broker, prefix, 6000)
    half = len(work.records) // 2
    old = worker(broker.bootstrap, prefix, tmp_path, "old", partitions=PARTITIONS, store=store)
    new = worker(broker.bootstrap, prefix, tmp_path, "new", partitions=PARTITIONS, store=store)
    with stopped_after(old, new):
        old.start().wait_ready()
        with Feed(broker.bootstrap, work.records[:half]):
            pass
        wait_drained(broker.bootstrap, topics.app_id(prefix), work.sources)
        assert old.terminate()[0] == 0
        new.start().wait_ready()
        assert opened(new.output()) == len({record.key for record in work.records[:half]})
        with Feed(broker.bootstrap, work.records[half:]):
            pass
        wait_drained(broker.bootstrap, topics.app_id(prefix), work.sources)
        assert new.terminate()[0] == 0
    assert compare(broker.bootstrap, work).faults == NO_FAULTS


@pytest.mark.e2e
async def test_a_job_that_always_fails_ends_the_process_and_loses_nothing(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    work = await workload(broker, prefix, 1000)
    broken = worker(
        broker.bootstrap,
        prefix,
        tmp_path,
        partitions=PARTITIONS,
        environ={"COUNTING_RAISE_EVERY": "1", "CALLSTREAM_MAX_ERRORS_IN_A_ROW": "3"},
    )
    mended = worker(broker.bootstrap, prefix, tmp_path, "mended", partitions=PARTITIONS)
    with stopped_after(broken, mended):
        broken.start()
        with Feed(broker.bootstrap, work.records):
            pass
        assert broken.running.wait(60) == 70
        assert "the same batch failed 3 times" in broken.output()
        mended.start().wait_ready()
        wait_drained(broker.bootstrap, topics.app_id(prefix), work.sources)
        assert mended.terminate()[0] == 0
    assert compare(broker.bootstrap, work).faults == NO_FAULTS


async def test_a_job_that_fails_now_and_then_applies_each_event_once(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    work = await workload(broker, prefix, 4000)
    shaky = worker(
        broker.bootstrap, prefix, tmp_path, partitions=PARTITIONS, environ={"COUNTING_RAISE_EVERY": "5"}
    )
    with stopped_after(shaky):
        shaky.start().wait_ready()
        with Feed(broker.bootstrap, work.records, rate=2000):
            pass
        wait_drained(broker.bootstrap, topics.app_id(prefix), work.sources)
        assert shaky.terminate()[0] == 0
    assert compare(broker.bootstrap, work).faults == NO_FAULTS


def opened(output: str) -> int:
    """How many keys' states the worker says it found."""
    return sum(int(count) for count in re.findall(r"opened \d+ with (\d+) states", output))


async def test_a_lane_that_is_closed_while_it_is_opened_gives_up_at_once(
    broker: RealBroker, prefix: str
) -> None:
    connection = Connection(broker.bootstrap)
    one = TransactionalProducer(f"{prefix}worker", 0, connection, lambda *_: None)
    await one.open()
    broker.freeze()
    opening = asyncio.create_task(one.open())
    await asyncio.sleep(0.5)
    assert not opening.done()
    began = time.monotonic()
    await one.close()
    with pytest.raises(Closed, match="closed while it was opened"):
        await opening
    assert time.monotonic() - began < 5


async def test_what_lanes_write_is_a_fraction_of_its_size_on_the_brokers_disk(
    broker: RealBroker, prefix: str
) -> None:
    await topics.ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=PARTITIONS))
    names = topics.names(prefix)
    one = TransactionalProducer(f"{prefix}worker", 0, Connection(broker.bootstrap), lambda *_: None)
    await one.open()
    records = [Output(b"key", b'{"status": "ringing", "sequence_number": %d}' % n) for n in range(2000)]
    await one.transact(
        [TransactionPart(0, {names.events: records}, {names.callbacks: 1}, 0)], changelog=names.changelog
    )
    await one.close()
    (log,) = broker.log.parent.rglob(f"{names.events}-0/*0.log")
    assert log.stat().st_size < sum(len(record.value or b"") for record in records) / 2


async def test_a_former_member_commits_nothing_and_the_lane_that_it_fenced_goes_on(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    work = await workload(broker, prefix, 8000)
    group, connection = topics.app_id(prefix), Connection(broker.bootstrap)
    former = TransactionalProducer(group, 0, connection, lambda *_: None, Member(1, "of-long-ago", None))
    one = worker(broker.bootstrap, prefix, tmp_path, partitions=PARTITIONS)
    with stopped_after(one):
        one.start().wait_ready()
        with Feed(broker.bootstrap, work.records, rate=2000) as feed:
            feed.wait_sent(2000)
            await former.open()
            part = TransactionPart(0, {}, {work.names.callbacks: 1_000_000}, 0)
            with pytest.raises(Fenced):
                await former.transact([part], changelog=work.names.changelog)
            await former.close()
        wait_drained(broker.bootstrap, group, work.sources)
        assert "asking whose it is" in one.output()
        assert one.terminate()[0] == 0
    assert compare(broker.bootstrap, work).faults == NO_FAULTS


async def test_a_transaction_that_a_former_owner_left_open_hides_nothing_of_the_next_one(
    broker: RealBroker, prefix: str, tmp_path: Path
) -> None:
    work = await workload(broker, prefix, 2000)
    group, connection = topics.app_id(prefix), Connection(broker.bootstrap)
    former = {
        name: TransactionalProducer(group, name, connection, lambda *_: None) for name in (0, "1-alone")
    }
    for partition, producer in enumerate(former.values()):
        await producer.open()
        await producer._producer.begin_transaction()
        value = b'{"key": "left", "topic": "open", "offset": 0, "s": 0}'
        await producer._producer.send_and_wait(work.names.events, value, partition=partition)
        await producer.close()
    one = worker(broker.bootstrap, prefix, tmp_path, partitions=PARTITIONS)
    with stopped_after(one):
        one.start().wait_ready()
        with Feed(broker.bootstrap, work.records, rate=2000):
            pass
        wait_drained(broker.bootstrap, group, work.sources)
        assert one.terminate()[0] == 0
    assert compare(broker.bootstrap, work).faults == NO_FAULTS
