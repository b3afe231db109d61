"""A Kafka consumer that is given up: closed at once, without a word to its group.

The rule of this file: the group finds out by itself, when the session times out. aiokafka's own `stop` waits
for a join that is under way, and for a coordinator that is not there. What this leans on of aiokafka's inside
is listed in `lanes/ground.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

CLOSE_S = 2.0


async def drop(consumer: Any) -> None:
    """Close an AIOKafkaConsumer without commit or farewell, in at most CLOSE_S. Never raises."""
    consumer._closed = True
    with contextlib.suppress(Exception):  # whatever it is, the consumer is gone
        await asyncio.wait_for(_closed(consumer), CLOSE_S)


async def _closed(consumer: Any) -> None:
    coordinator = consumer._coordinator
    if coordinator is not None:
        tasks = [
            task
            for task in (
                coordinator._coordination_task,
                coordinator._heartbeat_task,
                coordinator._commit_refresh_task,
            )
            if task is not None
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if consumer._fetcher is not None:
        await consumer._fetcher.close()
    await consumer._client.close()
