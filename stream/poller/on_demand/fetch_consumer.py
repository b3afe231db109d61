"""The poller's end of the fetches topic: records to requests, places in the group to shares, done ones to
committed offsets.

The rule of this file: an offset is committed when nothing before it is undone, and what is not committed is
read again by whoever owns the partition next. A rebalance is eager: everybody lets go of everything, then
everybody is given a place and partitions.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from stream.core.events import DecodeError
from stream.kafka import topics
from stream.kafka.client import consumers
from stream.kafka.envelope_codec import Headers, dead_letter_headers
from stream.kafka.errors import KafkaError
from stream.kafka.partitions import TopicPartition
from stream.poller.limiter.assignor import Place, ShareAssignor
from stream.poller.limiter.metrics_protocol import PollMetrics
from stream.poller.on_demand.dispatcher import FetchDispatcher
from stream.poller.on_demand.fetch_codec import read_request
from stream.poller.on_demand.offsets import Offsets
from stream.poller.on_demand.pending_requests import PendingRequest
from stream.service.settings import PollerSettings

UNFINISHED = 20_000
"""So many records may be in our hands; then none are fetched until some are done."""

AT_ONCE = 500
COMMIT_EVERY_S = 1.0
COMMIT_S = 2.0
LET_GO_S = 5.0
"""Reads and answers in flight have so long when partitions are taken away."""

REJOIN_S = 15.0
"""The group waits so long for a member that lets go: LET_GO_S, a commit, and some air."""

CLOSE_S = 5.0
FETCH_WAIT_MS = 100
POLL_MS = 200
FULL_S = 0.1
RETRY_S = 1.0

STAGE = "fetch"
UNKNOWN_SOURCE = "unknown"

OnShare = Callable[[Place, frozenset[int], int], Awaitable[None]]
DeadLetter = Callable[[bytes | None, bytes | None, Headers], Awaitable[None]]

log = logging.getLogger("callstream.fetching")


def group(prefix: str) -> str:
    """The pollers' consumer group: `calls.` gives `calls-poller`."""
    return f"{prefix.removesuffix('.')}-poller"


