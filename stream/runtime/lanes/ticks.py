"""A tick a second to each partition at work: time comes to the fold as data.

The rule of this file: a broker that is away costs ticks, nothing else.
A tick that was sent twice or late does no harm: stream time only goes forward.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer

from stream.runtime.errors import said
from stream.runtime.producers import drop

EVERY_S = 1.0
LONGEST_S = 20.0
"""A round of ticks that is not acknowledged by then is given up, and its producer with it."""
REST_S = 2.0

log = logging.getLogger("callstream.lanes")


class Ticker:
    """Sends ticks to `topic` for the partitions that `numbers` names.

    The callbacks are told what became of a round.
    """

    def __init__(
        self,
        topic: str,
        connection: Mapping[str, Any],
        numbers: Callable[[], Sequence[int]],
        acknowledged: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self._topic = topic
        self._connection = connection
        self._numbers = numbers
        self._acknowledged = acknowledged
        self._failed = failed

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            producer = AIOKafkaProducer(
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
                request_timeout_ms=10_000,
                **self._connection,
            )
            try:
                await asyncio.wait_for(producer.start(), LONGEST_S)
                while True:
                    await asyncio.sleep(EVERY_S - datetime.now(UTC).timestamp() % EVERY_S)
                    await asyncio.wait_for(self._round(producer), LONGEST_S)
            except Exception as error:  # noqa: BLE001 - no broker, or a producer that is of no more use
                log.warning("ticks: %s", said(error))
                self._failed()
                await asyncio.sleep(REST_S)
            finally:
                await drop(producer)  # unsent ticks are not worth waiting for

    async def _round(self, producer: Any) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        value = b'{"v":1,"now":"%s"}' % now.encode()
        sent = [await producer.send(self._topic, value=value, partition=number) for number in self._numbers()]
        for result in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        if sent:
            self._acknowledged()
