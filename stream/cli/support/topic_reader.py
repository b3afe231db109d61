"""Reading a topic for a person: committed records only, from the end or from the beginning, without a
group.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from stream.kafka import clients, consumers


async def records(
    bootstrap: str, topic: str, *, from_beginning: bool = False, follow: bool = True
) -> AsyncIterator[ConsumerRecord]:
    """Records of `topic` as they come; without `follow` until what is there now was read."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest" if from_beginning else "latest",
        group_id=None,
    )
    clients.tidy(consumer._client)
    try:
        await consumer.start()
        ends = await consumer.end_offsets(consumer.assignment())
        while True:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                for record in batch:
                    yield record
            if not follow and await _read_all(consumer, ends):
                return
    finally:
        await consumers.leave(consumer)


async def _read_all(consumer: AIOKafkaConsumer, ends: dict[object, int]) -> bool:
    for place, end in ends.items():
        if await consumer.position(place) < end:
            return False
    return True
