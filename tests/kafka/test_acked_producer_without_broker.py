"""Sending through a producer that is replaced: records that waited are neither held up nor failed for it, and
their bytes are given back once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import NamedTuple

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from stream.kafka.acked_producer import (
    OVERHEAD_BYTES,
    AckedProducer,
    BufferFullError,
    NotAcknowledgedError,
    RecordTooLargeError,
)
from tests.kafka.fake_producer import LIMIT, FakeProducer

TOPIC = "calls.callbacks.v1"


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None


def one(name: str, size: int = 10) -> Record:
    return Record(b"twilio:CA1", name.encode().ljust(size, b"."))


class Harness:
    """An acknowledged producer and the producers that it was given, in turn. `gone`: it is given none."""

    def __init__(self, *producers: FakeProducer, buffer_bytes: int = 1 << 20) -> None:
        self.made: list[FakeProducer] = []
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.gone = False
        self.told: Counter[tuple[str, bool]] = Counter()
        self._next = list(producers)
        self.acked = AckedProducer(
            TOPIC, {}, produced=self._produced, buffer_bytes=buffer_bytes, open_producer=self._opened
        )

    async def start(self) -> AckedProducer:
        await self.acked.start()
        return self.acked

    @property
    def landed(self) -> list[bytes]:
        return [value.rstrip(b".") for each in self.made for _, value in each.landed]

    async def _opened(self) -> FakeProducer:
        await self.may_open.wait()
        if self.gone:
            raise KafkaConnectionError("gone")
        self.made.append(self._next.pop(0) if self._next else FakeProducer())
        return self.made[-1]

    def _produced(self, topic: str, records: int, seconds: float, ok: bool) -> None:
        self.told[topic, ok] += records


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_waits_in_a_producer_that_is_given_up_lands_through_the_next_one() -> None:
    """Once it waited its whole limit, and then said of the new producer that it takes nothing."""
    first = FakeProducer(silent=True)
    harness = Harness(first)
    acked = await harness.start()
    began = time.monotonic()
    waiting = [
        asyncio.create_task(acked.send_all([one("a")], 60)),
        asyncio.create_task(acked.send_all([one("b"), one("c")], 60)),
    ]
    await settle()
    first.pending[0].set_exception(TopicAuthorizationFailedError())
    with pytest.raises(NotAcknowledgedError, match="refused"):
        await waiting[0]
    await waiting[1]
    assert (acked.trouble(), harness.landed) == (None, [b"b", b"c"])
    assert time.monotonic() - began < 20


async def test_what_begins_while_the_producer_is_replaced_waits_for_the_new_one() -> None:
    harness = Harness()
    acked = await harness.start()
    harness.may_open.clear()
    big = asyncio.create_task(acked.send_all([one("big", LIMIT + 1)], 60))
    await settle()
    begun = asyncio.create_task(acked.send_all([one("a")], 60))
    await settle()
    assert not begun.done()
    assert acked.trouble() is None, "a record that is too large says nothing of the broker"
    harness.may_open.set()
    await begun
    with pytest.raises(RecordTooLargeError):
        await big
    assert (harness.landed, acked.trouble()) == ([b"a"], None)


async def test_who_waits_in_vain_for_a_replacement_does_not_blame_the_new_producer() -> None:
    first = FakeProducer(silent=True)
    harness = Harness(first)
    acked = await harness.start()
    waiting = asyncio.create_task(acked.send_all([one("a")], 60))
    late = asyncio.create_task(acked.send_all([one("b")], 0.05))
    await settle()
    harness.may_open.clear()
    first.pending[0].set_exception(TopicAuthorizationFailedError())
    with pytest.raises(NotAcknowledgedError):
        await late
    harness.may_open.set()
    with pytest.raises(NotAcknowledgedError):
        await waiting
    await acked.send_all([one("c")], 60)
    assert acked.trouble() is None


async def test_a_replaced_producers_records_give_their_room_back_once() -> None:
    first = FakeProducer(silent=True)
    room = 4 * (LIMIT + OVERHEAD_BYTES)
    harness = Harness(first, FakeProducer(silent=True), buffer_bytes=room)
    acked = await harness.start()
    lost = [asyncio.create_task(acked.send_all([one("a", LIMIT)], 0.01)) for _ in range(3)]
    await asyncio.gather(*lost, return_exceptions=True)
    assert acked.buffered_bytes == 3 * (LIMIT + OVERHEAD_BYTES), "what was given up may still land"
    refused = asyncio.create_task(acked.send_all([one("b", LIMIT)], 60))
    await settle()
    with pytest.raises(BufferFullError):
        await acked.send_all([one("c", LIMIT)], 60)
    first.pending[-1].set_exception(TopicAuthorizationFailedError())
    await asyncio.gather(refused, return_exceptions=True)
    await settle()
    assert acked.buffered_bytes == 0
    kept = asyncio.create_task(acked.send_all([one("d", LIMIT)], 60))
    await settle()
    assert acked.buffered_bytes == LIMIT + OVERHEAD_BYTES
    for future in first.pending:  # the answers of the old one come late, or are taken back
        if not future.done():
            future.cancel()
    await settle()
    assert acked.buffered_bytes == LIMIT + OVERHEAD_BYTES, "their room was given back with their producer"
    kept.cancel()
    await asyncio.gather(kept, return_exceptions=True)


async def test_a_record_that_is_too_large_is_named_and_all_others_land_in_their_order() -> None:
    harness = Harness()
    acked = await harness.start()
    big = one("big", LIMIT + 1)
    with pytest.raises(RecordTooLargeError) as raised:
        await acked.send_all([one("a"), big, one("b"), one("c", LIMIT)], 60)
    assert list(raised.value.refused) == [big]
    assert harness.landed == [b"a", b"b", b"c"]
    assert (harness.told, acked.trouble(), acked.buffered_bytes) == (
        {(TOPIC, True): 3, (TOPIC, False): 1},
        None,
        0,
    )


async def test_small_records_that_are_too_large_together_all_land() -> None:
    """A topic's limit is for batches, and those are made of whatever waits at the time."""
    harness = Harness()
    acked = await harness.start()
    await asyncio.gather(*(acked.send_all([one(str(n), LIMIT - 1)], 60) for n in range(5)))
    await acked.send_all([one(str(n), LIMIT - 1) for n in range(5, 9)], 60)
    assert sorted(harness.landed) == [b"%d" % n for n in range(9)]
    assert harness.told == {(TOPIC, True): 9}


