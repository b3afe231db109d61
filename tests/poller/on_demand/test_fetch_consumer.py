"""A poller serves and commits the fetch requests of a real Kafka, and ends in time, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any

import pytest
from confluent_kafka import Producer

from stream.kafka import topics
from stream.poller.limiter.assignor import Place
from stream.poller.on_demand.fetch_consumer import group
from stream.poller.resources.account import Account
from tests.e2e.harness import lag
from tests.poller.asked import fetch
from tests.poller.on_demand.dispatcher_fakes import Polled
from tests.poller.on_demand.group_members import (
    PARTITIONS,
    Poller,
    chosen,
    closing,
    keys,
    send,
    served,
    until,
    until_committed,
)
from tests.real_broker import RealBroker

pytestmark = pytest.mark.broker


async def test_requests_are_served_and_committed_and_what_is_no_request_is_buried(
    broker: RealBroker, prefix: str
) -> None:
    settings, polled = await chosen(broker, prefix), Polled()
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
    poller = await Poller(settings, polled).start()
    async with closing(poller):
        await until(lambda: len(polled.landed) == 50 and poller.buried, "all are served")
        await until_committed(settings)
        assert served(polled) == keys(range(50))
        assert poller.shares == [(Place(0, 1), frozenset(range(PARTITIONS)), PARTITIONS)]
        assert poller.metrics.dead_letters == [("unknown", "invalid_field")]
        [(key, raw, headers)] = poller.buried
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
        assert poller.serving.unfinished == 0
    assert poller.shares[-1] == (Place(-1, 1), frozenset(), PARTITIONS)


async def test_what_is_done_behind_an_unfinished_request_is_not_committed_before_it(
    broker: RealBroker, prefix: str
) -> None:
    settings, polled = await chosen(broker, prefix), Polled()
    # All of one partition; the fifth does not come through.
    numbers = [number * PARTITIONS for number in range(10)]
    stuck = fetch(numbers[4]).key
    one = await Poller(settings, polled).start()
    held = asyncio.Event()
    read = one.provider.read

    async def read_but_one(request: Any, account: Account) -> Any:
        if request.key == stuck:
            await held.wait()
        return await read(request, account)

    one.serving._read = read_but_one
    async with closing(one):
        send(settings, numbers)
        await until(lambda: len(polled.landed) == 9, "all but one are served")
        fetches = topics.names(prefix).fetches
        left = 0
        limit = time.monotonic() + 30
        while left != 6:
            assert time.monotonic() < limit, f"{left} are left, not 6"
            await asyncio.sleep(0.3)
            left = await asyncio.to_thread(lag, settings.kafka, group(prefix), [fetches])
        await one.die()
    again = Polled()
    two = await Poller(settings, again).start()
    async with closing(two):
        await until(lambda: len(again.landed) >= 6, "the rest is served again")
        await until_committed(settings)
        assert served(again) == keys(numbers[4:])


async def test_one_that_is_closed_with_reads_under_way_ends_in_time_and_forgets_nothing(
    broker: RealBroker, prefix: str
) -> None:
    settings, polled = await chosen(broker, prefix), Polled()
    one = await Poller(settings, polled, open_=False).start()
    async with closing(one):
        send(settings, range(30))
        await until(lambda: one.serving.pending() == {"twilio_call": 30}, "all wait")
        began = time.monotonic()
        await one.close()
        assert time.monotonic() - began < 10
        assert (one.provider.in_flight, polled.landed, one.serving.unfinished) == (0, [], 0)
        assert +one.metrics.now_pending == Counter()
        two = await Poller(settings, polled).start()
        async with closing(two):
            await until(lambda: len(polled.landed) == 30, "all are served")
            assert served(polled) == keys(range(30))


async def test_no_more_are_taken_than_may_be_unfinished_and_all_are_served_in_the_end(
    broker: RealBroker, prefix: str
) -> None:
    settings, polled = await chosen(broker, prefix), Polled()
    send(settings, range(4000))
    one = await Poller(settings, polled, open_=False, unfinished=600).start()
    async with closing(one):
        await until(lambda: one.serving.unfinished >= 600, "as many are taken as may be")
        await asyncio.sleep(1)
        assert one.serving.unfinished < 600 + 500
        one.provider.door.set()
        await until(lambda: len(polled.landed) == 4000, "all are served")
        assert served(polled) == keys(range(4000))


async def test_a_broker_that_is_killed_costs_time_and_no_request(broker: RealBroker, prefix: str) -> None:
    settings, polled = await chosen(broker, prefix), Polled()
    send(settings, range(20))
    one = await Poller(settings, polled).start()
    async with closing(one):
        await until(lambda: len(polled.landed) == 20, "all are served")
        await until_committed(settings)
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(2)
        await asyncio.to_thread(broker.restart)
        await asyncio.to_thread(send, settings, range(20, 40))
        await until(lambda: len(served(polled)) == 40 or one.running.done(), "all are served")
        assert not one.running.done(), one.running
        await until_committed(settings)


async def test_one_that_cannot_take_up_its_share_ends_and_says_why(broker: RealBroker, prefix: str) -> None:
    settings = await chosen(broker, prefix)
    one = Poller(settings, Polled())

    async def broken(place: Place, owned: frozenset[int], partitions: int) -> None:
        raise ValueError("no windows")

    one.fetching._on_share = broken
    await one.start()
    async with closing(one):
        with pytest.raises(ValueError, match="no windows"):
            await asyncio.wait_for(asyncio.shield(one.running), 30)


async def test_a_broker_that_is_silent_does_not_keep_one_from_ending(broker: RealBroker, prefix: str) -> None:
    settings, polled = await chosen(broker, prefix), Polled()
    one = await Poller(settings, polled, open_=False).start()
    async with closing(one):
        send(settings, range(4))
        await until(lambda: one.provider.in_flight == 4, "all are being read")
        broker.freeze()
        began = time.monotonic()
        await one.close()
        assert time.monotonic() - began < 10
        broker.thaw()
    with contextlib.suppress(asyncio.CancelledError):
        await one.running
