"""A reader of topics without Kafka."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from stream.kafka.partitions import TopicPartition


class FoundRecord(NamedTuple):
    topic: str
    key: bytes | None
    value: bytes | None
    partition: int = 0
    offset: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


class FakeReader:
    """Reads these records, some at a time."""

    def __init__(self, records: Iterable[FoundRecord]) -> None:
        self._records = iter(records)

    async def __aenter__(self) -> FakeReader:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self, timeout_ms: int) -> dict[TopicPartition, list[FoundRecord]]:
        await asyncio.sleep(0.001)
        found = defaultdict(list)
        for _, record in zip(range(50), self._records, strict=False):
            found[TopicPartition(record.topic, record.partition)].append(record)
        return found

    async def ends(self) -> None:
        pass
