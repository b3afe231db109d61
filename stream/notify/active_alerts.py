"""What is firing now: reads `calls.alerts.active.v1` from its beginning, and goes on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from stream.core.events import DecodeError
from stream.kafka.client.connection import Connection
from stream.kafka.errors import KafkaError
from stream.kafka.topic_reader import ConsumerRecord, TopicReader, read_topic
from stream.notify.alert import ReceivedAlert, read_alert

RETRY_S = 1.0
CHECK_S = 30.0
"""How often is asked whether the topic was deleted and made again."""

Observer = Callable[[str, ReceivedAlert | None], object]
"""Is told the newest record of a fingerprint; None where it no longer fires."""

log = logging.getLogger("callstream.notify")


class ActiveAlerts:
    """`known` is set as soon as everything that fired when it began has been read."""

    def __init__(self, connection: Connection, topic: str) -> None:
        self._connection = connection
        self._topic = topic
        self._told: set[str] = set()
        self.observers: list[Observer] = []
        self.known = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. Raises KafkaError."""
        while True:
            try:
                async with read_topic(self._connection, self._topic) as reader:
                    await self._follow(reader)
                log.warning("%s was deleted and made again: it is read anew", self._topic)
            except (KafkaError, OSError) as error:
                if isinstance(error, KafkaError) and not error.retriable:
                    raise
                log.warning("alerts cannot be read from Kafka, retrying (%s)", type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _follow(self, reader: TopicReader) -> None:
        """Until the topic is another one. Raises KafkaError, OSError."""
        id_, ends = await reader.topic_id(self._topic), await reader.ends()
        check_s = time.monotonic() + CHECK_S
        newest: dict[str, ReceivedAlert | None] | None = {}
        while True:
            for batch in (await reader.read()).values():
                for record in batch:
                    if (found := _alert_in(record)) is None:
                        continue
                    if newest is None:
                        self._tell(*found)
                    else:
                        newest[found[0]] = found[1]
            if newest is not None and await reader.has_reached(ends):
                # What fired in an earlier topic, and is not in this one, has ended.
                for fingerprint, alert in {**dict.fromkeys(self._told), **newest}.items():
                    self._tell(fingerprint, alert)
                newest = None
                self.known.set()
            if time.monotonic() >= check_s:
                check_s = time.monotonic() + CHECK_S
                found_id = await reader.topic_id(self._topic)
                id_ = id_ or found_id
                if found_id not in (id_, None):
                    return

    def _tell(self, fingerprint: str, alert: ReceivedAlert | None) -> None:
        if alert is None:
            self._told.discard(fingerprint)
        else:
            self._told.add(fingerprint)
        for observe in self.observers:
            observe(fingerprint, alert)


def _alert_in(record: ConsumerRecord) -> tuple[str, ReceivedAlert | None] | None:
    """Its fingerprint and the alert, None where it no longer fires."""
    try:
        alert = read_alert(record.value) if record.value is not None else None
    except DecodeError:
        log.warning("an active alert cannot be read: the topic of alerts has it, too")
        return None
    return (record.key or b"").decode(errors="replace"), alert
