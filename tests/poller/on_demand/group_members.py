"""Members of the group that reads fetch requests from a real Kafka, and what their tests wait for."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from confluent_kafka import Producer

from stream.kafka import topics
from stream.kafka.access import poller_group
from stream.kafka.client import consumers
from stream.kafka.envelope_codec import Headers
from stream.kafka.partitions import partition_of
from stream.poller.limiter.rate_limiter import RateLimiters
from stream.poller.on_demand.dispatcher import FetchDispatcher
from stream.poller.on_demand.fetch_consumer import FetchRequestConsumer
from stream.poller.resources.account import Account
from stream.service.settings import Settings
from tests.e2e.harness import wait_drained
from tests.poller.asked import TWILIO, fetch, value
from tests.poller.on_demand.dispatcher_fakes import UNLIMITED, PendingMetrics, ReadsFake, ResultTopic
from tests.real_broker import RealBroker

PARTITIONS = 4


def _account_of_partition(number: int) -> Account:
    accounts = (replace(TWILIO, id=f"AC{one}", rate=UNLIMITED) for one in count())
    return next(account for account in accounts if partition_of(account.key, PARTITIONS) == number)


ACCOUNTS = [_account_of_partition(number) for number in range(PARTITIONS)]
"""By their partitions."""


class GroupMember:
    """One member of the group, with everything around it. `topic` may be shared."""

    def __init__(
        self, settings: Settings, topic: ResultTopic, *, open_: bool = True, unfinished: int = 20_000
    ) -> None:
        self.settings = settings
        self.assignments: list[tuple[frozenset[int], int]] = []
        self.dead_letters: list[tuple[bytes | None, bytes | None, Headers]] = []
        self.forwarded: list[tuple[int, bytes | None]] = []
        self.reads, self.metrics = ReadsFake(open_=open_), PendingMetrics()
        self.limiters = RateLimiters(ACCOUNTS, self.metrics)
        self.dispatcher = FetchDispatcher(
            ACCOUNTS,
            limiter_of=self.limiters.of,
            read=self.reads.read,
            write_result=topic.write,
            metrics=self.metrics,
            now_us=lambda: time.time_ns() // 1000,
        )
        self.consumer = FetchRequestConsumer(
            settings,
            self.dispatcher,
            self,
            on_assignment=self.on_assignment,
            confirmed=self.limiters.lease,
            metrics=self.metrics,
            unfinished=unfinished,
        )
        self.gone = False

    async def on_assignment(self, owned: frozenset[int], partitions: int) -> None:
        self.assignments.append((owned, partitions))
        self.limiters.own(lambda account: partition_of(account.key, partitions) in owned)

    async def write_dead_letter(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        self.dead_letters.append((key, value, headers))

    async def forward(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        self.forwarded.append((partition, key))
        producer = Producer({"bootstrap.servers": self.settings.kafka, "log_level": 2})
        producer.produce(topic, value, key=key, partition=partition, headers=list(headers))
        assert await asyncio.to_thread(producer.flush, 30) == 0

    async def start(self) -> GroupMember:
        self.running = await self.consumer.start()
        return self

    async def close(self) -> None:
        if not self.gone:
            self.gone = True
            await self.consumer.close()

    async def die(self) -> None:
        """As a killed process does: nothing is committed, the group is not told."""
        self.gone = True
        self.running.cancel()
        await asyncio.wait([self.running])
        await consumers.drop(self.consumer._consumer)
        await self.dispatcher.stop(0)

    @property
    def owned(self) -> frozenset[int]:
        return self.assignments[-1][0] if self.assignments else frozenset()


async def prepared(broker: RealBroker, prefix: str) -> Settings:
    """Settings whose topics are there."""
    settings = Settings(
        kafka=broker.bootstrap, topic_prefix=prefix, partitions=PARTITIONS, session_timeout_s=6.0
    )
    await topics.ensure(broker.bootstrap, settings)
    return settings


@asynccontextmanager
async def closing(*members: GroupMember) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for member in members:
            await member.close()


def send(
    settings: Settings,
    numbers: Sequence[int],
    *,
    transactional: str | None = None,
    partition: int | None = None,
    **changed: Any,
) -> None:
    """Requests for these calls: call `number` is of the account of partition `number` % PARTITIONS.

    They lie there, as the worker writes them, or in `partition`.
    """
    topic = topics.names(settings.topic_prefix).fetches
    config: dict[str, Any] = {"bootstrap.servers": settings.kafka, "log_level": 2}
    if transactional is not None:
        config["transactional.id"] = transactional
    producer = Producer(config)
    if transactional is not None:
        producer.init_transactions(30)
        producer.begin_transaction()
    for number in numbers:
        home = number % PARTITIONS
        request = fetch(number, account=ACCOUNTS[home].id, **changed)
        producer.produce(
            topic,
            value(request),
            key=request.key.encode(),
            partition=home if partition is None else partition,
        )
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
    await asyncio.to_thread(wait_drained, settings.kafka, poller_group(settings.topic_prefix), [fetches])


def answered(topic: ResultTopic) -> Counter[bytes]:
    return Counter(key for key, _ in topic.written)


def keys(numbers: Sequence[int]) -> Counter[bytes]:
    """Each once."""
    return Counter(fetch(number).key.encode() for number in numbers)


def are_shared(*members: GroupMember) -> bool:
    """Whether the partitions are divided among these, as evenly as may be."""
    numbers = sorted(number for member in members for number in member.owned)
    sizes = [len(member.owned) for member in members]
    return numbers == list(range(PARTITIONS)) and max(sizes) - min(sizes) <= 1
