"""A Kafka producer that is given up: closed at once, with nothing more of it on the wire.

The rule of this file: what is left in its buffer was promised to nobody, and must not go out later.
aiokafka's own `stop` would send it. What this leans on of aiokafka's inside is listed in `lanes/ground.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

CLOSE_S = 2.0


async def drop(producer: Any) -> None:
    """Close an AIOKafkaProducer without a flush, in at most CLOSE_S. Never raises."""
    producer._closed = True
    sender = producer._sender.sender_task
    if sender is not None and not sender.done():
        sender.cancel()
    with contextlib.suppress(Exception):  # whatever it is, the producer is gone
        await asyncio.wait_for(producer.client.close(), CLOSE_S)
