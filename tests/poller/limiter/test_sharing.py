"""Several pollers share the fetch requests of a real Kafka: each is served by one of them, none is lost."""

from __future__ import annotations

import time

import pytest

from stream.poller.limiter.assignor import Place
from stream.poller.on_demand import fetch_consumer as module
from stream.service.settings import Settings
from tests.poller.on_demand.dispatcher_fakes import Polled
from tests.poller.on_demand.group_members import (
    PARTITIONS,
    Poller,
    chosen,
    closing,
    in_place,
    keys,
    send,
    served,
    until,
    until_committed,
)
from tests.real_broker import RealBroker

pytestmark = pytest.mark.broker


async def test_two_share_exactly_a_third_takes_part_and_one_that_leaves_hands_over_without_a_repetition(
    broker: RealBroker, prefix: str
) -> None:
    settings, polled = await chosen(broker, prefix), Polled()
    one = await Poller(settings, polled).start()
    two = await Poller(settings, polled).start()
    async with closing(one, two):
        await until(lambda: in_place(one, two), "both have a share")
        first, second = sorted((one, two), key=lambda poller: poller.fetching.place.rank)
        assert first.share == (Place(0, 2), frozenset({0, 1}), PARTITIONS)
        assert second.share == (Place(1, 2), frozenset({2, 3}), PARTITIONS)
        for poller in (one, two):
            poller.provider.door.clear()
        send(settings, range(100))
        await until(lambda: one.provider.in_flight == two.provider.in_flight == 2, "each reads its share")
        for poller in (one, two):
            poller.provider.door.set()
        await until(lambda: len(polled.landed) == 100, "all are served")
        assert {key for poller in (one, two) for key in poller.provider.calls()} == {
            f"CA{number}" for number in range(100)
        }
        assert {int(key[2:]) % PARTITIONS for key in first.provider.calls()} == {0, 1}
        assert first.provider.most_in_flight == second.provider.most_in_flight == 2

        began = time.monotonic()
        await two.close()
        assert time.monotonic() - began < 10
        send(settings, range(100, 200))
        await until(lambda: len(polled.landed) == 200, "all are served by who stayed")
        assert one.share == (Place(0, 1), frozenset(range(PARTITIONS)), PARTITIONS)
        assert served(polled) == keys(range(200))


async def test_one_that_must_share_lets_go_of_what_it_reads_and_commits_what_it_has_done(
    broker: RealBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is committed but when partitions change hands.
    monkeypatch.setattr(module, "COMMIT_EVERY_S", 3600.0)
    settings, polled = await chosen(broker, prefix), Polled()
    one = await Poller(settings, polled).start()
    two = Poller(settings, polled)
    async with closing(one):
        send(settings, range(40))
        await until(lambda: len(polled.landed) == 40, "all are served")
        one.provider.door.clear()
        send(settings, range(40, 80))
        await until(lambda: one.serving.pending() == {"twilio_call": 40}, "all wait")
        before = one.provider.began[:]
        await two.start()
        async with closing(two):
            await until(lambda: in_place(one, two), "both have a share")
            owned = two.shares[-1][1]
            await until(lambda: len(polled.landed) == 60, "who came has served its own")
            await until(lambda: one.provider.in_flight == 2, "who was there has as many slots as it should")
            assert one.provider.began != before, "what was given up is read anew"
        assert {int(key[2:]) % PARTITIONS for key in two.provider.calls()} == owned
        one.provider.door.set()
        send(settings, range(80, 120))
        await until(lambda: len(polled.landed) >= 120, "all are served")
        await one.close()
        assert served(polled) == keys(range(120))
    await until_committed(settings)


async def test_more_pollers_than_the_smallest_account_has_requests_at_once_stand_by(
    broker: RealBroker, prefix: str
) -> None:
    settings, polled = await chosen(broker, prefix), Polled()
    pollers = [Poller(settings, polled) for _ in range(3)]
    for poller in pollers:
        poller.fetching._assignor._most = 2
    async with closing(*pollers):
        for poller in pollers:
            await poller.start()

        def spread() -> list[tuple[int, list[int]]]:
            found = [poller.share for poller in pollers if poller.share is not None]
            return sorted((place.rank, sorted(owned)) for place, owned, _ in found)

        await until(lambda: spread() == [(-1, []), (0, [0, 1]), (1, [2, 3])], "two work, one stands by")
        working = next(poller for poller in pollers if poller.fetching.place.rank == 0)
        send(settings, range(40))
        await until(lambda: len(polled.landed) == 40, "all are served")
        await working.close()
        pollers.remove(working)
        await until(lambda: spread() == [(0, [0, 1]), (1, [2, 3])], "who stood by has stepped in")
        send(settings, range(40, 80))
        await until(lambda: len(polled.landed) == 80, "all are served")
        assert served(polled) == keys(range(80))


async def test_one_dies_with_reads_under_way_and_the_other_reads_them_again(
    broker: RealBroker, prefix: str
) -> None:
    settings, polled = await chosen(broker, prefix), Polled()
    stays = await Poller(settings, polled).start()
    dies = await Poller(settings, polled).start()
    async with closing(stays, dies):
        await until(lambda: in_place(stays, dies), "both have a share")
        send(settings, range(40))
        await until(lambda: len(polled.landed) == 40, "all are served")
        await until_committed(settings)
        dies.provider.door.clear()
        owned = dies.shares[-1][1]
        send(settings, range(40, 80))
        theirs = [number for number in range(40, 80) if number % PARTITIONS in owned]
        await until(lambda: len(polled.landed) == 60, "who stays has served its own")
        await until(lambda: dies.serving.pending() == {"twilio_call": len(theirs)}, "the others wait")
        assert dies.provider.in_flight == 2
        await dies.die()
        began = time.monotonic()
        await until(lambda: len(polled.landed) == 80, "the other has taken over")
        assert time.monotonic() - began < 30
        assert stays.share == (Place(0, 1), frozenset(range(PARTITIONS)), PARTITIONS)
        assert served(polled) == keys(range(80))
        await until_committed(settings)


async def test_a_share_is_one_of_all_partitions_also_where_the_metadata_have_just_lost_the_topic() -> None:
    class Forgetful:
        def partitions_for_topic(self, topic: str) -> None:
            return None

    poller = Poller(Settings(partitions=PARTITIONS), Polled())
    poller.fetching._consumer = Forgetful()
    await poller.fetching._take_up(frozenset({0, 1}))
    assert poller.share == (poller.fetching.place, frozenset({0, 1}), PARTITIONS)
