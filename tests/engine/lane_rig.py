"""A lane between a job, a producer that fails in chosen ways, and a store."""

from __future__ import annotations

import asyncio
from typing import Any

from stream.engine.batch import BatchPolicy
from stream.engine.commit import LaneContext
from stream.engine.group import Assignment
from stream.engine.lane import Lane, StartOffset
from stream.engine.shared_transactions import SharedTransactions
from stream.engine.states import DictStates
from stream.engine.status import Waits
from stream.engine.ticks import TickSchedule
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import CommittedOffset
from tests.engine.fakes import (
    CHANGELOG,
    Brokers,
    ErrorCounter,
    FakeGroup,
    FakeProducer,
    KeepLast,
    chunk_of,
)

TOPICS = ("callbacks", "polled")
HERE = 3
CALLBACKS = TopicPartition("callbacks", HERE)
RECOVERED_TO = 100


class LaneRig:
    """A lane of partition HERE that is started, and what stands around it."""

    def __init__(self, latency_s: float = 0.0, collect_s: float = 0.0) -> None:
        self.broker: dict[TopicPartition, CommittedOffset | None] = {}
        self.group = FakeGroup(Brokers(commits=[self.broker]))
        self.assignment = Assignment(self.group, 1)
        self.observer, self.waits, self.ticks = ErrorCounter(), Waits(), TickSchedule()
        self.shared, self.alone, self.job = FakeProducer(self.broker), FakeProducer(self.broker), KeepLast()
        self.states = DictStates()
        policy = BatchPolicy(max_batch=10, collect_s=collect_s, latency_s=latency_s, hold_s=0.05, tries=3)
        self.transactions = SharedTransactions(
            {HERE: self.shared}, {HERE: self.alone}, self.assignment, self.waits, CHANGELOG, policy
        )
        self.known_ends: dict[TopicPartition, int] = {}
        self.suspended: list[int] = []
        context = LaneContext(
            assignment=self.assignment,
            processor=self.job,
            states=self.states,
            observer=self.observer,
            waits=self.waits,
            changelog=CHANGELOG,
            policy=policy,
            transactions=self.transactions,
            known_ends=self.known_ends,
            ticks=self.ticks,
            committed=lambda _: None,
            suspend=lambda number, _: self.suspended.append(number),
        )
        self.transactions.start()
        self.lane = Lane(HERE, TOPICS, self.alone, context)
        self.lane.begin({topic: StartOffset(0, None) for topic in TOPICS}, RECOVERED_TO)
        self.work = self.lane.start()

    @property
    def shown(self) -> dict[bytes, bytes]:
        """The states that the store shows."""
        return dict(self.states.items(HERE))

    def put(self, topic: str, first: int, *values: bytes) -> None:
        self.lane.put(chunk_of(topic, HERE, first, *values))

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        await self.lane.close(1)
        await self.transactions.close()

    async def settle(self, batches: int) -> None:
        await self.until(lambda: len(self.job.committed) >= batches)
