"""A member serves and commits the fetch requests of a real Kafka, and ends in time, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any

import pytest
from confluent_kafka import Producer

from stream.kafka import topics
from stream.kafka.access import poller_group
from stream.poller.on_demand.fetch_consumer import COMMIT_EVERY_S
from tests.e2e.harness import lag
from tests.poller.asked import fetch
from tests.poller.on_demand.dispatcher_fakes import ResultTopic
from tests.poller.on_demand.group_members import (
    PARTITIONS,
    GroupMember,
    answered,
    closing,
    keys,
    prepared,
    send,
    until,
    until_committed,
)
from tests.real_broker import RealBroker

pytestmark = pytest.mark.broker


async def test_requests_are_answered_and_committed_and_what_is_not_a_request_is_a_dead_letter(
    broker: RealBroker, prefix: str
) -> None:
    settings, topic = await prepared(broker, prefix), ResultTopic()
    names = topics.names(prefix)
    send(settings, range(50), transactional=prefix)
    offsets: list[int] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(
        names.fetches,
        b"{}",
        key=b"twilio:CA1",
        partition=3,
        headers=[("own", b"1")],
        on_delivery=lambda _, message: offsets.append(message.offset()),
    )
    producer.flush(30)
    member = await GroupMember(settings, topic).start()
    async with closing(member):
        await until(lambda: len(topic.written) == 50 and member.dead_letters, "all are answered")
        await until_committed(settings)
        assert answered(topic) == keys(range(50))
        assert member.assignments == [(frozenset(range(PARTITIONS)), PARTITIONS)]
        assert member.metrics.dead_letters == [("unknown", "invalid_field")]
        [(key, raw, headers)] = member.dead_letters
        assert (key, raw) == (b"twilio:CA1", b"{}")
        said = dict(headers)
        assert {name: said[name] for name in said if name != "error"} == {
            "reason": b"invalid_field",
            "stage": b"fetch",
            "source_topic": names.fetches.encode(),
            "source_partition": b"3",
            "source_offset": b"%d" % offsets[0],
            "own": b"1",
        }
        assert member.dispatcher.unfinished == 0
    assert member.assignments[-1] == (frozenset(), PARTITIONS)
    assert member.forwarded == []


async def test_what_is_done_behind_an_unfinished_request_does_not_commit_it_and_is_not_read_again(
    broker: RealBroker, prefix: str
) -> None:
    settings, topic = await prepared(broker, prefix), ResultTopic()
    # All of one partition; the fifth does not come through.
    numbers = [number * PARTITIONS for number in range(10)]
    stuck = fetch(numbers[4]).key
    one = await GroupMember(settings, topic).start()
    held = asyncio.Event()
    read = one.reads.read

    async def read_but_one(request: Any, *more: Any) -> Any:
        if request.key == stuck:
            await held.wait()
        return await read(request, *more)

    one.dispatcher._read = read_but_one
    async with closing(one):
        send(settings, numbers)
        await until(lambda: len(topic.written) == 9, "all but one are served")
        fetches = topics.names(prefix).fetches
        left = 0
        limit = time.monotonic() + 30
        while left != 6:
            assert time.monotonic() < limit, f"{left} are left, not 6"
            await asyncio.sleep(0.3)
            left = await asyncio.to_thread(lag, settings.kafka, poller_group(prefix), [fetches])
        await asyncio.sleep(2 * COMMIT_EVERY_S)  # which of those behind it are done is committed too
        await one.die()
    again = ResultTopic()
    two = await GroupMember(settings, again).start()
    async with closing(two):
        await until(lambda: again.written, "it is read by the next owner")
        await until_committed(settings)
        assert answered(again) == keys(numbers[4:5])


async def test_one_that_is_closed_with_reads_under_way_ends_in_time_and_forgets_nothing(
    broker: RealBroker, prefix: str
) -> None:
    settings, topic = await prepared(broker, prefix), ResultTopic()
    one = await GroupMember(settings, topic, open_=False).start()
    async with closing(one):
        send(settings, range(30))
        await until(lambda: one.dispatcher.pending() == {"twilio_call": 30}, "all wait")
        began = time.monotonic()
        await one.close()
        assert time.monotonic() - began < 10
        assert (one.reads.in_flight, topic.written, one.dispatcher.unfinished) == (0, [], 0)
        assert +one.metrics.now_pending == Counter()
        two = await GroupMember(settings, topic).start()
        async with closing(two):
            await until(lambda: len(topic.written) == 30, "all are answered")
            assert answered(topic) == keys(range(30))


async def test_no_more_are_taken_than_may_be_unfinished_and_all_are_served_in_the_end(
    broker: RealBroker, prefix: str
) -> None:
    settings, topic = await prepared(broker, prefix), ResultTopic()
    send(settings, range(4000))
    one = await GroupMember(settings, topic, open_=False, unfinished=600).start()
    async with closing(one):
        await until(lambda: one.dispatcher.unfinished >= 600, "as many are taken as may be")
        await asyncio.sleep(1)
        assert one.dispatcher.unfinished < 600 + 500
        one.reads.door.set()
        await until(lambda: len(topic.written) == 4000, "all are answered")
        assert answered(topic) == keys(range(4000))


@pytest.mark.e2e
async def test_a_broker_that_is_killed_costs_time_and_no_request(broker: RealBroker, prefix: str) -> None:
    settings, topic = await prepared(broker, prefix), ResultTopic()
    send(settings, range(20))
    one = await GroupMember(settings, topic).start()
    async with closing(one):
        await until(lambda: len(topic.written) == 20, "all are answered")
        await until_committed(settings)
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(2)
        await asyncio.to_thread(broker.restart)
        await asyncio.to_thread(send, settings, range(20, 40))
        await until(lambda: len(answered(topic)) == 40 or one.running.done(), "all are answered")
        assert not one.running.done(), one.running
        await until_committed(settings)


async def test_one_that_cannot_take_over_its_accounts_ends_with_the_error(
    broker: RealBroker, prefix: str
) -> None:
    settings = await prepared(broker, prefix)
    one = GroupMember(settings, ResultTopic())

    async def broken(owned: frozenset[int], partitions: int) -> None:
        raise ValueError("no windows")

    one.consumer._on_assignment = broken
    await one.start()
    async with closing(one):
        with pytest.raises(ValueError, match="no windows"):
            await asyncio.wait_for(asyncio.shield(one.running), 30)


async def test_a_broker_that_is_silent_does_not_keep_one_from_ending(broker: RealBroker, prefix: str) -> None:
    settings, topic = await prepared(broker, prefix), ResultTopic()
    one = await GroupMember(settings, topic, open_=False).start()
    async with closing(one):
        send(settings, range(4))
        await until(lambda: one.reads.in_flight == 4, "all are being read")
        broker.freeze()
        began = time.monotonic()
        await one.close()
        assert time.monotonic() - began < 10
        broker.thaw()
    with contextlib.suppress(asyncio.CancelledError):
        await one.running
