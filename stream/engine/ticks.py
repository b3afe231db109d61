"""A tick a second to each partition at work: time comes to the fold as data.

The rule of this file: a broker that is away costs ticks, nothing else.
A tick that was sent twice or late does no harm: stream time only goes forward.
Partitions where something is due have each its own place within the second, so that not all of them settle
calls at once; one whose last tick left something due gets another in the next place. The others, which is all
of them where there is little to do, get theirs in one request.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer

from stream.kafka import request_limits
from stream.kafka.producers import drop
from stream.service.errors import said

PLACES = 12
"""Places within a second: one for each partition of the default number."""
LONGEST_S = 10.0
"""A tick that is not acknowledged by then is given up, and its producer with it."""
REST_S = 2.0

log = logging.getLogger("callstream.lanes")


def places_between(last: int, now: int) -> set[int]:
    """The places within a second that came after the `last` one up to `now`, both counted since 1970."""
    return {place % PLACES for place in range(max(last + 1, now - PLACES + 1), now + 1)}


def count_places(seconds: float) -> int:
    """How many places there were since 1970."""
    return int(seconds * PLACES)


class Wants:
    """Which partitions want a tick, and when: told by their lanes after each commit."""

    def __init__(self) -> None:
        self._unfinished: set[int] = set()
        self._due_s: dict[int, int | None] = {}

    def note(self, number: int, due_s: int | None, *, unfinished: bool) -> None:
        """Something is due in the partition from this second on, None for nothing. `unfinished`: a tick left
        something due.
        """
        self._due_s[number] = due_s
        if unfinished:
            self._unfinished.add(number)

    def forget(self) -> None:
        """The partitions are another's."""
        self._unfinished.clear()
        self._due_s.clear()

    def take(self, numbers: Sequence[int], places: Set[int], now_s: float) -> list[int]:
        """Those of `numbers` that get a tick in one of these places."""
        taken = [number for number in numbers if self._is_wanted(number, places, now_s)]
        self._unfinished.difference_update(taken)
        return taken

    def _is_wanted(self, number: int, places: Set[int], now_s: float) -> bool:
        if number in self._unfinished:
            return True
        due_s = self._due_s.get(number)
        has_due = due_s is not None and due_s <= now_s
        return (number % PLACES if has_due else 0) in places


class Ticker:
    """Sends ticks to `topic` for the partitions that `numbers` names.

    `wants` says which of them it is the turn of. The callbacks are told what became of a round.
    """

    def __init__(
        self,
        topic: str,
        connection: Mapping[str, Any],
        numbers: Callable[[], Sequence[int]],
        wants: Wants,
        acknowledged: Callable[[int], None],
        failed: Callable[[], None],
    ) -> None:
        self._topic = topic
        self._connection = connection
        self._numbers = numbers
        self._wants = wants
        self._acknowledged = acknowledged
        self._failed = failed

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            producer = AIOKafkaProducer(
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
                **request_limits.PRODUCER,
                **self._connection,
            )
            request_limits.steer(producer.client)
            try:
                await asyncio.wait_for(producer.start(), LONGEST_S)
                waiting = Waiting(self._acknowledged, time.monotonic)
                last = count_places(datetime.now(UTC).timestamp())
                while True:
                    now_s = datetime.now(UTC).timestamp()
                    await asyncio.sleep((count_places(now_s) + 1) / PLACES - now_s)
                    now_s = datetime.now(UTC).timestamp()
                    now = count_places(now_s)
                    numbers = self._wants.take(self._numbers(), places_between(last, now), now_s)
                    last = now
                    waiting.check()
                    await asyncio.wait_for(
                        self._round(producer, waiting.without(numbers), waiting), LONGEST_S
                    )
            except Exception as error:  # noqa: BLE001 - no broker, or a producer that is of no more use
                log.warning("ticks: %s", said(error))
                self._failed()
                await asyncio.sleep(REST_S)
            finally:
                await drop(producer)  # unsent ticks are not worth waiting for

    async def _round(self, producer: Any, numbers: Sequence[int], waiting: Waiting) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        value = b'{"v":1,"now":"%s"}' % now.encode()
        for number in numbers:
            waiting.add(number, await producer.send(self._topic, value=value, partition=number))


class Waiting:
    """Ticks that are not acknowledged yet, at most one of a partition. `clock` in seconds.

    A partition without a leader costs its own ticks and no other's.
    """

    def __init__(self, acknowledged: Callable[[int], None], clock: Callable[[], float]) -> None:
        self._acknowledged = acknowledged
        self._clock = clock
        self._sent: dict[int, tuple[float, asyncio.Future[Any]]] = {}

    def without(self, numbers: Sequence[int]) -> list[int]:
        """Those of `numbers` that wait for nothing."""
        return [number for number in numbers if number not in self._sent]

    def add(self, number: int, sent: asyncio.Future[Any]) -> None:
        """A tick of a partition went out."""
        self._sent[number] = self._clock(), sent
        sent.add_done_callback(lambda done: self._done(number, done))

    def _done(self, number: int, done: asyncio.Future[Any]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._sent.pop(number, None)
            self._acknowledged(number)

    def check(self) -> None:
        """Raises what a tick failed with, TimeoutError where one waits for too long."""
        for since, sent in self._sent.values():
            if sent.done():
                sent.result()
            if self._clock() - since > LONGEST_S:
                raise TimeoutError
