"""Records that are too large for their topic become dead letters, with the reason.

No retry helps against a topic's limit, so there is none. A record that is reported as sent is in Kafka: in
its topic or in the dead letters.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stream.kafka.acked_producer import AckedProducer, Headers, OutgoingRecord, RecordTooLargeError
from stream.kafka.envelope_codec import LETTER_LIMIT_BYTES, dead_letter_headers

REASON = "too_large"

SMALL_LETTER_BYTES = 32 << 10
"""How much of a value is kept where the dead letters, too, take less than callstream creates them for."""

log = logging.getLogger("callstream.producer")


class _Letter(NamedTuple):
    key: bytes | None
    value: bytes | None


class DeadLetteringProducer:
    """A producer for which no record is too large.

    - `topic`: of records unless a call names another; `dead_letters`: the topic of those that are too large.
    - `stage`: as the dead letters name it.
    - `dead_lettered`: called with each record that became a dead letter.
    """

    def __init__(
        self,
        producer: AckedProducer,
        *,
        topic: str,
        dead_letters: str,
        stage: str,
        dead_lettered: Callable[[OutgoingRecord], None],
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._dead_letters = dead_letters
        self._stage = stage
        self._dead_lettered = dead_lettered

    async def send_all(
        self,
        records: Sequence[OutgoingRecord],
        limit_s: float,
        *,
        topic: str | None = None,
        headers: Headers = (),
    ) -> None:
        """Returns when the broker has all of them. Raises BufferFullError, NotAcknowledgedError."""
        began = time.monotonic()
        try:
            await self._producer.send_all(records, limit_s, topic=topic, headers=headers)
        except RecordTooLargeError as error:
            to = topic or self._topic
            log.warning("a record becomes a dead letter: %s", error)
            for one in error.refused:
                left_s = max(0.0, began + limit_s - time.monotonic())
                if to == self._dead_letters:
                    await self._send_cut(one, SMALL_LETTER_BYTES, left_s, headers)
                else:
                    await self._dead_letter(one, str(error), to, left_s, headers)

    async def _dead_letter(
        self, one: OutgoingRecord, error: str, topic: str, limit_s: float, headers: Headers
    ) -> None:
        why = dead_letter_headers(REASON, self._stage, error, topic, -1, -1, headers)
        try:
            await self._send_cut(one, LETTER_LIMIT_BYTES, limit_s, why)
        except RecordTooLargeError:
            await self._send_cut(one, SMALL_LETTER_BYTES, limit_s, why)
        self._dead_lettered(one)

    async def _send_cut(self, one: OutgoingRecord, most_bytes: int, limit_s: float, headers: Headers) -> None:
        value = one.value
        if value is not None and len(value) > most_bytes:
            headers = [*headers, ("truncated", b"%d" % len(value))]
            value = value[:most_bytes]
        letter = _Letter(one.key, value)
        await self._producer.send_all([letter], limit_s, topic=self._dead_letters, headers=headers)
