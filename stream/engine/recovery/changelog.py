"""Recovery: bringing the states of an assignment up to its committed offsets, whatever single brokers say.

It returns only when each store has reached the offset that the commits need, and believes no broker's word
that a log is shorter than that. The former owners are fenced before it begins.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from stream.engine.group import AssignmentOver, FetchedRecords, PartitionReader
from stream.engine.recovery.plan import ChangelogPart, Need, need
from stream.engine.states import States
from stream.engine.status import Observer, Waits
from stream.kafka.errors import BROKER_AWAY, KafkaError, KafkaTimeoutError
from stream.kafka.partitions import TopicPartition
from stream.kafka.transactional_producer import CommittedOffset

FETCH_WAIT_S = 0.1
"""Short, because a fetch that finds only control records keeps waiting."""
ASK_EVERY_S = 0.5
"""A partition that does not move for this long is asked about again."""

SLOW_AFTER = 10
"""How often a partition that does not move is asked about before it is reported, if its log is long enough.
"""

T = TypeVar("T")

log = logging.getLogger("callstream.lanes")


class Recovered(NamedTuple):
    """What the lanes begin with."""

    committed: Mapping[TopicPartition, CommittedOffset | None]
    """By source partition. The states are those of these commits."""
    ends: Mapping[int, int]
    """The changelog offset that each partition's store has reached."""
    records: int


class Bounds(NamedTuple):
    """A log's first offset that is kept, and its last stable offset."""

    begin: int
    end: int


