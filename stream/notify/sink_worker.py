"""One sink that is told what has happened: it reads the alerts in a consumer group of its own.

So a sink that is down holds up no other, and what it has not taken stays in Kafka. An offset is committed
when the sink has taken the alert, or when it is a dead letter: at least once. Which offsets behind it are
done is committed with it, so a restart repeats nothing but what was being sent.
A sink that has never committed begins with the alerts of that moment: nobody wants those of the last month.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from stream.core.events import DecodeError
from stream.kafka.client import consumers
from stream.kafka.client.connection import Connection
from stream.kafka.client.offsets import Offsets
from stream.kafka.dead_letters.letter import REDRIVEN_FROM
from stream.kafka.errors import KafkaError
from stream.kafka.partitions import TopicPartition
from stream.notify.alert import ReceivedAlert, read_alert
from stream.notify.firing import Firing
from stream.notify.grouping import Grouping, PendingGroup, TakenAlert
from stream.notify.sinks.sink import REFUSED, TAKEN, Sink, SinkAnswer
from stream.service.log_once import LogOnce
from stream.service.metrics.notify import NotifyMetrics
from stream.service.tables.notify_tables import RouteSetting, SinkSetting

UNFINISHED = 10_000
"""While so many records wait, none are read, and what waits is sent as soon as its route may."""

FETCH_RECORDS = 500
POLL_MS = 500
RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
COMMIT_S = 2.0
START_S = 10.0
"""How long the group may take to name the offsets from which is read."""

REVOKE_S = 5.0
REJOIN_S = 15.0
CLOSE_S = 5.0
LOOK_S = 1.0

log = logging.getLogger("callstream.notify")


WriteDeadLetters = Callable[[Sequence[Any], str, str], Awaitable[None]]
"""Takes records, the reason and the error. Returns when the broker has all of the records."""


class GroupMembership(NamedTuple):
    """Where a sink reads, and as whom."""

    connection: Connection
    topic: str
    group: str
    session_s: float


class SinkWorker:
    """`firing`: what is firing now of what the sink is told, kept up to date by others."""

    def __init__(
        self,
        setting: SinkSetting,
        routes: Sequence[RouteSetting],
        sink: Sink,
        *,
        firing: Firing[str],
        membership: GroupMembership,
        write_dead_letters: WriteDeadLetters,
        metrics: NotifyMetrics,
    ) -> None:
        self.name = setting.name
        self._retry_limit_s = setting.retry_s
        self._sink = sink
        self._firing = firing
        self._at = membership
        self._write_dead_letters = write_dead_letters
        self._metrics = metrics
        self._grouping = Grouping(routes, closes=sink.closes)
        self._consumer: Any = None
        self._offsets: dict[int, Offsets] = {}
        self._next: dict[int, int] = {}
        self._committed: dict[int, tuple[int, str]] = {}
        self._failure: Exception | None = None
        self._came = asyncio.Event()
        self._sending, self._committing = asyncio.Lock(), asyncio.Lock()
        self._outages = LogOnce()
        self._failures = 0
        self.trouble: str | None = None
        """Why the sink does not take notifications; None where it does."""

    async def run(self) -> None:
        """Read and send until cancelled. Raises KafkaError."""
        self._consumer = await consumers.join(
            self._at.connection,
            [self._at.topic],
            group=self._at.group,
            session_s=self._at.session_s,
            rebalance_s=max(self._at.session_s, REJOIN_S),
            revoked=self._revoked,
            assigned=self._assigned,
            fetch_max_wait_ms=POLL_MS,
        )
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._send())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._commit()
            await consumers.leave(self._consumer, CLOSE_S - COMMIT_S)

    # -- reading

    async def _read(self) -> None:
        while True:
            if self._failure is not None:
                raise self._failure
            # Without what an owner before us had taken: it waits here only when it has been read again.
            unfinished = sum(one.undone - one.awaited for one in self._offsets.values())
            self._metrics.waiting(self.name, unfinished)
            self._grouping.crowded = unfinished >= UNFINISHED
            if not self._grouping.crowded:
                await self._fetch()
            else:
                self._came.set()
                await asyncio.sleep(POLL_MS / 1000)
            await self._commit()

    async def _fetch(self) -> None:
        try:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=FETCH_RECORDS)
        except KafkaError as error:
            if not error.retriable:
                raise
            log.warning("alerts cannot be read from Kafka, retrying (%s)", type(error).__name__)
            await asyncio.sleep(RETRY_S)
            return
        # Without an await since the records were fetched: a rebalance comes before or after.
        unreadable, backwards = [], dict[TopicPartition, int]()
        for tp, records in fetched.items():
            for record in records:
                # Before an assignment is complete, records may come that are read again after it.
                if record.offset < self._next.get(tp.partition, record.offset + 1):
                    backwards.setdefault(tp, record.offset)
                    continue
                self._next[tp.partition] = record.offset + 1
                offsets = self._offsets[tp.partition]
                if offsets.take(record.offset):
                    try:
                        self._take(record, offsets)
                    except DecodeError as error:
                        unreadable.append((record, offsets, error))
        if fetched:
            self._came.set()
        for record, offsets, fault in unreadable:
            await self._write_dead_letters([record], fault.reason, fault.detail)
            offsets.done(record.offset)
        await self._read_new_topic({tp: at for tp, at in backwards.items() if tp.partition in self._next})

    async def _read_new_topic(self, backwards: Mapping[TopicPartition, int]) -> None:
        """Read on from offsets before those that were read, where the topic was deleted and made again.

        Where it was not, the broker that answered is behind, and all of that is done.
        """
        before = self._next
        ends = await self._consumer.end_offsets(list(backwards)) if backwards else {}
        for tp, end in ends.items():
            if self._next is before and end < self._next[tp.partition]:
                log.warning("%s/%d is shorter than it was: it is read anew", *tp)
                self._consumer.seek(tp, backwards[tp])
                self._offsets[tp.partition], self._next[tp.partition] = Offsets(), backwards[tp]

    def _take(self, record: Any, offsets: Offsets) -> None:
        """Raises DecodeError."""
        alert = read_alert(record.value)
        taken = TakenAlert(alert, record, lambda: offsets.done(record.offset))
        is_redriven = any(name == REDRIVEN_FROM for name, _ in record.headers)
        if not is_redriven:
            self._firing.hear(alert)
        is_over = is_redriven and self._is_over(alert)
        result = "repeated" if is_over else self._grouping.add(taken, time.monotonic())
        if result != "waiting":
            taken.done()
        if result == "repeated":
            self._metrics.alerts(self.name, result)

    def _is_over(self, alert: ReceivedAlert) -> bool:
        """Whether a dead letter that was written back would open what nothing will close any more."""
        return self._sink.closes and alert.is_firing and not self._firing.is_firing(alert.fingerprint)

    # -- sending

    async def _send(self) -> None:
        while True:
            async with self._sending:
                pending = self._grouping.take_due(time.monotonic())
                wait_s = None if pending is None else await self._hand_over(pending)
            if wait_s is None:
                await self._until_due()
            elif wait_s:
                await asyncio.sleep(wait_s)

    async def _until_due(self) -> None:
        """Until a group may be due: alerts have come, or its time has."""
        self._came.clear()
        next_s = self._grouping.next_s()
        wait_s = LOOK_S if next_s is None else next_s - time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(LOOK_S, max(wait_s, 0.01))):
                await self._came.wait()

    async def _hand_over(self, pending: PendingGroup) -> float:
        """Send one notification. Returns how long to wait before the next."""
        owned = self._offsets
        try:
            answer = await self._sink.send(pending.notification(self._firing))
        except Exception as error:  # a fault of ours: with a restart it would come again
            log.exception("a notification could not be made")
            answer = SinkAnswer(REFUSED, type(error).__name__)
        if answer.outcome != TAKEN and self._offsets is not owned:
            return 0.0  # revoked meanwhile: the next owner reads them again
        now_s = time.monotonic()
        ok, refused = answer.outcome == TAKEN, answer.outcome == REFUSED
        self._metrics.requested(self.name, pending.route.name, ok=ok, refused=refused)
        if answer.outcome == TAKEN:
            self._grouping.sent(pending, now_s)
            await self._done(pending, "sent")
            self._recovered(now_s)
            return 0.0
        if pending.tried_s is None:
            pending.tried_s, pending.tried = now_s, len(pending.taken)
        gave_up = now_s - pending.tried_s >= self._retry_limit_s
        if answer.outcome == REFUSED:
            await self._bury(pending, answer)
            return 0.0
        if gave_up:
            later = pending.taken[pending.tried :]
            del pending.taken[pending.tried :]
            await self._bury(pending, answer)
            if not later or self._offsets is not owned:
                return 0.0
            pending.taken, pending.tried_s = later, None
        self._grouping.put_back(pending)
        return self._failed(answer, now_s)

    async def _bury(self, pending: PendingGroup, answer: SinkAnswer) -> None:
        """Make its alerts dead letters."""
        why = f"the sink {self.name} answered {answer.why}"
        await self._write_dead_letters([one.record for one in pending.taken], "undeliverable", why)
        log.error("%s: %d alerts are dead letters", why, len(pending.taken))
        self._grouping.given_up(pending)
        await self._done(pending, "dead_lettered")

    async def _done(self, pending: PendingGroup, result: str) -> None:
        for one in pending.taken:
            one.done()
        self._metrics.alerts(self.name, result, len(pending.taken))
        # At once: what a crash leaves uncommitted is sent again.
        await self._commit()

    def _failed(self, answer: SinkAnswer, now_s: float) -> float:
        """How long to wait: longer after each failure, and as long as the sink asks for."""
        if self._outages.failed(self.name, answer.why, now_s):
            log.warning("the sink %s does not take notifications (%s): retrying", self.name, answer.why)
        self.trouble = answer.why
        backoff_s = min(RETRY_S * 2.0**self._failures, LONGEST_RETRY_S) * random.uniform(0.8, 1.2)
        self._failures = min(self._failures + 1, 10)
        return max(backoff_s, answer.retry_s)

    def _recovered(self, now_s: float) -> None:
        if self._outages.succeeded(self.name, now_s):
            log.info("the sink %s takes notifications again", self.name)
        self.trouble, self._failures = None, 0

    # -- offsets

    async def _commit(self) -> None:
        """Commit what is done. If the group refuses, the next owner sends it again."""
        try:
            async with asyncio.timeout(COMMIT_S), self._committing:
                if found := self._committable():
                    await self._consumer.commit({self._tp(number): one for number, one in found.items()})
                    self._committed.update(found)
        except (KafkaError, TimeoutError) as error:
            log.debug("offsets were not committed (%s)", type(error).__name__)

    def _committable(self) -> dict[int, tuple[int, str]]:
        found = {}
        for number, offsets in self._offsets.items():
            at, metadata = offsets.position() or 0, offsets.metadata()
            if not offsets.undone:
                # Not before what an owner before us has done, although we have not read it again.
                at = max(at, self._next[number])
            if (at, metadata) != self._committed.get(number):
                found[number] = at, metadata
        return found

    def _tp(self, number: int) -> TopicPartition:
        return TopicPartition(self._at.topic, number)

    async def _revoked(self) -> None:
        """All partitions are revoked; they may be assigned again."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(REVOKE_S):
                    # Until all is forgotten: what was sent during the commit would be sent again.
                    await stack.enter_async_context(self._sending)
            except TimeoutError:
                log.debug("a notification is still being sent: the next owner sends it again")
            await self._commit()
            self._grouping.forget()
            self._offsets, self._next, self._committed = {}, {}, {}
            self.trouble, self._failures = None, 0
            self._metrics.nothing_waits(self.name)

    async def _assigned(self, owned: frozenset[int]) -> None:
        try:
            async with asyncio.timeout(START_S):
                await self._begin([self._tp(number) for number in owned])
        except Exception as error:  # noqa: BLE001  raised by the task: aiokafka would log it and go on
            self._failure = error

    async def _begin(self, partitions: Sequence[TopicPartition]) -> None:
        """Go on where the owner before us was; at a partition's end if there was none."""
        known = await consumers.committed(self._consumer, partitions)
        new = [tp for tp in partitions if tp not in known]
        ends = await self._consumer.end_offsets(new) if new else {}
        for tp, (at, metadata) in {**known, **{tp: (end, "") for tp, end in ends.items()}}.items():
            self._consumer.seek(tp, at)
            self._next[tp.partition] = at
            self._offsets[tp.partition] = Offsets.restored(at, metadata)
        await self._commit()
