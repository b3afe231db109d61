"""Fetching the sources, and whether what was fetched follows what was fetched before.

A step backwards is never believed. A hole is believed when the broker leaves it again on a fetch from its
first offset: then its log has that offset and no record there (control records, aborted or compacted ones).
That is usual: a worker that was killed leaves aborted records.
Records are believed to be gone when the log is said to begin above them, twice. A chunk carries the offset
that it was fetched from, so that its lane sees a hole between the two.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from stream.engine.group import FetchedChunk, PartitionReader
from stream.engine.lanes import Lanes
from stream.kafka.errors import BROKER_AWAY
from stream.kafka.partitions import TopicPartition

FIRST_REST_S = 0.2
LONGEST_REST_S = 2.0

HELD_BACK_WAIT_S = 0.05
"""How long a fetch may last while a partition is held back: it is fetched again only with the next fetch."""
IDLE_S = 0.005

log = logging.getLogger("callstream.lanes")


class Continuity:
    """The next expected offset of each source partition. Pure: time is an argument, in seconds."""

    def __init__(self) -> None:
        self.expected: dict[TopicPartition, int] = {}
        self._asked_again: dict[TopicPartition, int] = {}
        self._gone: dict[TopicPartition, int] = {}
        self._rests: dict[TopicPartition, int] = {}
        self._rests_until: dict[TopicPartition, float] = {}

    def begin(self, offsets: Mapping[TopicPartition, int]) -> None:
        """An assignment's reading begins at `offsets`."""
        self.expected = dict(offsets)
        for kept in (self._asked_again, self._gone, self._rests, self._rests_until):
            kept.clear()

    def may_fetch(self, tp: TopicPartition, now: float) -> bool:
        """Whether `tp` does not rest."""
        return now >= self._rests_until.get(tp, 0.0)

    def rest(self, tp: TopicPartition, now: float) -> None:
        """The broker that leads `tp` does not have the expected offset: give its successor time."""
        rests = self._rests[tp] = self._rests.get(tp, 0) + 1
        self._rests_until[tp] = now + min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(rests - 1, 10))

    def follows(self, tp: TopicPartition, first: int, now: float) -> bool:
        """Whether records from `first` on are to be taken. If not, fetch from the expected offset."""
        expected = self.expected[tp]
        if first < expected:
            self.rest(tp, now)
            return False
        if first > expected and self._asked_again.get(tp) != expected:
            self._asked_again[tp] = expected
            return False
        return True

    def took(self, tp: TopicPartition, end: int) -> int:
        """Records up to `end` were taken. Returns the offset at which they began."""
        begin, self.expected[tp] = self.expected[tp], end
        self._gone.pop(tp, None)
        self._rests.pop(tp, None)
        return begin

    def expired(self, tp: TopicPartition, offset: int, begin: int) -> bool:
        """`offset` was refused, the log is said to begin at `begin`. True: it is gone, go on from there."""
        if begin <= offset:
            self._gone.pop(tp, None)
            return False
        self._gone[tp] = self._gone.get(tp, 0) + 1
        if self._gone[tp] < 2:
            return False
        self._asked_again[tp] = self.expected[tp]  # the hole up to `begin` is explained
        return True


