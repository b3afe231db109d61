"""The feed: one consumer of the topics of events, call records and alerts, for all subscribers.

It reads committed records only, without a consumer group, and only while somebody follows. A subscriber that
was away reads what it has missed from its own offsets up to those where it joined; the rest comes from here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec

from stream.api.access.caller import Caller
from stream.api.live import positions
from stream.api.live.positions import Positions
from stream.api.live.selection import LiveRecord, LiveSelection
from stream.api.live.subscription import Ending, LiveSubscription
from stream.api.problems import unavailable
from stream.core.privacy.masking import SHOWN_LEVELS
from stream.kafka.client.connection import Connection
from stream.kafka.errors import KafkaError
from stream.kafka.partitions import TopicPartition
from stream.kafka.topic_reader import ConsumerRecord, MissingTopicError, ends_of, read_from
from stream.service.errors import describe
from stream.service.log_once import LogOnce
from stream.sources.fields import check_depth

JOIN_S = 10.0
"""A subscriber waits that long for the feed to be connected."""

LOOK_AGAIN_S = 0.05
LINGER_S = 30.0
"""The feed goes on for that long after its last subscriber: a browser's page is reloaded."""

RETRY_S = 1.0
MOST_MISSED = 50_000
"""Records that a subscriber that was away is sent. Beyond that it is told to ask the archive."""

CATCHING_UP = 4
"""Subscribers that read what they have missed at once."""

log = logging.getLogger("callstream.api.live")

Counted = Callable[[str], None]