class FetchRequestConsumer:
    """One member of the pollers' group.

    - `on_share(place, owned, partitions)`: awaited with the new place, the partition numbers that are ours
      and how many there are, before a read begins; and with a standby place and none as soon as they are
      taken away, beside the reads' end. It has LET_GO_S; if it raises or takes longer, the member ends.
    - `dead_letter(key, value, headers)`: returns when the broker has it. If it raises, it is asked again.
    """

    def __init__(
        self,
        settings: PollerSettings,
        serving: FetchDispatcher,
        *,
        on_share: OnShare,
        dead_letter: DeadLetter,
        metrics: PollMetrics,
        unfinished: int = UNFINISHED,
    ) -> None:
        self._topic = topics.names(settings.topic_prefix).fetches
        self._settings = settings
        self._serving = serving
        self._on_share = on_share
        self._dead_letter = dead_letter
        self._metrics = metrics
        self._unfinished = unfinished
        self._assignor = ShareAssignor(serving.most)
        self._consumer: Any = None
        self._offsets: dict[int, Offsets] = {}
        self._committed: dict[int, int] = {}
        self._committing = asyncio.Lock()
        self._shared = False
        self._closing = False
        self._failure: Exception | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def place(self) -> Place:
        """Its place, as of the last rebalance."""
        return self._assignor.place

    async def start(self) -> asyncio.Task[None]:
        """Joins the group. The task that is returned ends with `close`, or with what made it fail; then too
        `close` is what gives the partitions back.

        Raises KafkaError.
        """
        self._consumer = await consumers.join(
            {"bootstrap_servers": self._settings.kafka, "client_id": "callstream-poller"},
            self._topic,
            group=group(self._settings.topic_prefix),
            session_s=self._settings.session_timeout_s,
            rebalance_s=max(self._settings.session_timeout_s, REJOIN_S),
            revoked=self._let_go,
            assigned=self._take_up,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            partition_assignment_strategy=(self._assignor,),
        )
        self._running = asyncio.create_task(self._run(), name="the fetch requests")
        return self._running

    async def close(self, limit_s: float = CLOSE_S) -> None:
        """No new reads; what is in flight is cancelled, what is done is committed, the group is told.

        After `start`, once.
        """
        self._closing = True
        await self._ended()
        await self._released(limit_s * 0.5)
        await self._commit(limit_s * 0.2)
        await consumers.leave(self._consumer, limit_s * 0.2)

    async def _ended(self) -> None:
        """The task that fetches has ended."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    # -- records

    async def _run(self) -> None:
        commit_at = 0.0
        while True:
            if self._failure is not None:
                raise self._failure
            if self._serving.unfinished < self._unfinished:
                self._take(await self._fetched())
            else:
                await asyncio.sleep(FULL_S)
            if time.monotonic() >= commit_at:
                await self._commit(COMMIT_S)
                commit_at = time.monotonic() + COMMIT_EVERY_S

    async def _fetched(self) -> Mapping[TopicPartition, Sequence[Any]]:
        try:
            found: Mapping[TopicPartition, Sequence[Any]] = await self._consumer.getmany(
                timeout_ms=POLL_MS, max_records=AT_ONCE
            )
        except KafkaError as error:
            if not error.retriable:
                raise
            log.warning("the broker does not give fetch requests (%s)", type(error).__name__)
            await asyncio.sleep(RETRY_S)
            return {}
        return found

    def _take(self, fetched: Mapping[TopicPartition, Sequence[Any]]) -> None:
        # Without an await since the records were handed out: a rebalance comes before or after.
        for tp, records in fetched.items():
            offsets = self._offsets.setdefault(tp.partition, Offsets())
            for record in records:
                offsets.take(record.offset)
                try:
                    self._serving.serve(PendingRequest(read_request(record.value), offsets, record.offset))
                except DecodeError as error:
                    self._bury(record, error, offsets)

    def _bury(self, record: Any, error: DecodeError, offsets: Offsets) -> None:
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
        self._serving.bury(
            lambda: self._dead_letter(record.key, record.value, headers),
            lambda: offsets.done(record.offset),
        )

    # -- offsets

    async def _commit(self, limit_s: float) -> None:
        """Commit what is done, if the group still lets us: what it does not, its next owner reads again."""
        try:
            async with asyncio.timeout(limit_s), self._committing:
                found = await self._committable()
                if found:
                    await self._consumer.commit({self._tp(number): at for number, at in found.items()})
                    self._committed.update(found)
        except (KafkaError, TimeoutError) as error:
            log.debug("offsets were not committed (%s)", type(error).__name__)

    async def _committable(self) -> dict[int, int]:
        found = {}
        for number, offsets in list(self._offsets.items()):
            at = offsets.position()
            if at is not None and not offsets.undone:
                # Behind the marks of transactions too, which are no records.
                at = max(at, await self._consumer.position(self._tp(number)))
            if at is not None and at > self._committed.get(number, -1):
                found[number] = at
        return found

    def _tp(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)

    # -- rebalances

    async def _let_go(self) -> None:
        """All partitions are taken away; they may come back."""
        await self._released(LET_GO_S)
        await self._commit(COMMIT_S)
        self._forget()

    async def _released(self, limit_s: float) -> None:
        ends = [self._serving.stop(limit_s)]
        if self._shared:
            self._shared = False
            ends.append(self._tell(Place(-1, self.place.active), frozenset(), limit_s))
        await asyncio.gather(*ends)

    def _forget(self) -> None:
        # Requests that end later still have their own: they must not speak for a partition that came back.
        self._offsets = {}
        self._committed = {}

    async def _take_up(self, owned: frozenset[int]) -> None:
        """These partitions are ours now, and our place is new."""
        self._forget()
        if self._closing:
            return
        self._shared = True
        await self._tell(self.place, owned, LET_GO_S)
        if not self._closing:
            self._serving.begin(self.place)

    async def _tell(self, place: Place, owned: frozenset[int], limit_s: float) -> None:
        # Metadata forget a topic while a broker has trouble with it; how many there must be is settled.
        known = self._consumer.partitions_for_topic(self._topic)
        partitions = len(known) if known else self._settings.partitions
        try:
            async with asyncio.timeout(limit_s):
                await self._on_share(place, owned, partitions)
        except Exception as error:  # noqa: BLE001  told by the task: aiokafka would log it and go on
            self._failure = error
