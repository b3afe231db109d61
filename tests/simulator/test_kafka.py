"""Written to a real Kafka and compared there: partitions, order, and what a read_committed consumer sees."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from stream.kafka.client.connection import Connection
from stream.kafka.topics import ensure
from stream.service.settings import load
from stream.simulator.calls.options import Options
from stream.simulator.check.check import CheckError, CheckOptions, check, end_offsets
from stream.simulator.delivery.record_writer import RecordWriter
from stream.simulator.run import deliver, output_topics, traffic_for
from tests.real_broker import RealBroker
from tests.simulator.outputs import Outputs, headers_of, outputs_of

pytestmark = pytest.mark.broker

CHECK = CheckOptions(timeout_s=20, quiet_s=0.3, alone=True)
OPTIONS = Options(calls=60, duplicates=0.1, reorder=0.1, failed=0.2, seed=9)


async def prepared(broker: RealBroker, prefix: str) -> Connection:
    settings = load(
        {
            "CALLSTREAM_KAFKA": broker.bootstrap,
            "CALLSTREAM_TOPIC_PREFIX": prefix,
            "CALLSTREAM_PARTITIONS": "3",
        }
    )
    await ensure(broker.bootstrap, settings)
    return Connection(broker.bootstrap)


async def publish(producer: AIOKafkaProducer, prefix: str, outputs: Outputs) -> None:
    topics = output_topics(prefix)
    for topic, records in ((topics.events, outputs.events), (topics.ended, outputs.records)):
        for record in records:
            await producer.send(
                topic, orjson.dumps(record), key=record["key"].encode(), headers=headers_of(record)
            )
    for alert in outputs.alerts:
        value = orjson.dumps(alert)
        await producer.send(
            topics.alerts, value, key=alert["scope"]["id"].encode(), headers=headers_of(alert)
        )
        active = value if alert["state"] == "firing" else None
        await producer.send(topics.alerts_active, active, key=alert["fingerprint"].encode())
    await producer.flush()


async def test_each_call_lies_in_the_partition_of_its_key_in_the_order_of_delivery(
    broker: RealBroker, prefix: str
) -> None:
    connection = await prepared(broker, prefix)
    sent: dict[tuple[str, bytes], list[bytes]] = defaultdict(list)
    for record in traffic_for(prefix, OPTIONS):
        sent[record.topic, record.key].append(record.value)
    async with RecordWriter(connection) as writer:
        await deliver(traffic_for(prefix, OPTIONS), writer, None)
    written = sum(map(len, sent.values()))

    places = [TopicPartition(topic, p) for topic in {topic for topic, _ in sent} for p in range(3)]
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap)
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning()
        found: dict[tuple[str, bytes], list[bytes]] = defaultdict(list)
        while sum(map(len, found.values())) < written:
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    assert DefaultPartitioner()(record.key, [0, 1, 2], [0, 1, 2]) == place.partition
                    found[place.topic, record.key].append(record.value)
    finally:
        await consumer.stop()
    assert found == sent


async def test_a_paced_run_takes_the_time_that_it_should(broker: RealBroker, prefix: str) -> None:
    connection = await prepared(broker, prefix)
    options = Options(calls=None, seconds=1.0, rate=100, seed=9)
    loop = asyncio.get_running_loop()
    async with RecordWriter(connection) as writer:
        began = loop.time()
        await deliver(traffic_for(prefix, options, with_expected=False), writer, None)
        assert 0.8 < loop.time() - began < 4


async def test_outputs_are_compared_as_a_read_committed_consumer_sees_them(
    broker: RealBroker, prefix: str
) -> None:
    connection = await prepared(broker, prefix)
    topics = output_topics(prefix)
    traffic = traffic_for(prefix, OPTIONS)
    outputs = outputs_of(traffic)
    assert traffic.expected is not None
    since = await end_offsets(connection, topics)
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=prefix + "one")
    await producer.start()
    try:
        await producer.begin_transaction()
        await publish(producer, prefix, outputs)
        await producer.abort_transaction()
        async with producer.transaction():
            await publish(producer, prefix, outputs)
        report = await check(connection, topics, traffic.expected, since, CHECK)
        assert report.ok, "\n".join(report.lines())

        async with producer.transaction():
            await publish(producer, prefix, Outputs([], [], outputs.alerts[:1]))
        report = await check(connection, topics, traffic.expected, since, CHECK)
        assert report.differences == {"alert_repeated": 1}
    finally:
        await producer.stop()


async def test_what_never_comes_is_missing_after_the_timeout(broker: RealBroker, prefix: str) -> None:
    connection = await prepared(broker, prefix)
    topics = output_topics(prefix)
    traffic = traffic_for(prefix, OPTIONS)
    for _ in traffic:
        pass
    assert traffic.expected is not None
    since = await end_offsets(connection, topics)
    report = await check(connection, topics, traffic.expected, since, CheckOptions(timeout_s=0.5))
    assert report.differences["event_missing"] == report.events_expected


async def test_topics_that_are_not_there_cannot_be_checked(broker: RealBroker, prefix: str) -> None:
    with pytest.raises(CheckError, match="missing topics"):
        await end_offsets(Connection(broker.bootstrap), output_topics(prefix))
