"""A store is ready when it has read what the topic's true leader has, not what a former one says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from stream.core.timestamps import utc
from stream.poller.schedule.progress import Watermark, encoded
from stream.poller.schedule.progress_store import END, ProgressStore

HERE = TopicPartition("polling", 0)
MARK = Watermark(source="twilio_call", account="AC1", watermark=utc(10**15), read_at=utc(10**15), by="one")


class Consumer:
    """One partition. Its broker was cut off: it has records up to `end`, and says so, until it is healed."""

    def __init__(self, records: list[Any], end: int) -> None:
        self.records, self.end = records, end
        self.at = 0

    def assignment(self) -> set[TopicPartition]:
        return {HERE}

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {HERE: self.end}

    async def position(self, place: TopicPartition) -> int:
        return self.at

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0.001)
        found, self.at = self.records[self.at : self.end], self.end
        return {HERE: found} if found else {}


def record(offset: int, key: bytes, value: bytes | None) -> Any:
    return SimpleNamespace(offset=offset, partition=0, key=key, value=value)


async def test_the_end_that_a_broker_names_which_was_cut_off_is_not_the_end() -> None:
    written = [record(0, b"other", None), record(1, MARK.key.encode(), encoded(MARK)), record(2, END, None)]

    async def ended(places: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(places, 3)

    lander: Any = None
    store, consumer = ProgressStore("polling", {}, lander, ended), Consumer(written, end=1)
    following = asyncio.create_task(store._follow(consumer))  # type: ignore[arg-type]  # what it asks of one
    try:
        await asyncio.sleep(0.05)
        assert consumer.at == 1
        assert not store._read.is_set()
        consumer.end = 3
        async with asyncio.timeout(5):
            await store.ready()
        assert store.watermark("twilio_call", "AC1") == MARK
    finally:
        following.cancel()
        await asyncio.wait([following])