class ChangelogReader:
    """Reads changelogs into `states`.

    - `current`: whether the assignment still holds.
    - `responded`: told when a broker responded, in Unix milliseconds.
    - `group`: its id, for messages.
    """

    def __init__(
        self,
        reader: PartitionReader,
        states: States,
        observer: Observer,
        waits: Waits,
        *,
        current: Callable[[], bool],
        responded: Callable[[int], None],
        group: str,
    ) -> None:
        self._reader = reader
        self._states = states
        self._observer = observer
        self._waits = waits
        self._current = current
        self._responded = responded
        self._group = group
        self._parts: dict[TopicPartition, ChangelogPart] = {}
        self._sources: Sequence[TopicPartition] = ()
        self._committed: dict[TopicPartition, CommittedOffset | None] = {}

    async def read(
        self, changelogs: Sequence[TopicPartition], sources: Sequence[TopicPartition]
    ) -> Recovered:
        """Read `changelogs` as far as the commits of `sources` need them. Raises AssignmentOver."""
        total = 0
        self._sources = sources
        if changelogs:
            await self._begin(changelogs)
        while left := {tp for tp, part in self._parts.items() if not part.reached}:
            self._observer.recovery(sum(max(0, self._parts[tp].until - self._parts[tp].at) for tp in left))
            total += await self._fetch(left)
            await self._ask_again(left)
        ends = {tp.partition: part.at for tp, part in self._parts.items()}
        return Recovered(self._committed, ends, total)

    async def bounds(self, what: str, tps: Sequence[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """Where `tps` begin and end; `what` names them in messages. Raises AssignmentOver."""

        async def ask() -> dict[TopicPartition, Bounds]:
            begins, ends = await self._reader.begins(tps), await self._reader.ends(tps)
            return {tp: Bounds(begins[tp], ends[tp]) for tp in tps}

        return await self._ask(what, ask)

    async def _begin(self, changelogs: Sequence[TopicPartition]) -> None:
        self._committed |= await self._commits_of(self._sources)
        bounds = await self.bounds("where the changelogs begin and end", changelogs)
        now = time.monotonic()
        for tp, (begin, end) in bounds.items():
            known = self._states.position(tp.partition)
            part = self._parts[tp] = ChangelogPart(known, self._needed(tp.partition), begin, end, now)
            if part.anew:
                if known is not None:
                    log.warning(
                        "states of partition %d are of offset %d, its changelog has %d..%d: reading it anew",
                        tp.partition,
                        known,
                        begin,
                        end,
                    )
                    self._observer.error("read_anew")
                self._states.clear(tp.partition)
        await self._reader.read_from(
            {tp: part.at for tp, part in self._parts.items() if part.at < part.until}
        )

    async def _commits_of(
        self, sources: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset | None]:
        return await self._ask("the committed offsets", lambda: self._reader.committed(sources))

    def _needed(self, partition: int) -> Need:
        return need(commit for tp, commit in self._committed.items() if tp.partition == partition)

    async def _fetch(self, left: set[TopicPartition]) -> int:
        """Fetch once. Returns the number of records."""
        reading = {tp for tp in left if self._parts[tp].at < self._parts[tp].until}
        if not reading:
            await asyncio.sleep(FETCH_WAIT_S)
            self._check()
            return 0
        fetched = await self._reader.fetch(reading, FETCH_WAIT_S)
        self._check()
        self._responded(fetched.responded_ms)
        count = await self._apply(fetched, reading)
        await asyncio.sleep(FETCH_WAIT_S if fetched.refused and not count else 0)
        return count

    async def _apply(self, fetched: FetchedRecords, reading: set[TopicPartition]) -> int:
        count, now = 0, time.monotonic()
        rewound: dict[TopicPartition, int] = {}
        for tp in reading:
            part = self._parts[tp]
            records = fetched.records.get(tp, ())
            position = fetched.positions.get(tp, records[-1].offset + 1 if records else part.at)
            if position < part.at or (records and records[0].offset < part.at):
                rewound[tp] = part.at  # a step backwards is not believed
                continue
            if records:
                states = {record.key: record.value for record in records}
                self._states.write(tp.partition, states, position)
                part.last = records[-1].offset
                count += len(records)
            part.read_to(position, now)
        if rewound:
            await self._reader.read_from(rewound)
        return count

    async def _ask_again(self, left: set[TopicPartition]) -> None:
        """About those that do not move, or whose commits are behind them."""
        still_before = time.monotonic() - ASK_EVERY_S
        stuck = [
            tp for tp in sorted(left) if not self._parts[tp].reached and self._parts[tp].moved <= still_before
        ]
        if stuck:
            await self._reader.refresh()
            self._check()
            beyond = {tp.partition for tp in stuck if self._parts[tp].beyond}
            if sources := [tp for tp in self._sources if tp.partition in beyond]:
                self._committed |= await self._commits_of(sources)
            bounds = await self.bounds("where the changelogs begin and end", stuck)
            for tp in stuck:
                await self._update(tp, bounds[tp])
        for tp in left:
            if self._parts[tp].reached:
                self._waits.over(("changelog", tp.partition))

    async def _update(self, tp: TopicPartition, bounds: Bounds) -> None:
        part = self._parts[tp]
        if part.asked_again(self._needed(tp.partition), bounds.begin, bounds.end, time.monotonic()):
            self._observer.error("read_anew")
            self._states.clear(tp.partition)
        if part.at < part.until:
            await self._reader.read_from({tp: part.at})
        if part.beyond or part.seen < part.until:
            self._observer.error("stale_broker")
        elif part.reached or part.asked < SLOW_AFTER:
            return
        self._waits.begin(("changelog", tp.partition), part.sentence(tp.topic, tp.partition, self._group))

    async def _ask(self, what: str, question: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer. Raises AssignmentOver, and an error that no retry will mend."""
        while True:
            try:
                answer = await question()
            except BROKER_AWAY as error:
                final = isinstance(error, KafkaError) and not error.retriable
                if final and not isinstance(error, KafkaTimeoutError):
                    raise
                self._check()
                self._waits.begin(what, f"no broker says {what} ({type(error).__name__}): asking again")
                await self._reader.refresh()
                await asyncio.sleep(ASK_EVERY_S)
                self._check()
            else:
                self._check()
                self._waits.over(what)
                return answer

    def _check(self) -> None:
        if not self._current():
            raise AssignmentOver("the assignment is over")