class SourceReader:
    """Fetches the open generation's source partitions and hands their chunks to `deliver`, topic by topic.

    `flowing`: whether the consumer still hands out records.
    """

    def __init__(
        self,
        reader: PartitionReader,
        lanes: Lanes,
        *,
        deliver: Callable[[Sequence[FetchedChunk]], Awaitable[None]],
        flowing: Callable[[], bool],
    ) -> None:
        self._reader = reader
        self._lanes = lanes
        self._deliver = deliver
        self._flowing = flowing
        self._continuity = Continuity()
        self._inquiries: dict[TopicPartition, asyncio.Task[None]] = {}

    def begin(self, offsets: Mapping[TopicPartition, int]) -> None:
        """An assignment's reading begins at `offsets`."""
        self._continuity.begin(offsets)

    def stop(self) -> None:
        """The assignment is over."""
        self._continuity.begin({})
        for inquiry in list(self._inquiries.values()):
            inquiry.cancel()

    async def fetch(
        self, active: Collection[TopicPartition], timeout_s: float, *, held_back: bool = False
    ) -> None:
        """Fetch once from the sources among `active`, and deliver the chunks.

        `held_back`: partitions that are not active wait for room in their lane, so the fetch must be short.
        """
        generation, now = self._lanes.open_generation, time.monotonic()
        ready: set[TopicPartition] = set()
        wanted: set[TopicPartition] = set()
        if self._may_pass(generation):
            wanted = {tp for tp in active if tp.topic in self._lanes.sources}
            ready = {tp for tp in wanted if tp not in self._inquiries and self._continuity.may_fetch(tp, now)}
        if generation is None or not ready:
            await asyncio.sleep(IDLE_S)
            return
        held_back = held_back or len(ready) < len(wanted)
        fetched = await self._reader.fetch(ready, HELD_BACK_WAIT_S if held_back else timeout_s)
        now = time.monotonic()
        if not self._may_pass(generation):
            return
        self._lanes.broker_responded(fetched.responded_ms, fetched.ends)
        for tp, offset in fetched.refused.items():
            self._inquiries[tp] = asyncio.create_task(self._inquire(tp, offset, generation))
        chunks: defaultdict[str, list[FetchedChunk]] = defaultdict(list)
        for tp, records in fetched.records.items():
            if tp not in wanted:
                continue
            if not self._continuity.follows(tp, records[0].offset, now):
                await self._fetch_again(tp, records[0].offset)
                continue
            self._lanes.waits.over(tp)
            end = max(fetched.positions.get(tp, 0), records[-1].offset + 1)
            begin = self._continuity.took(tp, end)
            chunks[tp.topic].append(FetchedChunk(tp.topic, tp.partition, generation, begin, records, end))
        for of_topic in chunks.values():
            if not self._may_pass(generation):
                return
            await self._deliver(of_topic)

    def _may_pass(self, generation: int | None) -> bool:
        """Whether records of `generation` may pass, as far as this process has heard."""
        lanes = self._lanes
        return self._flowing() and lanes.group.generation == generation == lanes.open_generation

    async def _fetch_again(self, tp: TopicPartition, first: int) -> None:
        """A fetch that starts at `first` does not follow the last one."""
        expected = self._continuity.expected[tp]
        if first < expected:
            log.warning(
                "%s-%d: got offset %d, expected %d: fetching again", tp.topic, tp.partition, first, expected
            )
            self._lanes.observer.error("rewound")
            await self._reader.refresh()
        await self._reader.read_from({tp: expected})

    async def _inquire(self, tp: TopicPartition, offset: int, generation: int) -> None:
        """A broker refused `offset` of `tp`: is the broker behind, or are the records deleted?"""
        try:
            self._continuity.rest(tp, time.monotonic())
            await self._reader.refresh()
            begin, end = (await self._reader.begins([tp]))[tp], (await self._reader.ends([tp]))[tp]
            if not self._may_pass(generation):
                return
            if self._continuity.expired(tp, offset, begin):
                self._lanes.report_expired(tp, offset, begin)
                await self._reader.read_from({tp: begin})
            else:
                self._report_behind(tp, offset, begin, end)
        except BROKER_AWAY as error:  # no leader yet: the next fetch asks again
            why = type(error).__name__
            log.warning("%s-%d: its first offset is not known: %s", tp.topic, tp.partition, why)
        finally:
            self._inquiries.pop(tp, None)

    def _report_behind(self, tp: TopicPartition, offset: int, begin: int, end: int) -> None:
        """A broker's log does not have the next offset. It is not believed: it may have been cut off."""
        self._lanes.waits.begin(
            tp,
            f"{tp.topic}-{tp.partition}: offset {offset} is next, the broker that answers has "
            f"{begin}..{end}. "
            "A broker that was cut off says so: asking again until its successor answers. "
            "If the topic was deleted or recreated, stop all workers and delete its offsets of group "
            f"{self._lanes.group.id}",
        )
        self._lanes.observer.error("stale_broker")
