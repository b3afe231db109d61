"""A store is loaded when it has read up to the true leader's end, not a former one's end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec

from stream.core.timestamps import utc
from stream.kafka.partitions import TopicPartition
from stream.poller.schedule.progress import Watermark, encode
from stream.poller.schedule.progress_store import END, ProgressStore

HERE = TopicPartition("polling", 0)
MARK = Watermark(source="twilio_call", account="AC1", watermark=utc(10**15), read_at=utc(10**15), by="one")


class Reader:
    """One partition. Its broker was cut off: it has, and reports, records up to `end` only."""

    def __init__(self, records: list[Any], end: int) -> None:
        self.records, self.end = records, end
        self.at = 0

    @property
    def partitions(self) -> set[TopicPartition]:
        return {HERE}

    async def has_reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        return self.at >= ends[HERE]

    async def read(self) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0.001)
        found, self.at = self.records[self.at : self.end], self.end
        return {HERE: found} if found else {}


def record(offset: int, key: bytes, value: bytes | None) -> Any:
    return SimpleNamespace(offset=offset, partition=0, key=key, value=value)


async def test_the_end_that_a_cut_off_broker_reports_is_not_the_end() -> None:
    written = [record(0, b"other", None), record(1, MARK.key.encode(), encode(MARK)), record(2, END, None)]

    async def ended(places: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(places, 3)

    lander: Any = None
    store, reader = ProgressStore("polling", {}, lander, ended), Reader(written, end=1)
    following = asyncio.create_task(store.follow(reader))  # type: ignore[arg-type]  # what it asks of one
    try:
        await asyncio.sleep(0.05)
        assert reader.at == 1
        assert not store.is_loaded
        reader.end = 3
        async with asyncio.timeout(5):
            await store.wait_until_loaded()
        assert store.watermark("twilio_call", "AC1") == MARK
    finally:
        following.cancel()
        await asyncio.wait([following])


class Producer:
    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bytes | None]] = []

    async def send_all(self, records: list[Any], _: float, *, topic: str) -> None:
        self.sent += [(one.key, one.value) for one in records]


async def test_a_watermark_that_is_saved_before_the_topic_is_read_moves_none_back() -> None:
    async def ended(places: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(places, 1)

    producer: Any = Producer()
    store = ProgressStore("polling", {}, producer, ended)
    reader: Any = Reader([record(0, MARK.key.encode(), encode(MARK)), record(1, MARK.key.encode(), None)], 1)
    earlier = msgspec.structs.replace(MARK, watermark=utc(10**14))
    saving = asyncio.create_task(store.save(earlier))
    following = asyncio.create_task(store.follow(reader))
    try:
        async with asyncio.timeout(5):
            assert await saving == MARK
            assert producer.sent == [(MARK.key.encode(), encode(MARK))]
            await store.remove(MARK)
            assert store.watermark("twilio_call", "AC1") is None
            assert await store.save(earlier) == earlier
            changes = await store.wait_for_change(0)
            reader.end = 2  # another poller has removed it
            await store.wait_for_change(changes)
        assert store.watermark("twilio_call", "AC1") is None
    finally:
        following.cancel()
        await asyncio.wait([following])
