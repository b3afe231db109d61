"""Several pollers share the fetch requests of a real Kafka: each is served by one of them, none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from confluent_kafka import Producer

from stream.polling import fetching as module
from stream.polling.account import Account
from stream.polling.assignor import Place
from stream.polling.fetching import Fetching, group
from stream.polling.serving import Serving
from stream.runtime import consumers, topics
from stream.runtime.settings import Settings
from stream.runtime.wire import Headers
from tests.e2e.harness import lag, wait_drained
from tests.polling.asked import TWILIO, fetch, value
from tests.polling.desk import OpenGate, Polled, Provider, Remembered
from tests.real_broker import RealBroker

pytestmark = pytest.mark.broker

PARTITIONS = 4


class Poller:
    """One member of the group, with everything around it. `polled` may be everybody's."""

    def __init__(
        self, settings: Settings, polled: Polled, *, open_: bool = True, unfinished: int = 20_000
    ) -> None:
        self.shares: list[tuple[Place, frozenset[int], int]] = []
        self.buried: list[tuple[bytes | None, bytes | None, Headers]] = []
        self.provider, self.metrics = Provider(open_=open_), Remembered()
        self.serving = Serving(
            [TWILIO],
            gate_of=lambda account: OpenGate(),
            read=self.provider.read,
            land_result=polled.land,
            metrics=self.metrics,
            now_us=lambda: time.time_ns() // 1000,
        )
        self.fetching = Fetching(
            settings,
            self.serving,
            on_share=self.on_share,
            dead_letter=self.bury,
            metrics=self.metrics,
            unfinished=unfinished,
        )
        self.gone = False

    async def on_share(self, place: Place, owned: frozenset[int], partitions: int) -> None:
        self.shares.append((place, owned, partitions))

    async def bury(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        self.buried.append((key, value, headers))

    async def start(self) -> Poller:
        self.running = await self.fetching.start()
        return self

    async def close(self) -> None:
        if not self.gone:
            self.gone = True
            await self.fetching.close()

    async def die(self) -> None:
        """As a killed process does: nothing is committed, nobody is told."""
        self.gone = True
        self.running.cancel()
        await asyncio.wait([self.running])
        await consumers.drop(self.fetching._consumer)
        await self.serving.stop(0)

    @property
    def share(self) -> tuple[Place, frozenset[int], int] | None:
        return self.shares[-1] if self.shares else None


async def chosen(broker: RealBroker, prefix: str) -> Settings:
    settings = Settings(
        kafka=broker.bootstrap, topic_prefix=prefix, partitions=PARTITIONS, session_timeout_s=6.0
    )
    await topics.ensure(broker.bootstrap, settings)
    return settings


@asynccontextmanager
async def closing(*pollers: Poller) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for poller in pollers:
            await poller.close()


def send(settings: Settings, numbers: Sequence[int], *, transactional: str | None = None) -> None:
    """Requests for these calls, as the worker sends them."""
    topic = topics.names(settings.topic_prefix).fetches
    config: dict[str, Any] = {"bootstrap.servers": settings.kafka, "log_level": 2}
    if transactional is not None:
        config["transactional.id"] = transactional
    producer = Producer(config)
    if transactional is not None:
        producer.init_transactions(30)
        producer.begin_transaction()
    for number in numbers:
        request = fetch(number)
        producer.produce(topic, value(request), key=request.key.encode(), partition=number % PARTITIONS)
    if transactional is not None:
        producer.commit_transaction(30)
    assert producer.flush(30) == 0


async def until(good: Callable[[], object], what: str, limit_s: float = 60.0) -> None:
    limit = time.monotonic() + limit_s
    while not good():
        assert time.monotonic() < limit, f"not within {limit_s:g} s: {what}"
        await asyncio.sleep(0.05)


async def until_committed(settings: Settings) -> None:
    fetches = topics.names(settings.topic_prefix).fetches
    await asyncio.to_thread(wait_drained, settings.kafka, group(settings.topic_prefix), [fetches])


def served(polled: Polled) -> Counter[bytes]:
    return Counter(key for key, _ in polled.landed)


def keys(numbers: Sequence[int]) -> Counter[bytes]:
    """Each once."""
    return Counter(fetch(number).key.encode() for number in numbers)


def in_place(*pollers: Poller) -> bool:
    """Whether all have their shares of one group of so many."""
    places = [poller.share[0] for poller in pollers if poller.share is not None]
    return sorted(places, key=lambda place: place.rank) == [
        Place(rank, len(pollers)) for rank in range(len(pollers))
    ]


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


async def test_a_share_is_one_of_all_partitions_also_where_the_metadata_have_just_lost_the_topic() -> None:
    class Forgetful:
        def partitions_for_topic(self, topic: str) -> None:
            return None

    poller = Poller(Settings(partitions=PARTITIONS), Polled())
    poller.fetching._consumer = Forgetful()
    await poller.fetching._take_up(frozenset({0, 1}))
    assert poller.share == (poller.fetching.place, frozenset({0, 1}), PARTITIONS)