class LiveFeed:
    """`topics`: names by kind. `read`: is told the kind of each record. Runs in `run`, until cancelled.

    - `knows`: whether a caller may still follow what it could.
    """

    def __init__(
        self,
        connection: Connection,
        topics: Mapping[str, str],
        *,
        most: int,
        read: Counted,
        knows: Callable[[Caller], bool],
    ) -> None:
        self._connection = connection
        self._kinds = {topic: kind for kind, topic in topics.items()}
        self.topics = tuple(topics.values())
        self._most = most
        self._told = read
        self._knows = knows
        self._subscriptions: set[LiveSubscription] = set()
        self._joining = 0
        """Clients that wait for the feed to be connected."""
        self._wanted = asyncio.Event()
        self._connected = asyncio.Event()
        self._positions: Positions = {}
        self._left_s = 0.0
        self._outages = LogOnce()
        self._catching_up = asyncio.Semaphore(CATCHING_UP)

    @property
    def position(self) -> str:
        """Behind the newest record that was given to the subscribers."""
        return positions.write(self.topics, self._positions)

    @property
    def subscribers(self) -> int:
        return len(self._subscriptions)

    async def connect(self, last_event_id: str | None = None) -> None:
        """Returns when the feed reads, and has come to where the client was at another replica.

        Raises Refused (503) if it does not read, or if there is no room.
        """
        if len(self._subscriptions) + self._joining >= self._most:
            raise unavailable("As many clients follow live as may.", 30)
        self._wanted.set()
        self._joining += 1
        try:
            async with asyncio.timeout(JOIN_S):
                await self._connected.wait()
                while self.is_behind(self.read_position(last_event_id or "")):  # noqa: ASYNC110  by reading
                    await asyncio.sleep(LOOK_AGAIN_S)
        except TimeoutError:
            if not self._connected.is_set():
                raise unavailable("Kafka does not answer.") from None
        finally:
            self._joining -= 1
        self._left_s = time.monotonic()  # its subscription begins with its answer

    @contextmanager
    def subscription(self, selection: LiveSelection) -> Iterator[LiveSubscription]:
        """A subscription, from now on."""
        subscription = LiveSubscription(selection)
        subscription.joined = dict(self._positions)
        self._subscriptions.add(subscription)
        self._wanted.set()
        self.end_unknown()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            self._left_s = time.monotonic()

    def text_of(self, at: Positions) -> str:
        return positions.write(self.topics, at)

    def count_between(self, since: Positions, until: Positions) -> int:
        """Offsets between two positions, at least as many as records."""
        return sum(max(0, end - since[one]) for one, end in until.items())

    def read_position(self, text: str) -> Positions | None:
        """The positions of a `Last-Event-ID`; None where it is not one of these topics."""
        return positions.read(text, self.topics, self._positions)

    def is_behind(self, position: Positions | None) -> bool:
        """Whether a position, if there is one, is further than the feed."""
        return position is not None and any(self._positions[one] < at for one, at in position.items())

    async def missed(self, since: Positions, until: Positions) -> AsyncGenerator[LiveRecord]:
        """The records from `since` on, up to where the feed goes on.

        Raises OffsetOutOfRangeError where they are gone, and BROKER_AWAY.
        """
        left = {one: end for one, end in until.items() if since[one] < end}
        at = dict(since)
        if not left:
            return
        async with (
            self._catching_up,
            read_from(self._connection, {one: since[one] for one in left}) as reader,
        ):
            while left:
                for partition, records in (await reader.read()).items():
                    for record in records:
                        if record.offset >= until[partition]:
                            break
                        at[partition] = record.offset + 1
                        made = self._made(record, positions.write(self.topics, at))
                        if made is not None:
                            yield made
                # Markers of transactions are offsets, too, without a record.
                for partition in [*left]:
                    if await reader.has_reached({partition: left[partition]}):
                        at[partition] = left.pop(partition)

    async def run(self) -> None:
        """Read while somebody follows, until cancelled."""
        try:
            while True:
                await self._wanted.wait()
                try:
                    await self._follow()
                except (KafkaError, MissingTopicError, OSError) as error:
                    if self._outages.failed("feed", type(error).__name__, time.monotonic()):
                        log.warning("live streams cannot be read from Kafka, retrying (%s)", describe(error))
                    if isinstance(error, KafkaError) and type(error).__name__ == "OffsetOutOfRangeError":
                        self._restart("lost")
                    await asyncio.sleep(RETRY_S)
        finally:
            self.end("stopping")

    def end(self, why: Ending) -> None:
        for one in self._subscriptions:
            one.end(why)

    def end_unknown(self) -> None:
        """End the subscriptions of callers whose token was taken back or changed."""
        for one in self._subscriptions:
            if not self._knows(one.selection.caller):
                one.end("revoked")

    def _restart(self, why: Ending) -> None:
        """Begin at the ends of the topics: the records between are gone."""
        self.end(why)
        self._positions = {}
        self._connected.clear()

    async def _follow(self) -> None:
        """Returns when nobody has followed for a while. Raises KafkaError, MissingTopicError."""
        self._positions = self._positions or dict(await ends_of(self._connection, self.topics))
        async with read_from(self._connection, self._positions) as reader:
            self._connected.set()
            self._left_s = time.monotonic()
            while self._subscriptions or time.monotonic() - self._left_s < LINGER_S:
                for partition, records in (await reader.read()).items():
                    self._give(partition, records)
                if self._outages.succeeded("feed", time.monotonic()):
                    log.info("live streams are read from Kafka again")
            # Before the reader is closed, which takes a while: one who comes meanwhile waits for the next.
            self._wanted.clear()
            self._connected.clear()
            self._positions = {}

    def _give(self, partition: TopicPartition, records: list[ConsumerRecord]) -> None:
        for record in records:
            self._positions[partition] = record.offset + 1
            made = self._made(record, "")
            if made is None:
                continue
            self._told(made.kind)
            following = [one for one in self._subscriptions if one.selection.admits(made)]
            if following:
                made.position = self.position
                for one in following:
                    one.offer(made)

    def _made(self, record: ConsumerRecord, position: str) -> LiveRecord | None:
        """None of a tombstone, and of what is not an object or too deep: others than workers may write to a
        topic.
        """
        try:
            value = msgspec.json.decode(record.value) if record.value is not None else None
            check_depth(value, SHOWN_LEVELS)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        return LiveRecord(self._kinds[record.topic], value, position)
