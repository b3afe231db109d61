"""What is firing now: reads `calls.alerts.active.v1` from its beginning, and goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from stream.core.events import DecodeError
from stream.kafka.client.connection import Connection
from stream.kafka.errors import KafkaError
from stream.kafka.topic_reader import read_topic
from stream.notify.alert import ReceivedAlert, read_alert

RETRY_S = 1.0

Observer = Callable[[str, ReceivedAlert | None], object]
"""Is told the newest record of a fingerprint; None where it no longer fires."""

log = logging.getLogger("callstream.notify")


class ActiveAlerts:
    """`known` is set as soon as everything that fired when it began has been read."""

    def __init__(self, connection: Connection, topic: str) -> None:
        self._connection = connection
        self._topic = topic
        self.observers: list[Observer] = []
        self.known = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. Raises KafkaError, MissingTopicError."""
        async with read_topic(self._connection, self._topic) as reader:
            ends = await reader.ends()
            while True:
                try:
                    batches = await reader.read()
                except KafkaError as error:
                    if not error.retriable:
                        raise
                    log.warning("alerts cannot be read from Kafka, retrying (%s)", type(error).__name__)
                    await asyncio.sleep(RETRY_S)
                    continue
                for batch in batches.values():
                    for record in batch:
                        self._observe(record.key, record.value)
                if not self.known.is_set() and await reader.has_reached(ends):
                    self.known.set()

    def _observe(self, key: bytes | None, value: bytes | None) -> None:
        try:
            alert = read_alert(value) if value is not None else None
        except DecodeError:
            log.warning("an active alert cannot be read: the topic of alerts has it, too")
            return
        fingerprint = (key or b"").decode(errors="replace")
        for observe in self.observers:
            observe(fingerprint, alert)