async def test_records_for_another_topic_are_counted_there() -> None:
    harness = Harness()
    acked = await harness.start()
    await acked.send_all([one("a")], 60, topic="calls.dead-letters.v1")
    assert harness.told == {("calls.dead-letters.v1", True): 1}


async def test_the_broker_is_not_asked_again_for_what_it_has_just_found_too_large() -> None:
    harness = Harness()
    acked = await harness.start()
    for _ in range(2):
        with pytest.raises(RecordTooLargeError):
            await acked.send_all([one("big", LIMIT + 1)], 60)
    await acked.send_all([one("a")], 60)
    made = len(harness.made)
    for _ in range(50):
        with pytest.raises(RecordTooLargeError):
            await acked.send_all([one("big", LIMIT + 1), one("b")], 60)
    assert len(harness.made) == made, "each refusal costs all a new producer"


async def test_each_topic_has_its_own_limit() -> None:
    limits = {"calls.dead-letters.v1": 3 * LIMIT}
    harness = Harness(*(FakeProducer(limits=limits) for _ in range(9)))
    acked = await harness.start()
    with pytest.raises(RecordTooLargeError):
        await acked.send_all([one("big", LIMIT + 1)], 60)
    await acked.send_all([one("big", LIMIT + 1)], 60, topic="calls.dead-letters.v1", headers=[("a", b"b")])
    assert harness.made[-1].landed[-1][0] == "calls.dead-letters.v1"
    assert harness.made[-1].headers == [("a", b"b")]


async def test_a_record_may_name_its_partition() -> None:
    class Placed(NamedTuple):
        key: bytes = b"k"
        value: bytes = b"v"
        partition: int = 7

    harness = Harness()
    acked = await harness.start()
    await acked.send_all([one("first", 10), Placed()], 60)
    assert harness.made[-1].partitions == [None, 7]


async def test_a_broker_that_does_not_come_back_is_in_trouble_and_waited_for_in_bounds() -> None:
    harness = Harness()
    acked = await harness.start()
    harness.gone = True
    began = time.monotonic()
    with pytest.raises(NotAcknowledgedError):
        await acked.send_all([one("big", LIMIT + 1)], 0.2)
    assert time.monotonic() - began < 10
    assert acked.trouble() == "the broker does not answer (KafkaConnectionError)"
    await acked.close(1)
