"""Landing on a real Kafka: what is acknowledged is there, and what waits is bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from stream.gateway.receive.records import WebhookRecord
from stream.kafka import topics
from stream.kafka.acked_producer import (
    OVERHEAD_BYTES,
    AckedProducer,
    BufferFullError,
    NotAcknowledgedError,
    RecordTooLargeError,
)
from stream.kafka.client.connection import Connection, connection
from stream.kafka.in_sync import min_in_sync_replicas
from stream.kafka.oversized_records import DeadLetteringProducer
from stream.kafka.partitions import partition_of
from stream.service.settings import Settings
from tests.e2e.harness import read_topic
from tests.real_broker import RealBroker

pytestmark = pytest.mark.broker


def one(number: int, size: int = 100) -> WebhookRecord:
    return WebhookRecord("telnyx_webhook", b"telnyx:%d" % number, b"%d " % number + b"x" * size)


class Told:
    def __init__(self) -> None:
        self.good = self.bad = 0

    def produced(self, topic: str, records: int, seconds: float, ok: bool) -> None:
        self.good += records * ok
        self.bad += records * (not ok)


@asynccontextmanager
async def landing(
    broker: RealBroker, prefix: str, buffer_bytes: int = 1 << 20
) -> AsyncIterator[tuple[AckedProducer, Told, str]]:
    await topics.ensure(broker.bootstrap, Settings(topic_prefix=prefix, partitions=2))
    topic, told = topics.names(prefix).callbacks, Told()
    acked = AckedProducer(
        topic, Connection(broker.bootstrap), produced=told.produced, buffer_bytes=buffer_bytes
    )
    await acked.start()
    watching = asyncio.create_task(acked.watch())
    try:
        yield acked, told, topic
    finally:
        watching.cancel()
        await acked.close(1)


async def until(good: object, limit_s: float = 30.0) -> None:
    limit = time.monotonic() + limit_s
    while not good():  # type: ignore[operator]
        assert time.monotonic() < limit, "it did not come to be"
        await asyncio.sleep(0.1)


async def test_what_is_landed_is_in_kafka_under_its_key(broker: RealBroker, prefix: str) -> None:
    async with landing(broker, prefix) as (acked, told, topic):
        await acked.send_all([one(1), one(2)._replace(key=None)], 5)
        await asyncio.gather(*(acked.send_all([one(n)], 5) for n in range(3, 100)))
        assert (acked.buffered_bytes, acked.trouble(), told.good, told.bad) == (0, None, 99, 0)
    found = {record.value: record.key for record in read_topic(broker.bootstrap, topic)}
    assert found == {one(n).value: None if n == 2 else one(n).key for n in range(1, 100)}


async def test_a_key_keeps_its_partition_when_its_topic_is_given_more(
    broker: RealBroker, prefix: str
) -> None:
    settings = Settings(kafka=broker.bootstrap, topic_prefix=prefix, partitions=2)
    await topics.ensure(broker.bootstrap, settings)
    topic = topics.names(prefix).callbacks
    acked = AckedProducer(
        topic, connection(settings, "gateway", partitions=settings.partitions), produced=Told().produced
    )
    await acked.start()
    try:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_partitions([NewPartitions(topic, 7)])[topic].result(20)
        assert acked._open is not None
        client = acked._open.producer.client
        await until(lambda: len(client.cluster._partitions[topic]) == 7 or not client.force_metadata_update())
        for n in range(100):
            await acked.send_all([one(n)], 5)
    finally:
        await acked.close(1)
    found = {record.value: record.partition for record in read_topic(broker.bootstrap, topic)}
    assert found == {one(n).value: partition_of(one(n).key or b"", 2) for n in range(100)}


async def test_a_topic_that_wants_more_replicas_in_sync_than_there_are_is_seen_without_traffic(
    broker: RealBroker, prefix: str
) -> None:
    made = topics.names(prefix).callbacks
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    config = {"min.insync.replicas": "2"}
    admin.create_topics([NewTopic(made, 2, 1, config=config)])[made].result(20)
    async with landing(broker, prefix) as (acked, _told, topic):
        connection = Connection(broker.bootstrap)
        assert await min_in_sync_replicas(connection, topic) == 2
        assert await min_in_sync_replicas(connection, topics.names(prefix).polled) == 1
        await until(lambda: acked.trouble() is not None)
        assert acked.trouble() == (
            f"partition 0 of {topic} has 1 replicas in sync, and min.insync.replicas is 2"
        )


async def test_a_silent_broker_is_waited_for_in_bounds_and_gets_everything_afterwards(
    broker: RealBroker, prefix: str
) -> None:
    async with landing(broker, prefix, buffer_bytes=12 * (200 + OVERHEAD_BYTES)) as (acked, _told, topic):
        await acked.send_all([one(0)], 5)
        broker.freeze()
        began = time.monotonic()
        waiting = [asyncio.create_task(acked.send_all([one(n)], 1)) for n in range(1, 6)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [NotAcknowledgedError] * 5
        assert 0.9 < time.monotonic() - began < 3
        began = time.monotonic()
        with pytest.raises(NotAcknowledgedError):
            await acked.send_all([one(6)], 30)
        assert time.monotonic() - began < 3, "a broker that is in trouble is not given its whole time"
        assert acked.buffered_bytes > 0, "what was given up may still land, and so takes room"
        assert acked.trouble() is not None
        for n in range(7, 30):
            try:
                await acked.send_all([one(n)], 0.05)
            except BufferFullError:
                break
            except NotAcknowledgedError:
                continue
        else:
            pytest.fail("there was always room")
        broker.thaw()
        await until(lambda: acked.trouble() is None and acked.buffered_bytes == 0)
        await acked.send_all([one(100)], 5)
    assert {one(n).value for n in (0, 1, 2, 3, 4, 5, 6, 100)} <= {
        record.value for record in read_topic(broker.bootstrap, topic)
    }


@pytest.mark.e2e
async def test_a_broker_that_died_and_came_back_takes_writes_again(broker: RealBroker, prefix: str) -> None:
    async with landing(broker, prefix) as (acked, _told, topic):
        await acked.send_all([one(1)], 5)
        broker.kill()
        with pytest.raises(NotAcknowledgedError):
            await acked.send_all([one(2)], 0.5)
        await until(lambda: acked.trouble() is not None)
        broker.restart()
        await until(lambda: acked.trouble() is None)
        await acked.send_all([one(3)], 10)
    assert {one(1).value, one(3).value} <= {record.value for record in read_topic(broker.bootstrap, topic)}


async def test_a_refused_record_costs_itself_and_all_others_land(broker: RealBroker, prefix: str) -> None:
    """Larger than the topic takes: the broker refuses it, and with it aiokafka's sequence is lost."""
    async with landing(broker, prefix, buffer_bytes=16 << 20) as (acked, told, topic):
        # All of one key, and so of one partition and one sequence.
        small = [one(n)._replace(key=b"telnyx:1") for n in (1, 2, 3, 4)]
        big = one(5, 3 << 20)._replace(key=b"telnyx:1")
        await acked.send_all(small[:1], 10)
        waiting = asyncio.create_task(acked.send_all([big, small[1]], 30))
        await asyncio.sleep(0)
        await acked.send_all(small[2:3], 30)
        with pytest.raises(RecordTooLargeError) as raised:
            await waiting
        assert list(raised.value.refused) == [big]
        assert acked.trouble() is None
        await acked.send_all(small[3:], 10)
        assert (told.good, told.bad, acked.buffered_bytes) == (4, 1, 0)
    found = [record.value for record in read_topic(broker.bootstrap, topic)]
    # What shared a batch with it may have come twice: the worker applies it once.
    assert sorted(set(found)) == [each.value for each in small]
    assert found[-1] == small[-1].value


async def test_a_record_larger_than_its_topic_takes_is_a_dead_letter(broker: RealBroker, prefix: str) -> None:
    async with landing(broker, prefix, buffer_bytes=16 << 20) as (acked, _told, topic):
        dead = topics.names(prefix).dead_letters
        set_aside: list[object] = []
        sender = DeadLetteringProducer(
            acked, topic=topic, dead_letters=dead, stage="gateway", dead_lettered=set_aside.append
        )
        big = one(1, 1200 << 10)
        await sender.send_all([big, one(2)], 30)
        assert set_aside == [big]
    # Of another partition it may have landed before the refusal, and once more after it.
    assert {record.value for record in read_topic(broker.bootstrap, topic)} == {one(2).value}
    (letter,) = read_topic(broker.bootstrap, dead)
    assert (letter.key, letter.value) == (big.key, big.value)
    assert dict(letter.headers)["reason"] == b"too_large"
    assert dict(letter.headers)["source_topic"] == topic.encode()
