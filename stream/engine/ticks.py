"""Ticks: time comes to the fold as data. A partition gets one in each second in which something is due there.

A broker that is away costs ticks and nothing else. A tick that was sent twice or late does no harm: stream
time only moves forward.
The ticks of a second share a request. Where they find much, each partition has its own slot within the
second, so that not all of them settle calls at once. One whose last tick left something due gets another in
the next slot. Every few seconds all partitions get one, as a heartbeat: it shows that each takes records, and
how old what is done there is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence, Set
from datetime import UTC, datetime
from typing import Any

from stream.engine.batch import Batch
from stream.kafka.client.producers import drop
from stream.service.errors import describe

SLOTS = 6
"""Slots within a second."""
MUCH = 200
"""Due calls that are looked at together: 20 ms in which the event loop does little else."""
HEARTBEAT_S = 5.0
"""Well below what `/readyz` allows (10 s)."""
LONGEST_S = 10.0
"""A tick that is not acknowledged by then is given up, and its producer with it."""
REST_S = 2.0

log = logging.getLogger("callstream.lanes")


def slots_between(last: int, now: int) -> set[int]:
    """The slots within a second that came after the `last` one up to `now`, both counted since 1970."""
    return {slot % SLOTS for slot in range(max(last + 1, now - SLOTS + 1), now + 1)}


def count_slots(seconds: float) -> int:
    """How many slots there were since 1970."""
    return int(seconds * SLOTS)


class TickSchedule:
    """Which partitions want a tick, and when: told by their lanes after each commit."""

    def __init__(self) -> None:
        self._unfinished: set[int] = set()
        self._due_s: dict[int, int | None] = {}
        self._found: dict[int, int] = {}
        self._heartbeat_s = 0.0

    def note(self, number: int, made: Batch) -> None:
        """What a partition's last batch says of ticks."""
        self._due_s[number] = made.due_s
        if made.unfinished:
            self._unfinished.add(number)
        if made.ticked:
            self._found[number] = made.ticked

    def forget(self) -> None:
        """The partitions were revoked."""
        self._unfinished.clear()
        self._due_s.clear()
        self._found.clear()
        self.want_heartbeat()

    def want_heartbeat(self) -> None:
        """All partitions get a tick in the next round."""
        self._heartbeat_s = 0.0

    def take(self, numbers: Sequence[int], slots: Set[int], now_s: float) -> list[int]:
        """Those of `numbers` that get a tick in one of these slots."""
        if numbers and not 0 <= now_s - self._heartbeat_s < HEARTBEAT_S:
            self._heartbeat_s = now_s
            taken = list(numbers)
        else:
            spread = sum(self._found.values()) > MUCH
            taken = [
                number
                for number in numbers
                if number in self._unfinished
                or ((number % SLOTS if spread else 0) in slots and self._is_due(number, now_s))
            ]
        self._unfinished.difference_update(taken)
        return taken

    def _is_due(self, number: int, now_s: float) -> bool:
        due_s = self._due_s.get(number, 0)  # nothing is known before the first batch: a tick will tell
        return due_s is not None and due_s <= now_s


class Ticker:
    """Sends ticks to `topic`.

    - `open_producer`: a started idempotent producer.
    - `numbers`: the partitions that are running; `schedule` says which of them get a tick now.
    - `acknowledged`: told of each tick that the broker took; `failed` of a producer that was given up.
    """

    def __init__(
        self,
        topic: str,
        open_producer: Callable[[], Awaitable[Any]],
        numbers: Callable[[], Sequence[int]],
        schedule: TickSchedule,
        *,
        acknowledged: Callable[[int], None],
        failed: Callable[[], None],
    ) -> None:
        self._topic = topic
        self._open_producer = open_producer
        self._numbers = numbers
        self._schedule = schedule
        self._acknowledged = acknowledged
        self._failed = failed

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            producer = None
            try:
                producer = await asyncio.wait_for(self._open_producer(), LONGEST_S)
                await self._tick(producer)
            except Exception as error:  # noqa: BLE001 - no broker, or a producer that no longer works
                log.warning("ticks: %s", describe(error))
                self._failed()
                await asyncio.sleep(REST_S)
            finally:
                if producer is not None:
                    await drop(producer)  # unsent ticks are not worth waiting for

    async def _tick(self, producer: Any) -> None:
        pending = PendingTicks(self._acknowledged, time.monotonic)
        self._schedule.want_heartbeat()
        last = count_slots(datetime.now(UTC).timestamp())
        while True:
            now_s = datetime.now(UTC).timestamp()
            await asyncio.sleep((count_slots(now_s) + 1) / SLOTS - now_s)
            now_s = datetime.now(UTC).timestamp()
            now = count_slots(now_s)
            numbers = self._schedule.take(self._numbers(), slots_between(last, now), now_s)
            last = now
            pending.check()
            if numbers := pending.without(numbers):
                await asyncio.wait_for(self._send(producer, numbers, pending), LONGEST_S)

    async def _send(self, producer: Any, numbers: Sequence[int], pending: PendingTicks) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        value = b'{"v":1,"now":"%s"}' % now.encode()
        for number in numbers:
            pending.add(number, await producer.send(self._topic, value=value, partition=number))


class PendingTicks:
    """Ticks that are not acknowledged yet, at most one of a partition. `clock` in seconds.

    A partition without a leader costs its own ticks and no other's.
    """

    def __init__(self, acknowledged: Callable[[int], None], clock: Callable[[], float]) -> None:
        self._acknowledged = acknowledged
        self._clock = clock
        self._sent: dict[int, tuple[float, asyncio.Future[Any]]] = {}

    def without(self, numbers: Sequence[int]) -> list[int]:
        """Those of `numbers` that have no pending tick."""
        return [number for number in numbers if number not in self._sent]

    def add(self, number: int, sent: asyncio.Future[Any]) -> None:
        """A tick of a partition was sent."""
        self._sent[number] = self._clock(), sent
        sent.add_done_callback(lambda done: self._done(number, done))

    def _done(self, number: int, done: asyncio.Future[Any]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._sent.pop(number, None)
            self._acknowledged(number)

    def check(self) -> None:
        """Raises what a tick failed with, TimeoutError where one is pending for too long."""
        for since, sent in self._sent.values():
            if sent.done():
                sent.result()
            if self._clock() - since > LONGEST_S:
                raise TimeoutError
