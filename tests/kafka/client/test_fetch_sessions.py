"""A session's requests name what has changed, and the next one after a failure names everything."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v4, FetchResponse_v11

from stream.kafka.client import fetch_sessions
from stream.kafka.client.connection import Connection
from stream.kafka.client.fetch_sessions import LACKING_WAIT_MS, LITTLE_BYTES, FetchSessions
from stream.kafka.partitions import TopicPartition
from tests.real_broker import RealBroker

NODE = 1
WAIT_MS = 400
INVALID_EPOCH = 71


def answer(session_id: int = 9, error: int = 0, size: int = 0) -> Any:
    return FetchResponse_v11(0, error, session_id, [("calls", [(0, 0, 5, 5, 0, [], -1, bytes(size))])])


class Client:
    """A broker's answers, and what it was asked."""

    def __init__(self, newest: int = 11) -> None:
        self.newest = newest
        self.asked: list[Any] = []
        self.answer: Any = answer()

    async def send(self, node: int, request: Any, *, group: Any = None) -> Any:
        self.asked.append(request.prepare({1: (0, self.newest)}))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def sessions_of(client: Client) -> FetchSessions:
    return FetchSessions(
        SimpleNamespace(
            _client=client,
            _subscription=SimpleNamespace(subscription=SimpleNamespace(assignment=object())),
            _fetcher=SimpleNamespace(_select_read_replica=lambda tp: NODE),
        )
    )


def request(**offsets: int) -> FetchRequest:
    """For the partitions `p0`, `p1`… of one topic."""
    parts = [(int(name[1:]), offset, 100) for name, offset in offsets.items()]
    return FetchRequest(WAIT_MS, 1, 1000, 1, [("calls", parts)])


@pytest.fixture(autouse=True)
def _no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_sessions, "PACE_S", 0.0)


async def asked(*requests: FetchRequest, client: Client | None = None) -> list[Any]:
    """(session, epoch, {partition: offset}, forgotten) of each request on the wire."""
    client = client or Client()
    sessions_of(client)
    for one in requests:
        await client.send(NODE, one)
    return [named(one) for one in client.asked]


def named(one: Any) -> Any:
    offsets = {number: offset for _, parts in one.topics for number, _, offset, _, _ in parts}
    return one.session_id, one.session_epoch, offsets, one.forgotten_topics_data


async def test_the_first_request_names_all_partitions_and_later_ones_what_has_changed() -> None:
    assert await asked(request(p0=1, p1=2), request(p0=5, p1=2), request(p0=5, p1=2), request(p0=5)) == [
        (0, 0, {0: 1, 1: 2}, []),
        (9, 1, {0: 5}, []),
        (9, 2, {}, []),
        (9, 3, {}, [("calls", [1])]),
    ]


async def test_after_a_failure_or_a_refusal_or_with_a_new_assignment_everything_is_named_again() -> None:
    client = Client()
    sessions = sessions_of(client)
    whole = (0, 0, {0: 1}, [])
    for went_wrong in (KafkaConnectionError(), asyncio.CancelledError(), answer(error=INVALID_EPOCH)):
        await client.send(NODE, request(p0=1))
        client.answer = went_wrong
        if isinstance(went_wrong, BaseException):
            with pytest.raises(type(went_wrong)):
                await client.send(NODE, request(p0=1))
        else:
            await client.send(NODE, request(p0=1))
        client.answer = answer()
        client.asked.clear()
        await client.send(NODE, request(p0=1))
        assert [named(one) for one in client.asked] == [whole]
    sessions._consumer._subscription.subscription.assignment = object()
    await client.send(NODE, request(p0=1))
    assert named(client.asked[-1]) == whole


async def test_a_broker_that_opens_no_session_is_asked_for_everything() -> None:
    client = Client()
    client.answer = answer(session_id=0)
    assert await asked(request(p0=1), request(p0=1), client=client) == 2 * [(0, 0, {0: 1}, [])]
    old = Client(newest=4)
    old.answer = FetchResponse_v4(0, [("calls", [])])
    sessions_of(old)
    for _ in range(2):
        await old.send(NODE, request(p0=1))
    assert [one.encode() for one in old.asked] == 2 * [request(p0=1).prepare({1: (4, 4)}).encode()]


async def test_a_fetch_without_a_partition_that_is_waited_for_waits_briefly() -> None:
    client = Client()
    sessions = sessions_of(client)
    sessions.awaited = {TopicPartition("calls", 0), TopicPartition("calls", 1)}
    await client.send(NODE, request(p0=1))
    await client.send(NODE, request(p0=1, p1=1))
    sessions.longest_wait_ms = 20
    await client.send(NODE, request(p0=1, p1=1))
    assert [one.max_wait_time for one in client.asked] == [LACKING_WAIT_MS, WAIT_MS, 20]


async def test_fetches_of_little_are_paced_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_sessions, "PACE_S", 60.0)
    client = Client()
    sessions_of(client)
    client.answer = answer(size=LITTLE_BYTES + 1)
    await client.send(NODE, request(p0=1))
    client.answer = answer(size=10)
    await asyncio.wait_for(client.send(NODE, request(p0=2)), 5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.send(NODE, request(p0=3)), 0.01)


async def test_a_consumer_reads_everything_through_sessions(broker: RealBroker, prefix: str) -> None:
    """Also from an offset that it is sent back to, and after its partitions were taken and given back."""
    connection, topic = Connection(broker.bootstrap), f"{prefix}calls"
    parts = [TopicPartition(topic, number) for number in range(3)]
    admin = connection.admin()
    await admin.start()
    await admin.create_topics([NewTopic(topic, 3, 1)])
    await admin.close()
    producer, consumer = connection.producer(), connection.consumer(fetch_max_wait_ms=100)
    wire: list[Any] = []
    send = consumer._client.send

    async def recorded(node: Any, one: Any, **kwargs: Any) -> Any:
        if isinstance(one, FetchRequest):
            wire.append(one.prepare({1: (0, 11)}))
        return await send(node, one, **kwargs)

    consumer._client.send = recorded
    FetchSessions(consumer)
    await producer.start()
    await consumer.start()

    async def read(count: int) -> list[tuple[int, bytes | None]]:
        found: list[tuple[int, bytes | None]] = []
        async with asyncio.timeout(20):
            while len(found) < count:
                for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                    found += [(tp.partition, record.value) for record in records]
        return sorted(found)

    try:
        consumer.assign(parts)
        for tp in parts:
            consumer.seek(tp, 0)
        for n in range(4):
            written = [(n, b"%d-%d" % (n, i)) for i in range(n)] if n < 3 else [(0, b"late"), (2, b"later")]
            for number, value in written:
                await producer.send_and_wait(topic, value, partition=number)
            assert await read(len(written)) == sorted(written)
        consumer.seek(parts[2], 1)
        assert await read(2) == [(2, b"2-1"), (2, b"later")]
        consumer.assign(parts[1:])
        for tp in parts[1:]:
            consumer.seek(tp, 1)
        assert await read(2) == [(2, b"2-1"), (2, b"later")]
        async with asyncio.timeout(20):
            while not any(one.session_id and not one.topics for one in wire):
                assert await consumer.getmany(timeout_ms=200) == {}, "nothing more was written"
    finally:
        await consumer.stop()
        await producer.stop()
