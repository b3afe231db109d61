"""The poller's member of the group that reads the fetches topic.

The worker writes all requests of an account to one partition, so the member that is assigned a partition owns
the accounts of that partition: their requests, windows, backfills and rate limits. Another member takes over
within the session timeout.

An offset is committed when nothing before it is undone, together with which offsets behind it are undone.
What was not answered is read again by the next owner. A rebalance is eager: every member stops and commits,
then each is assigned its partitions.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from stream.core.events import DecodeError
from stream.kafka import topics
from stream.kafka.access import poller_group
from stream.kafka.client import consumers
from stream.kafka.client.connection import connection
from stream.kafka.client.offsets import Offsets
from stream.kafka.envelope_codec import dead_letter_headers
from stream.kafka.errors import KafkaError
from stream.kafka.partitions import TopicPartition, partition_of
from stream.poller.on_demand.dispatcher import FetchDispatcher
from stream.poller.on_demand.fetch_codec import read_request
from stream.poller.on_demand.pending import PendingRequest
from stream.poller.pages.polled_writer import PolledWriter
from stream.service.metrics.poller import PollerMetrics
from stream.service.settings import PollerSettings

UNFINISHED = 20_000
"""While this many records are taken and not done, none are fetched."""

FETCH_RECORDS = 500
COMMIT_EVERY_S = 1.0
COMMIT_S = 2.0
REVOKE_S = 5.0
"""How long in-flight reads and results have when partitions are revoked."""

REJOIN_S = 15.0
"""How long the group waits for a member to rejoin: REVOKE_S, a commit, and a margin."""

CLOSE_S = 5.0
POLL_MS = 500
FULL_S = 0.1
RETRY_S = 1.0

STAGE = "fetch"
UNKNOWN_SOURCE = "unknown"

FORWARDED = "forwarded"
"""The header of a request that was written to another partition than the worker's."""

OnAssignment = Callable[[frozenset[int], int], Awaitable[None]]

log = logging.getLogger("callstream.poller.fetches")


