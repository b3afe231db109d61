"""The feed over a reader of the test's own: when it rests, and who it has room for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from stream.api.access.caller import LOCAL, Caller
from stream.api.live import feed as feeds
from stream.api.live import positions
from stream.api.live.feed import LiveFeed
from stream.api.live.routes import LiveStream
from stream.api.live.selection import LiveRecord, LiveSelection
from stream.api.live.subscription import LiveSubscription
from stream.api.problems import Refused
from stream.kafka.client.connection import connection
from stream.kafka.partitions import TopicPartition
from stream.service.metrics.api import ApiMetrics
from stream.service.settings import Settings
from tests.notify.sinks.stub_sinks import until

EVENTS = TopicPartition("calls.events.v1", 0)
ANYBODY = LiveSelection(caller=Caller(LOCAL, None, True))


class Record(NamedTuple):
    topic: str
    offset: int
    value: bytes


class Topic:
    """One partition of events, and readers that take a while to close while `is_closing` waits."""

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.is_closing = asyncio.Event()
        self.may_close = asyncio.Event()

    async def ends_of(self, *_: object) -> dict[TopicPartition, int]:
        return {EVENTS: len(self.log)}

    @asynccontextmanager
    async def read_from(self, _: object, start: Mapping[TopicPartition, int]) -> AsyncIterator[Any]:
        self.at = start[EVENTS]
        try:
            yield self
        finally:
            self.is_closing.set()
            await self.may_close.wait()

    async def read(self) -> dict[TopicPartition, list[Record]]:
        await asyncio.sleep(0.01)
        first, self.at = self.at, len(self.log)
        return {EVENTS: [Record(EVENTS.topic, first + n, value) for n, value in enumerate(self.log[first:])]}


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    made = Topic()
    monkeypatch.setattr(feeds, "ends_of", made.ends_of)
    monkeypatch.setattr(feeds, "read_from", made.read_from)
    return made


def feed_of(most: int = 9) -> LiveFeed:
    cluster = connection(Settings(kafka="127.0.0.1:9"), "test")
    return LiveFeed(cluster, {"event": EVENTS.topic}, most=most, read=lambda _: None, knows=lambda _: True)


@asynccontextmanager
async def running(topic: Topic) -> AsyncIterator[LiveFeed]:
    feed = feed_of()
    reading = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        topic.may_close.set()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_one_who_comes_while_the_feed_goes_to_rest_is_told_what_follows(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "LINGER_S", 0.05)
    async with running(topic) as feed:
        await feed.connect()
        await asyncio.wait_for(topic.is_closing.wait(), 5)
        joining = asyncio.create_task(feed.connect())
        await asyncio.sleep(0.05)
        topic.may_close.set()
        await joining
        with feed.subscription(ANYBODY) as subscription:
            topic.log.append(b'{"key": "twilio:CA1"}')
            await until(lambda: bool(subscription._waiting), "it was told")
            assert subscription.joined == {EVENTS: 0}


async def test_the_feed_waits_for_one_whose_answer_begins(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "LINGER_S", 0.4)
    async with running(topic) as feed:
        for _ in range(3):
            await feed.connect()
            await asyncio.sleep(0.2)
        with feed.subscription(ANYBODY) as subscription:
            assert subscription.joined == {EVENTS: 0}


async def test_a_record_that_comes_as_a_wait_ends_is_sent_before_a_place_behind_it() -> None:
    loop = asyncio.get_running_loop()
    subscription = LiveSubscription(ANYBODY)
    record = LiveRecord("event", {"key": "twilio:CA1"}, "1")
    waiting = asyncio.create_task(subscription.next(0.01))
    await asyncio.sleep(0)
    loop.call_later(0.011, subscription.offer, record)
    time.sleep(0.02)  # both are due in one turn of the loop
    assert await waiting is record


async def test_those_who_wait_for_kafka_count_as_those_who_follow() -> None:
    feed = feed_of(most=2)
    waiting = [asyncio.create_task(feed.connect()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Refused, match="As many clients"):
        await asyncio.wait_for(feed.connect(), 0.1)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(feed.connect(), 0.1)
    waiting[1].cancel()


@pytest.mark.parametrize(
    "odd",
    [
        b'{"key": "\xff"}',
        b'{"key": ' + b"[" * 100_000,
        b'{"key": "twilio:CA1", "account": "AC1", "status": "ringing", "x": ' + b"[" * 41 + b"]" * 41 + b"}",
        b'{"key": "twilio:CA1", "account": ["AC1"]}',
        b'{"key": "twilio:CA1", "account": "AC1", "status": {"is": "ringing"}}',
        b"[]",
    ],
)
async def test_a_record_that_no_worker_has_written_is_left_out_and_the_feed_goes_on(
    topic: Topic, odd: bytes
) -> None:
    caller = Caller("one", frozenset({"AC1"}), False)
    selection = LiveSelection(caller=caller, fields={"status": frozenset({"ringing"})})
    async with running(topic) as feed:
        await feed.connect()
        with feed.subscription(selection) as subscription:
            topic.log += [odd, b'{"key": "twilio:CA2", "account": "AC1", "status": "ringing"}']
            found = await subscription.next(5)
            assert found is not None
            assert found.key == "twilio:CA2"


async def test_one_who_was_further_at_another_replica_is_sent_each_record_once(topic: Topic) -> None:
    topic.log += [b'{"key": "twilio:CA1"}', b'{"key": "twilio:CA2"}']
    position = positions.write([EVENTS.topic], {EVENTS: 3})
    async with running(topic) as feed:
        await feed.connect()
        joining = asyncio.create_task(feed.connect(position))
        await asyncio.sleep(0.1)
        assert not joining.done()
        topic.log.append(b'{"key": "twilio:CA3"}')  # the client has it
        await asyncio.wait_for(joining, 5)
        assert feed.position == position


async def test_a_position_that_the_topic_does_not_come_to_is_not_one_of_it(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "JOIN_S", 0.2)
    position = positions.write([EVENTS.topic], {EVENTS: 3})
    async with running(topic) as feed:
        await feed.connect(position)
        stream = LiveStream(feed, ANYBODY, ApiMetrics())
        first = (await anext(aiter(stream.messages(position)))).decode()
    assert "event: gap" in first
    assert '"reason":"unusable"' in first
