"""Bringing the states of an assignment up to its committed offsets, whatever single brokers say.

The rule of this file: it returns only when each store has reached what the committed offsets need, and
believes no broker's word that a log is shorter than that. The former owners are fenced before it begins.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.types import TP

from stream.engine.changelog_end import Committed, Need, need, plan
from stream.engine.observer import Observer
from stream.engine.partition_log import Fetched, Log
from stream.engine.states import States
from stream.engine.waits import Waits

FETCH_WAIT_S = 0.1
"""Short, because a fetch that finds only control records goes on waiting."""
ASK_EVERY_S = 0.5
"""A partition that does not move for so long is asked about anew."""

SLOW_AFTER = 10
"""So often it is asked before a partition that does not move is spoken of, though its log is long enough."""

T = TypeVar("T")

log = logging.getLogger("callstream.lanes")


class AssignmentOver(Exception):
    """Another assignment has begun: what is read now is of no use."""


class Recovered(NamedTuple):
    """What the lanes begin with."""

    committed: Mapping[TP, Committed | None]
    """By source partition. The states are those of these commits."""
    ends: Mapping[int, int]
    """The changelog's offset that each partition's store has reached."""
    records: int


class _Part:
    """One partition's changelog while it is read."""

    def __init__(self, at: int, until: int, end: int, needed: Need, now: float) -> None:
        self.at = at
        self.until = until
        self.seen = end
        """The log is known to have this end."""
        self.needed = needed
        self.last = -1
        self.moved = now
        self.asked = 0
        self.gone = 0
        """How often in a row the log was said to begin above `at`."""

    @property
    def beyond(self) -> bool:
        """Records were read that the committed offsets do not know: those are older than they should be."""
        return self.needed.exact and self.last >= self.needed.least

    @property
    def reached(self) -> bool:
        return self.at >= self.until and self.seen >= self.until and not self.beyond