class FetchRequestConsumer:
    """One member of the pollers' group.

    `on_assignment(owned, partitions)` is awaited with the partition numbers that are ours and how many there
    are, before a request is taken; and with none while they are revoked. It has REVOKE_S; if it raises or
    takes longer, the member ends.
    `confirmed(until_s)`: the group knows this member; it gives its partitions to no other before `until_s`
    (monotonic).
    """

    def __init__(
        self,
        settings: PollerSettings,
        dispatcher: FetchDispatcher,
        writer: PolledWriter,
        *,
        on_assignment: OnAssignment,
        confirmed: Callable[[float], None],
        metrics: PollerMetrics,
        unfinished: int = UNFINISHED,
    ) -> None:
        self._topic = topics.names(settings.topic_prefix).fetches
        self._settings = settings
        self._dispatcher = dispatcher
        self._writer = writer
        self._on_assignment = on_assignment
        self._confirmed = confirmed
        self._metrics = metrics
        self._unfinished = unfinished
        self._consumer: Any = None
        self._partitions = settings.partitions
        self._offsets: dict[int, Offsets] = {}
        self._committed: dict[int, tuple[int, str]] = {}
        self._committing = asyncio.Lock()
        self._is_assigned = False
        self._closing = False
        self._failure: Exception | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> asyncio.Task[None]:
        """Join the group. The returned task ends with `close`, or with the error that made it fail; then too
        `close` gives the partitions back.

        Raises KafkaError.
        """
        self._consumer = await consumers.join(
            connection(self._settings, "poller", partitions=self._settings.partitions),
            [self._topic],
            group=poller_group(self._settings.topic_prefix),
            session_s=self._settings.session_timeout_s,
            rebalance_s=max(self._settings.session_timeout_s, REJOIN_S),
            revoked=self._revoked,
            assigned=self._assigned,
            fetch_max_wait_ms=POLL_MS,
        )
        session_s = self._settings.session_timeout_s
        consumers.on_heartbeat(self._consumer, lambda sent_s: self._confirmed(sent_s + session_s))
        self._running = asyncio.create_task(self._run(), name="the fetch requests")
        return self._running

    async def close(self, limit_s: float = CLOSE_S) -> None:
        """Cancel in-flight reads, commit what is done, leave the group. After `start`, once."""
        self._closing = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        await self._stop(limit_s * 0.5)
        await self._commit(limit_s * 0.2)
        await consumers.leave(self._consumer, limit_s * 0.2)

    # -- records

    async def _run(self) -> None:
        commit_at = 0.0
        while True:
            if self._failure is not None:
                raise self._failure
            if self._dispatcher.unfinished < self._unfinished:
                await self._fetch()
            else:
                await asyncio.sleep(FULL_S)
            if time.monotonic() >= commit_at:
                await self._commit(COMMIT_S)
                commit_at = time.monotonic() + COMMIT_EVERY_S

    async def _fetch(self) -> None:
        try:
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=FETCH_RECORDS)
        except KafkaError as error:
            if not error.retriable:
                raise
            log.warning("fetch requests cannot be read from Kafka, retrying (%s)", type(error).__name__)
            await asyncio.sleep(RETRY_S)
            return
        # Without an await since the records were fetched: a rebalance comes before or after.
        for tp, records in fetched.items():
            offsets = self._offsets.setdefault(tp.partition, Offsets())
            for record in records:
                if not offsets.take(record.offset):
                    continue
                try:
                    request = read_request(record.value)
                except DecodeError as error:
                    self._dead_letter(record, error, offsets)
                else:
                    self._route(record, PendingRequest(request, offsets, record.offset))

    def _route(self, record: Any, pending: PendingRequest) -> None:
        account = self._dispatcher.account_of(pending.request)
        home = record.partition if account is None else partition_of(account.key, self._partitions)
        if home == record.partition:
            self._dispatcher.submit(pending)
        elif any(name == FORWARDED for name, _ in record.headers):
            # Pollers with different accounts would forward it for ever. The worker asks again.
            self._dispatcher.refuse(pending, "deferred")
        else:
            # The request names another account id, or none, or an older worker wrote it.
            headers = [*record.headers, (FORWARDED, b"%d" % record.partition)]
            self._dispatcher.redirect(
                lambda: self._writer.forward(self._topic, home, record.key, record.value, headers),
                pending.done,
            )

    def _dead_letter(self, record: Any, error: DecodeError, offsets: Offsets) -> None:
        headers = dead_letter_headers(
            error.reason,
            STAGE,
            error.detail,
            record.topic,
            record.partition,
            record.offset,
            record.headers,
        )
        self._metrics.dead_letter(UNKNOWN_SOURCE, error.reason)
        self._dispatcher.redirect(
            lambda: self._writer.write_dead_letter(record.key, record.value, headers),
            lambda: offsets.done(record.offset),
        )

    # -- offsets

    async def _commit(self, limit_s: float) -> None:
        """Commit what is done. If the group refuses, the next owner reads it again."""
        try:
            async with asyncio.timeout(limit_s), self._committing:
                found = await self._committable()
                if found:
                    await self._consumer.commit({self._tp(number): one for number, one in found.items()})
                    self._committed.update(found)
        except (KafkaError, TimeoutError) as error:
            log.debug("offsets were not committed (%s)", type(error).__name__)

    async def _committable(self) -> dict[int, tuple[int, str]]:
        found = {}
        for number, offsets in list(self._offsets.items()):
            at, metadata = offsets.position(), offsets.metadata()
            if at is not None and not offsets.undone:
                # Behind transaction markers too, which are not records.
                at = max(at, await self._consumer.position(self._tp(number)))
            if at is not None and (at, metadata) != self._committed.get(number):
                found[number] = (at, metadata)
        return found

    def _tp(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)

    # -- rebalances

    async def _revoked(self) -> None:
        """All partitions are revoked; they may be assigned again."""
        await self._stop(REVOKE_S)
        await self._commit(COMMIT_S)
        self._forget()

    async def _stop(self, limit_s: float) -> None:
        ends = [self._dispatcher.stop(limit_s)]
        if self._is_assigned:
            self._is_assigned = False
            ends.append(self._tell(frozenset(), limit_s))
        await asyncio.gather(*ends)

    def _forget(self) -> None:
        # Requests that end later keep their own: they must not count for a partition that came back.
        self._offsets = {}
        self._committed = {}

    async def _assigned(self, owned: frozenset[int]) -> None:
        self._forget()
        if self._closing:
            return
        for number, offsets in (await self._restored(owned)).items():
            # Records may have been taken meanwhile: what they count in must stay.
            self._offsets.setdefault(number, offsets)
        self._is_assigned = True
        await self._tell(owned, REVOKE_S)

    async def _restored(self, owned: frozenset[int]) -> dict[int, Offsets]:
        """What the owners before us had answered. Where Kafka does not say, it is read again."""
        found: dict[TopicPartition, tuple[int, str]] = {}
        try:
            async with asyncio.timeout(COMMIT_S):
                found = await consumers.committed(self._consumer, [self._tp(number) for number in owned])
                await consumers.heartbeat(self._consumer)
        except (KafkaError, TimeoutError) as error:
            log.debug("committed metadata was not read, or no heartbeat taken (%s)", type(error).__name__)
        return {tp.partition: Offsets.restored(at, metadata) for tp, (at, metadata) in found.items()}

    async def _tell(self, owned: frozenset[int], limit_s: float) -> None:
        # Metadata lose a topic while its broker is in trouble; the number of partitions was checked at start.
        known = self._consumer.partitions_for_topic(self._topic)
        self._partitions = len(known) if known else self._settings.partitions
        try:
            async with asyncio.timeout(limit_s):
                await self._on_assignment(owned, self._partitions)
        except Exception as error:  # noqa: BLE001  raised by the task: aiokafka would log it and go on
            self._failure = error
