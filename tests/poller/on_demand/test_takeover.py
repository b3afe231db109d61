"""Accounts of a real Kafka's group change hands: each has one owner, no request is lost or answered twice."""

from __future__ import annotations

import asyncio
import time

import pytest

from stream.poller.on_demand import fetch_consumer as module
from tests.poller.asked import fetch, value
from tests.poller.on_demand.dispatcher_fakes import ResultTopic
from tests.poller.on_demand.group_members import (
    ACCOUNTS,
    PARTITIONS,
    GroupMember,
    answered,
    are_shared,
    closing,
    keys,
    prepared,
    send,
    until,
    until_committed,
)
from tests.real_broker import RealBroker

pytestmark = pytest.mark.broker


def opened() -> asyncio.Event:
    """A door for the reads that begin from now on: those that wait at the old one go on waiting."""
    door = asyncio.Event()
    door.set()
    return door


async def test_two_divide_the_accounts_and_one_that_leaves_hands_its_own_over(
    broker: RealBroker, prefix: str
) -> None:
    settings, topic = await prepared(broker, prefix), ResultTopic()
    one = await GroupMember(settings, topic).start()
    two = await GroupMember(settings, topic).start()
    async with closing(one, two):
        await until(lambda: are_shared(one, two), "both have accounts")
        for member in (one, two):
            member.reads.door.clear()
        send(settings, range(100))
        await until(lambda: one.reads.in_flight == two.reads.in_flight == 8, "each reads its two accounts")
        for member in (one, two):
            member.reads.door.set()
        await until(lambda: len(topic.written) == 100, "all are answered")
        for member in (one, two):
            assert {int(call[2:]) % PARTITIONS for call in member.reads.calls()} == member.owned
            assert len({(account.id) for account in member.reads.accounts}) == 2
            assert member.reads.most_in_flight == 8

        began = time.monotonic()
        await two.close()
        assert time.monotonic() - began < 10
        send(settings, range(100, 200))
        await until(lambda: len(topic.written) == 200, "all are answered by the one that stayed")
        assert one.assignments[-1] == (frozenset(range(PARTITIONS)), PARTITIONS)
        assert answered(topic) == keys(range(200))


