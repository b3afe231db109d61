"""A client of Kafka that is abandoned at any moment leaves nothing pending and no unretrieved exception."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, ProducerFenced

from stream.kafka import transactional_producer
from stream.kafka.acked_producer import AckedProducer
from stream.kafka.client import consumers, network_client, request_limits
from stream.kafka.client.connection import Connection
from stream.kafka.client.producers import drop, idempotent
from stream.kafka.topic_reader import records
from stream.kafka.topics import TopicError, examine
from stream.kafka.transactional_producer import (
    Closed,
    Fenced,
    Output,
    TransactionalProducer,
    TransactionFailed,
    TransactionPart,
)
from stream.service.settings import Settings
from tests.kafka.fake_kafka import (
    ADD_PARTITIONS,
    FIND_COORDINATOR,
    INIT_PRODUCER,
    METADATA,
    PRODUCE,
    VERSIONS,
    OneBroker,
    one_broker,
)

LIMIT_S = 20.0


@asynccontextmanager
async def nothing_left() -> AsyncIterator[OneBroker]:
    """A broker; afterwards no task is left, no connection is open and asyncio has reported nothing."""
    loop = asyncio.get_running_loop()
    said: list[str] = []
    loop.set_exception_handler(lambda _, context: said.append(f"{context['message']} {context}"))
    async with asyncio.timeout(LIMIT_S), one_broker("calls") as broker:
        before = asyncio.all_tasks()
        gc.freeze()  # older objects are not of this test, and take long to search
        yield broker
        mine = {task for task in asyncio.all_tasks() - before if "serve" not in repr(task)}
        assert not mine
        while broker.open:
            await asyncio.sleep(0.01)
    gc.collect()
    await asyncio.sleep(0)
    gc.collect()
    assert not said


def connection(broker: OneBroker) -> Connection:
    return Connection(f"127.0.0.1:{broker.port}")


def lane(broker: OneBroker) -> TransactionalProducer:
    return TransactionalProducer("calls-worker", 0, connection(broker), lambda *_: None)


async def open_acked(broker: OneBroker) -> AckedProducer:
    producer = AckedProducer("calls", connection(broker), produced=lambda *_: None)
    await producer.start()
    return producer


def ungrouped(broker: OneBroker) -> AIOKafkaConsumer:
    consumer = connection(broker).consumer(group_id=None)
    request_limits.steer(consumer._client)
    return consumer


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def until(broker: OneBroker, key: int) -> None:
    while key not in broker.asked:
        await asyncio.sleep(0.005)


def transact(producer: TransactionalProducer) -> Any:
    part = TransactionPart(0, {"calls": [Output(b"k", b"v")]}, {}, 0)
    return producer.transact([part], changelog="changelog")


async def transacting(broker: OneBroker, moment: int) -> tuple[TransactionalProducer, asyncio.Task[int]]:
    """An open producer, and its transaction when the broker has got the request of that kind."""
    producer = lane(broker)
    await producer.open()
    doing = asyncio.create_task(transact(producer))
    await until(broker, moment)
    return producer, doing


@pytest.mark.parametrize("moment", [VERSIONS, METADATA, FIND_COORDINATOR, INIT_PRODUCER])
async def test_a_lane_that_is_closed_while_it_is_opened_leaves_nothing(moment: int) -> None:
    async with nothing_left() as broker:
        broker.silent = {moment}
        producer = lane(broker)
        opening = asyncio.create_task(producer.open())
        await until(broker, moment)
        await producer.close()
        with pytest.raises(Closed):
            await opening


async def test_a_lane_whose_opening_hangs_is_opened_with_fresh_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert transactional_producer.OPEN_TIMEOUT_S < 10, (
        "a worker says what it waits for before its session ends"
    )
    monkeypatch.setattr(transactional_producer, "OPEN_TIMEOUT_S", 0.3)
    async with nothing_left() as broker:
        broker.silent = {INIT_PRODUCER}
        producer = lane(broker)
        with pytest.raises(TimeoutError):
            await producer.open()
        broker.silent = set()
        await producer.open()
        await producer.close()
        del producer


@pytest.mark.parametrize("moment", [ADD_PARTITIONS, PRODUCE])
async def test_a_transaction_that_is_given_up_leaves_nothing(moment: int) -> None:
    async with nothing_left() as broker:
        broker.silent = {moment, PRODUCE}
        producer, doing = await transacting(broker, moment)
        await cancelled(doing)
        await producer.close()
        del producer, doing


async def test_a_transaction_whose_broker_is_gone_leaves_nothing() -> None:
    """Its sender looks for another one, for ever."""
    async with nothing_left() as broker:
        broker.silent = {PRODUCE}
        producer, doing = await transacting(broker, PRODUCE)
        broker.silent = {PRODUCE, METADATA}
        for writer in list(broker.open):
            writer.transport.abort()
        await asyncio.sleep(0.3)
        await cancelled(doing)
        await producer.close()
        del producer, doing


async def test_a_fenced_transaction_leaves_nothing() -> None:
    async with nothing_left() as broker:
        producer = lane(broker)
        await producer.open()
        broker.fences = True
        with pytest.raises((Fenced, TransactionFailed)):
            await transact(producer)
        await producer.close()
        del producer


async def test_who_is_fenced_when_nobody_waits_any_more_leaves_nothing() -> None:
    async with nothing_left() as broker:
        broker.silent = {ADD_PARTITIONS}
        producer, doing = await transacting(broker, ADD_PARTITIONS)
        await cancelled(doing)
        kafka = producer._producer
        kafka._message_accumulator.fail_all(ProducerFenced())
        kafka._txn_manager.fatal_error(ProducerFenced())
        del kafka
        await producer.close()
        del producer, doing


async def test_a_producer_whose_drop_is_cancelled_is_dropped_all_the_same() -> None:
    async with nothing_left() as broker:
        broker.silent = {PRODUCE}
        producer, doing = await transacting(broker, PRODUCE)
        doing.cancel()
        dropping = asyncio.create_task(drop(producer._producer))
        await asyncio.sleep(0)
        dropping.cancel()
        await asyncio.wait([doing, dropping])
        del producer, doing, dropping


async def test_what_asks_through_a_client_that_is_closed_meanwhile_leaves_no_connection() -> None:
    async with nothing_left() as broker:
        producer = await idempotent(connection(broker), "calls")
        broker.silent = {VERSIONS}
        asking = asyncio.create_task(producer.client.ready(1, group=1))
        await asyncio.sleep(0.05)
        await drop(producer)
        broker.silent = set()
        await cancelled(asking)
        assert await producer.client.ready(1)  # opened in vain
        await asyncio.sleep(0)


class Record:
    key, value = b"k", b"v"


async def test_an_acked_producer_that_is_closed_while_it_is_replaced_leaves_nothing() -> None:
    async with nothing_left() as broker:
        acked = await open_acked(broker)
        opened = acked._open
        assert opened is not None
        broker.silent = {METADATA}
        acked._replace(opened, "a test")
        await asyncio.sleep(0.05)
        await acked.close(0.1)
        del acked, opened


async def test_records_beside_one_that_failed_are_not_waited_for_for_ever() -> None:
    async with nothing_left() as broker:
        broker.silent = {PRODUCE}
        acked = await open_acked(broker)
        landing = asyncio.create_task(acked.send_all([Record(), Record(), Record()], 2.0))
        await until(broker, PRODUCE)
        assert acked._open is not None
        batch = next(iter(acked._open.producer._message_accumulator._pending_batches))
        batch._msg_futures[1][0].set_exception(ProducerFenced())
        broker.silent = {VERSIONS}
        await asyncio.wait([landing])
        assert landing.exception() is not None
        await acked.close(0.1)
        del acked, landing, batch


async def test_a_consumer_without_a_group_that_is_dropped_leaves_nothing() -> None:
    async with nothing_left() as broker:
        consumer = ungrouped(broker)
        await consumer.start()
        await consumers.drop(consumer)
        del consumer


async def test_a_consumer_that_is_given_up_while_it_starts_leaves_nothing() -> None:
    async with nothing_left() as broker:
        broker.silent = {METADATA}
        consumer = ungrouped(broker)
        starting = asyncio.create_task(consumer.start())
        await until(broker, METADATA)
        await cancelled(starting)
        await consumers.leave(consumer)
        del consumer, starting


async def test_an_address_that_lets_wait_is_not_waited_for_where_another_one_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A frozen broker takes connections and says nothing, for 5 s."""
    monkeypatch.setattr(network_client, "NEXT_S", 0.05)
    async with one_broker("calls") as frozen, nothing_left() as broker:
        frozen.silent = {VERSIONS}
        for _ in range(6):  # in an order by chance
            client = AIOKafkaClient(
                bootstrap_servers=[f"127.0.0.1:{frozen.port}", f"127.0.0.1:{broker.port}"]
            )
            began = time.monotonic()
            await network_client.bootstrap(client)
            assert time.monotonic() - began < 5
            await network_client.close(client)


