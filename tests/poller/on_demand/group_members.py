"""Members of the group that reads fetch requests from a real Kafka, and what is waited for in their tests."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from confluent_kafka import Producer

from stream.kafka import topics
from stream.kafka.client import consumers
from stream.kafka.envelope_codec import Headers
from stream.poller.limiter.assignor import Place
from stream.poller.on_demand.dispatcher import FetchDispatcher
from stream.poller.on_demand.fetch_consumer import FetchRequestConsumer, group
from stream.service.settings import Settings
from tests.e2e.harness import wait_drained
from tests.poller.asked import TWILIO, fetch, value
from tests.poller.on_demand.dispatcher_fakes import OpenLimiter, Polled, Provider, RecentRows
from tests.real_broker import RealBroker

PARTITIONS = 4


class Poller:
    """One member of the group, with everything around it. `polled` may be everybody's."""

    def __init__(
        self, settings: Settings, polled: Polled, *, open_: bool = True, unfinished: int = 20_000
    ) -> None:
        self.shares: list[tuple[Place, frozenset[int], int]] = []
        self.buried: list[tuple[bytes | None, bytes | None, Headers]] = []
        self.provider, self.metrics = Provider(open_=open_), RecentRows()
        self.serving = FetchDispatcher(
            [TWILIO],
            limiter_of=lambda account: OpenLimiter(),
            read=self.provider.read,
            land_result=polled.land,
            metrics=self.metrics,
            now_us=lambda: time.time_ns() // 1000,
        )
        self.fetching = FetchRequestConsumer(
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