async def test_a_rebalance_reads_again_what_was_in_flight_and_nothing_that_was_answered(
    broker: RealBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is committed but when partitions change hands.
    monkeypatch.setattr(module, "COMMIT_EVERY_S", 3600.0)
    settings, topic = await prepared(broker, prefix), ResultTopic()
    one = await GroupMember(settings, topic).start()
    two = GroupMember(settings, topic)
    async with closing(one):
        send(settings, range(40))
        await until(lambda: len(topic.written) == 40, "all are answered")
        one.reads.door.clear()
        send(settings, range(40, 80))
        await until(lambda: one.dispatcher.pending() == {"twilio_call": 40}, "all wait")
        await until(lambda: one.reads.in_flight == 16, "as many are read as may be")
        began = one.reads.began[:]
        await two.start()
        async with closing(two):
            await until(lambda: are_shared(one, two), "both have accounts")
            await until(lambda: len(topic.written) == 60, "the one that came has answered its own")
            await until(lambda: one.reads.in_flight == 8, "the other reads its own again")
            assert len(one.reads.began) > len(began)
            assert {int(call[2:]) % PARTITIONS for call in two.reads.calls()} == two.owned
            one.reads.door.set()
            send(settings, range(80, 120))
            await until(lambda: len(topic.written) >= 120, "all are answered")
    assert answered(topic) == keys(range(120))
    await until_committed(settings)


async def test_a_request_that_overtook_others_is_not_read_again_by_the_next_owner(
    broker: RealBroker, prefix: str
) -> None:
    """The committed offset stands before it."""
    settings, topic = await prepared(broker, prefix), ResultTopic()
    slow = [number * PARTITIONS for number in range(3)]
    quick = [number * PARTITIONS for number in range(10, 20)]
    one = await GroupMember(settings, topic, open_=False).start()
    async with closing(one):
        await until(lambda: one.owned, "it owns the account")
        send(settings, slow)
        await until(lambda: one.reads.in_flight == 3, "they are read")
        one.reads.door = opened()
        send(settings, quick)
        await until(lambda: len(topic.written) == 10, "those behind them are answered")
    assert answered(topic) == keys(quick)
    again = await GroupMember(settings, topic).start()
    async with closing(again):
        await until(lambda: len(topic.written) == 13, "all are answered")
        await until_committed(settings)
    assert again.reads.calls() == [f"CA{number}" for number in slow]
    assert answered(topic) == keys([*slow, *quick])


async def test_one_dies_with_reads_in_flight_and_the_other_reads_them_again(
    broker: RealBroker, prefix: str
) -> None:
    settings, topic = await prepared(broker, prefix), ResultTopic()
    stays = await GroupMember(settings, topic).start()
    dies = await GroupMember(settings, topic).start()
    async with closing(stays, dies):
        await until(lambda: are_shared(stays, dies), "both have accounts")
        send(settings, range(40))
        await until(lambda: len(topic.written) == 40, "all are answered")
        await until_committed(settings)
        dies.reads.door.clear()
        send(settings, range(40, 80))
        theirs = [number for number in range(40, 80) if number % PARTITIONS in dies.owned]
        await until(lambda: len(topic.written) == 60, "the one that stays has answered its own")
        await until(lambda: dies.dispatcher.pending() == {"twilio_call": len(theirs)}, "the others wait")
        assert dies.reads.in_flight == 8
        await dies.die()
        began = time.monotonic()
        await until(lambda: len(topic.written) == 80, "the other has taken over")
        assert time.monotonic() - began < 30
        assert stays.assignments[-1] == (frozenset(range(PARTITIONS)), PARTITIONS)
        assert answered(topic) == keys(range(80))
        await until_committed(settings)


async def test_one_without_a_partition_stands_by_and_steps_in(broker: RealBroker, prefix: str) -> None:
    settings, topic = await prepared(broker, prefix), ResultTopic()
    members = [GroupMember(settings, topic) for _ in range(PARTITIONS + 1)]
    async with closing(*members):
        for member in members:
            await member.start()

        def sizes() -> list[int]:
            return sorted(len(member.owned) for member in members if not member.gone)

        await until(lambda: sizes() == [0, 1, 1, 1, 1], "one stands by")
        send(settings, range(40))
        await until(lambda: len(topic.written) == 40, "all are answered")
        working = next(member for member in members if member.owned)
        await working.close()
        await until(lambda: sizes() == [1, 1, 1, 1], "the one that stood by has stepped in")
        send(settings, range(40, 80))
        await until(lambda: len(topic.written) == 80, "all are answered")
        assert answered(topic) == keys(range(80))


async def test_requests_that_lie_elsewhere_are_forwarded_to_the_owner_of_their_account(
    broker: RealBroker, prefix: str
) -> None:
    """As a worker of an earlier version wrote them, by the call's key."""
    settings, topic = await prepared(broker, prefix), ResultTopic()
    send(settings, range(40), partition=1)
    one = await GroupMember(settings, topic).start()
    two = await GroupMember(settings, topic).start()
    async with closing(one, two):
        await until(lambda: len(answered(topic)) == 40, "all are answered")
        await until(lambda: are_shared(one, two), "both have accounts")
        await until_committed(settings)
        forwarded = sorted({*one.forwarded, *two.forwarded})
        elsewhere = [number for number in range(40) if number % PARTITIONS != 1]
        assert forwarded == sorted((number % PARTITIONS, fetch(number).key.encode()) for number in elsewhere)


async def test_a_request_that_was_forwarded_and_lies_elsewhere_still_is_put_off(
    broker: RealBroker, prefix: str
) -> None:
    """Two pollers with different accounts would forward it to each other for ever."""
    settings, topic = await prepared(broker, prefix), ResultTopic()
    one = GroupMember(settings, topic)
    await one.forward(
        module.topics.names(prefix).fetches,
        2,
        b"twilio:CA1",
        value(fetch(1, account=ACCOUNTS[1].id)),
        [(module.FORWARDED, b"1")],
    )
    one.forwarded.clear()
    await one.start()
    async with closing(one):
        await until(lambda: topic.written, "it is answered")
        await until_committed(settings)
    assert (topic.outcomes(), one.forwarded) == ({"CA1": "deferred"}, [])
