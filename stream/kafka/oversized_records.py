"""Records that their topic takes no more, into the dead letters: at once, with the reason, and nothing lost.

The rule of this file: no retry mends a topic's limit, so there is none; what is told as landed is in Kafka,
there or here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from stream.kafka.acked_producer import Headers, Landable, TooLargeError
from stream.kafka.envelope_codec import LETTER_LIMIT_BYTES, dead_letter_headers

REASON = "too_large"

SMALL_LETTER_BYTES = 32 << 10
"""What is left of a value where the dead letters, too, take less than they are made for."""

log = logging.getLogger("callstream.lander")


class Lands(Protocol):
    """A `Lander`."""

    async def land(
        self, records: Sequence[Landable], limit_s: float, *, topic: str | None = None, headers: Headers = ()
    ) -> None: ...


class _Letter(NamedTuple):
    key: bytes | None
    value: bytes | None


class SetsAside:
    """A lander for which no record is too large.

    - `topic`: where a record goes if nothing else is said.
    - `stage`: of the dead letters from here.
    - `told`: of each record that was set aside.
    """

    def __init__(
        self, lander: Lands, *, topic: str, dead_letters: str, stage: str, told: Callable[[Landable], None]
    ) -> None:
        self._lander = lander
        self._topic = topic
        self._dead_letters = dead_letters
        self._stage = stage
        self._told = told

    async def land(
        self, records: Sequence[Landable], limit_s: float, *, topic: str | None = None, headers: Headers = ()
    ) -> None:
        """Returns when the broker has all of them. Raises NoRoomError, NotLandedError."""
        began = time.monotonic()
        try:
            await self._lander.land(records, limit_s, topic=topic, headers=headers)
        except TooLargeError as error:
            to = topic or self._topic
            log.warning("a record becomes a dead letter: %s", error)
            for one in error.refused:
                left_s = max(0.0, began + limit_s - time.monotonic())
                if to == self._dead_letters:
                    await self._land_cut(one, SMALL_LETTER_BYTES, left_s, headers)
                else:
                    await self._set_aside(one, str(error), to, left_s, headers)

    async def _set_aside(
        self, one: Landable, error: str, topic: str, limit_s: float, headers: Headers
    ) -> None:
        why = dead_letter_headers(REASON, self._stage, error, topic, -1, -1, headers)
        try:
            await self._land_cut(one, LETTER_LIMIT_BYTES, limit_s, why)
        except TooLargeError:
            await self._land_cut(one, SMALL_LETTER_BYTES, limit_s, why)
        self._told(one)

    async def _land_cut(self, one: Landable, most_bytes: int, limit_s: float, headers: Headers) -> None:
        value = one.value
        if value is not None and len(value) > most_bytes:
            headers = [*headers, ("truncated", b"%d" % len(value))]
            value = value[:most_bytes]
        letter = _Letter(one.key, value)
        await self._lander.land([letter], limit_s, topic=self._dead_letters, headers=headers)