class ChangelogReader:
    """Reads into `states`. `current` says whether the assignment still holds; `group` is for sentences."""

    def __init__(
        self,
        log: Log,
        states: States,
        observer: Observer,
        waits: Waits,
        *,
        current: Callable[[], bool],
        heard: Callable[[int], None],
        group: str,
    ) -> None:
        self._log = log
        self._states = states
        self._observer = observer
        self._waits = waits
        self._current = current
        self._heard = heard
        self._group = group
        self._parts: dict[TP, _Part] = {}
        self._sources: Sequence[TP] = ()
        self._committed: dict[TP, Committed | None] = {}

    async def read(self, changelogs: Sequence[TP], sources: Sequence[TP]) -> Recovered:
        """Read `changelogs` as far as the commits of `sources` need them. Raises AssignmentOver."""
        total = 0
        self._sources = sources
        if changelogs:
            await self._begin(changelogs)
        while left := {tp for tp, part in self._parts.items() if not part.reached}:
            self._observer.recovery(sum(max(0, self._parts[tp].until - self._parts[tp].at) for tp in left))
            total += await self._pass(left)
            await self._ask_again(left)
        ends = {tp.partition: part.at for tp, part in self._parts.items()}
        return Recovered(self._committed, ends, total)

    async def _begin(self, changelogs: Sequence[TP]) -> None:
        self._committed = await self.ask("the committed offsets", lambda: self._log.committed(self._sources))
        begins, ends = await self.ask("where the changelogs begin and end", lambda: self._bounds(changelogs))
        now = time.monotonic()
        for tp in changelogs:
            needed = self._needed(tp.partition)
            known = self._states.position(tp.partition)
            chosen = plan(known, needed, begins[tp], ends[tp])
            if chosen.anew:
                if known is not None:
                    log.warning(
                        "states of partition %d are of offset %d, its changelog has %d..%d: reading anew",
                        tp.partition,
                        known,
                        begins[tp],
                        ends[tp],
                    )
                    self._observer.error("read_anew")
                self._states.clear(tp.partition)
            self._parts[tp] = _Part(chosen.at, chosen.until, ends[tp], needed, now)
        await self._log.read_from({tp: part.at for tp, part in self._parts.items() if part.at < part.until})

    async def _bounds(self, tps: Sequence[TP]) -> tuple[dict[TP, int], dict[TP, int]]:
        return await self._log.begins(tps), await self._log.ends(tps)

    def _needed(self, partition: int) -> Need:
        return need(commit for tp, commit in self._committed.items() if tp.partition == partition)

    async def _pass(self, left: set[TP]) -> int:
        """Fetch once. Returns how many records came."""
        reading = {tp for tp in left if self._parts[tp].at < self._parts[tp].until}
        if not reading:
            await asyncio.sleep(FETCH_WAIT_S)
            self._check()
            return 0
        fetched = await self._log.fetch(reading, FETCH_WAIT_S)
        self._check()
        self._heard(fetched.heard_ms)
        count = await self._apply(fetched, reading)
        await asyncio.sleep(FETCH_WAIT_S if fetched.refused and not count else 0)
        return count

    async def _apply(self, fetched: Fetched, reading: set[TP]) -> int:
        count, now = 0, time.monotonic()
        back: dict[TP, int] = {}
        for tp in reading:
            part = self._parts[tp]
            records = fetched.records.get(TopicPartition(*tp), ())
            position = fetched.positions.get(tp, records[-1].offset + 1 if records else part.at)
            if position < part.at or (records and records[0].offset < part.at):
                back[tp] = part.at  # a step backwards is not believed
                continue
            if records:
                self._states.apply(tp.partition, records, position)
                part.last = records[-1].offset
                count += len(records)
            if position > part.at:
                part.at, part.moved, part.asked = position, now, 0
                part.seen = max(part.seen, position)
        if back:
            await self._log.read_from(back)
        return count

    async def _ask_again(self, left: set[TP]) -> None:
        """About those that do not move, or whose commits are behind them."""
        still_before = time.monotonic() - ASK_EVERY_S
        stuck = [
            tp for tp in sorted(left) if not self._parts[tp].reached and self._parts[tp].moved <= still_before
        ]
        if stuck:
            await self._log.refresh()
            self._check()
            await self._commits_again({tp.partition for tp in stuck if self._parts[tp].beyond})
            begins, ends = await self.ask("where the changelogs begin and end", lambda: self._bounds(stuck))
            for tp in stuck:
                await self._hear(tp, begins[tp], ends[tp])
        for tp in left:
            if self._parts[tp].reached:
                self._waits.over(("changelog", tp.partition))

    async def _commits_again(self, partitions: set[int]) -> None:
        sources = [tp for tp in self._sources if tp.partition in partitions]
        if sources:
            self._committed |= await self.ask("the committed offsets", lambda: self._log.committed(sources))

    async def _hear(self, tp: TP, begin: int, end: int) -> None:
        """What a broker says now."""
        part = self._parts[tp]
        part.moved = time.monotonic()
        part.asked += 1
        part.needed = self._needed(tp.partition)
        part.seen = max(part.seen, end)
        part.until = max(part.until, part.needed.least, end)
        part.gone = part.gone + 1 if begin > part.at else 0
        if part.gone > 1:  # a log's beginning only goes forward: what was to be read is gone
            self._observer.error("read_anew")
            self._states.clear(tp.partition)
            part.at, part.gone = begin, 0
        if part.at < part.until:
            await self._log.read_from({tp: part.at})
        if part.beyond or part.seen < part.until:
            self._observer.error("stale_broker")
        elif part.reached or part.asked < SLOW_AFTER:
            return
        self._waits.begin(("changelog", tp.partition), self._sentence(tp))

    def _sentence(self, tp: TP) -> str:
        part = self._parts[tp]
        if part.beyond:
            return (
                f"partition {tp.partition}: {tp.topic} has a record at offset {part.last}, newer than the "
                f"committed offsets of group {self._group}, which end before {part.needed.least}: "
                "asking for those again"
            )
        if part.seen >= part.until:
            return (
                f"partition {tp.partition}: {tp.topic} is needed up to offset {part.until} and was read up "
                f"to {part.at}; no more of it comes"
            )
        return (
            f"partition {tp.partition}: {tp.topic} is needed up to offset {part.until} and was read up to "
            f"{part.at}; the broker that answers says it ends at {part.seen}. "
            "A broker that was cut off says so: asking again until its successor answers. "
            "If the topic was deleted or made anew, stop all workers and delete the offsets of group "
            f"{self._group}: the states are then built from the source topics again"
        )

    async def ask(self, what: str, question: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer. Raises AssignmentOver, or what no asking again will mend."""
        while True:
            try:
                answer = await question()
            except (KafkaError, OSError, TimeoutError) as error:
                final = isinstance(error, KafkaError) and not error.retriable
                if final and not isinstance(error, KafkaTimeoutError):
                    raise
                self._check()
                self._waits.begin(what, f"no broker says {what} ({type(error).__name__}): asking again")
                await self._log.refresh()
                await asyncio.sleep(ASK_EVERY_S)
                self._check()
            else:
                self._check()
                self._waits.over(what)
                return answer

    def _check(self) -> None:
        if not self._current():
            raise AssignmentOver