async def test_where_no_address_answers_the_error_says_so() -> None:
    async with nothing_left() as broker:
        client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{broker.port}", request_timeout_ms=100)
        broker.silent = {METADATA}
        with pytest.raises(KafkaConnectionError):
            await network_client.bootstrap(client)
        await network_client.close(client)


async def two_brokers(first: OneBroker, second: OneBroker) -> AIOKafkaClient:
    """A client of both, steered; node 2 is the second one."""
    first.others = [(2, second.port)]
    second.others, second.node = [(1, first.port)], 2
    client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{first.port}", **request_limits.CONSUMER)
    request_limits.steer(client)
    await client.bootstrap()
    return client


async def test_who_leads_is_known_although_a_broker_hangs_and_asked_at_bounded_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network_client, "NEXT_S", 0.05)
    async with one_broker("calls") as frozen, nothing_left() as broker:
        client = await two_brokers(broker, frozen)
        frozen.silent = {VERSIONS, METADATA}
        began = time.monotonic()
        while time.monotonic() - began < 1.0:
            async with asyncio.timeout(2.5):  # NEXT_S where the one that hangs is asked first
                assert await client.force_metadata_update()
        assert broker.asked.count(METADATA) < 20
        await network_client.close(client)


async def test_a_connection_to_a_broker_that_hangs_holds_up_none_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_limits, "CONNECTED_S", 1.5)
    monkeypatch.setattr(request_limits, "AVOID_S", 0.2)
    async with one_broker("calls") as frozen, nothing_left() as broker:
        client = await two_brokers(broker, frozen)
        frozen.silent = {VERSIONS}
        hanging = asyncio.create_task(client.ready(2))
        await until(frozen, VERSIONS)
        async with asyncio.timeout(1.0):
            assert await client.ready(1, group=1)
        assert not hanging.done()
        assert not await hanging
        frozen.silent = set()
        assert not await client.ready(2)  # left alone
        await asyncio.sleep(request_limits.AVOID_S)
        assert await client.ready(2)
        await network_client.close(client)


async def test_who_looks_at_topics_while_a_broker_hangs_leaves_nothing() -> None:
    async with nothing_left() as broker:
        broker.silent = {METADATA}
        with pytest.raises(TopicError, match="no broker answers"):
            await examine(f"127.0.0.1:{broker.port}", Settings(), wait_s=0.3)


async def test_who_reads_a_topic_while_a_broker_hangs_leaves_nothing() -> None:
    async with nothing_left() as broker:
        broker.silent = {METADATA}
        reading = asyncio.create_task(anext(records(connection(broker), "calls")))
        await until(broker, METADATA)
        await cancelled(reading)
        del reading
