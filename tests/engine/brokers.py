"""A changelog on brokers that disagree: the true leader, and one that was cut off and does not know it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from faust.types import TP

from stream.engine.batch import Record
from stream.engine.changelog_end import Committed
from stream.engine.partition_log import Fetched


class Leader:
    """One broker's log of a changelog: `records` are offsets, `end` the last stable offset that it knows."""

    def __init__(self, records: Iterable[int], begin: int = 0, end: int | None = None) -> None:
        self.records = sorted(records)
        self.begin = begin
        self.end = self.records[-1] + 1 if end is None else end


class Brokers:
    """A `Log` of one changelog partition. Whoever stands first in `leaders` answers; `refresh` moves on."""

    def __init__(
        self, *leaders: Leader, commits: Sequence[Mapping[TP, Committed | None]], moves_after: int = 1
    ) -> None:
        self.leaders = list(leaders)
        self.commits = list(commits)
        self.refreshed = 0
        self.fails: list[BaseException] = []
        self.resets_to: int | None = None
        self._moves_after = moves_after
        self._position: dict[TP, int] = {}

    async def begins(self, partitions: Sequence[TP]) -> dict[TP, int]:
        return dict.fromkeys(partitions, self.leaders[0].begin)

    async def ends(self, partitions: Sequence[TP]) -> dict[TP, int]:
        if self.fails:
            raise self.fails.pop(0)
        return dict.fromkeys(partitions, self.leaders[0].end)

    async def committed(self, partitions: Sequence[TP]) -> dict[TP, Committed | None]:
        commits = self.commits.pop(0) if len(self.commits) > 1 else self.commits[0]
        return {tp: commits[tp] for tp in partitions}

    async def read_from(self, offsets: Mapping[TP, int]) -> None:
        self._position.update(offsets)

    async def fetch(self, partitions: set[TP], timeout_s: float) -> Fetched:
        leader = self.leaders[0]
        records: dict[TopicPartition, Sequence[Any]] = {}
        refused: dict[TP, int] = {}
        for tp in partitions:
            at = self._position[tp]
            if self.resets_to is not None:
                at, self.resets_to = self.resets_to, None
            if not leader.begin <= at <= leader.end:
                refused[tp] = at
                continue
            found = [offset for offset in leader.records if at <= offset < leader.end][:100]
            if found:
                records[TopicPartition(*tp)] = [
                    SimpleNamespace(offset=offset, key=b"%d" % (offset % 7), value=b"%d" % offset)
                    for offset in found
                ]
            more = found and any(found[-1] < offset < leader.end for offset in leader.records)
            self._position[tp] = found[-1] + 1 if more else leader.end
        return Fetched(records, {tp: self._position[tp] for tp in partitions}, {}, 0, refused)

    async def refresh(self) -> None:
        self.refreshed += 1
        if self.refreshed >= self._moves_after and len(self.leaders) > 1:
            self.leaders.pop(0)


class Kept:
    """A store of one partition, as far as a recovery sees it."""

    def __init__(self, known: int | None = None, states: Mapping[bytes, bytes | None] | None = None) -> None:
        self.known = known
        self.states: dict[bytes, bytes | None] = dict(states or {})
        self.cleared = 0

    def reader(self, partition: int) -> Callable[[bytes], bytes | None]:
        return self.states.get

    def items(self, partition: int) -> Iterable[tuple[bytes, bytes]]:
        return [(key, state) for key, state in self.states.items() if state is not None]

    def write(self, partition: int, states: Mapping[bytes, bytes | None], position: int | None) -> None:
        self.states.update(states)
        self.known = position

    def apply(self, partition: int, records: Iterable[Record], position: int) -> None:
        self.states.update({record.key or b"": record.value for record in records})
        self.known = position

    def position(self, partition: int) -> int | None:
        return self.known

    def clear(self, partition: int) -> None:
        self.states.clear()
        self.known = None
        self.cleared += 1

    def count(self, partition: int) -> int:
        return len(self.states)
