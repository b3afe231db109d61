"""What the partitions hold now, for the gauges: known when opened, moved by each batch, gone when closed.

Gauges of several workers add up, so a worker shows only what is in partitions that it owns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import ActiveLabels, Tally
from stream.service.metrics.family import Family
from stream.service.metrics.registry import Board

Held = TypeVar("Held")


@dataclass(frozen=True)
class Standing:
    """What one partition holds when it is opened, counted over its table entries.

    - `active`: calls without a terminal status, by (provider, account id, direction).
    - `overdue`: of these, the ones past the overdue age, by provider.
    - `gaps_open`: missing sequence numbers that were reported as gaps, by source.
    """

    active: Mapping[ActiveLabels, int]
    overdue: Mapping[str, int]
    gaps_open: Mapping[str, int]


class Standings:
    """The gauges over all owned partitions, added up when somebody looks."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._active: dict[int, Counter[ActiveLabels]] = {}
        self._overdue: dict[int, Counter[str]] = {}
        self._gaps_open: dict[int, Counter[str]] = {}
        self._heartbeat_s: dict[int, float] = {}
        self._indexed: dict[int, tuple[int, int]] = {}
        board.before_scrape(self._show)

    def open(self, partition: int, standing: Standing, now_s: float) -> None:
        """A partition is owned from now on. A lane that never moves has a heartbeat that ages from here."""
        self._active[partition] = Counter(standing.active)
        self._overdue[partition] = Counter(standing.overdue)
        self._gaps_open[partition] = Counter(standing.gaps_open)
        self._heartbeat_s[partition] = now_s

    def close(self, partition: int) -> None:
        for held in (self._active, self._overdue, self._gaps_open, self._heartbeat_s, self._indexed):
            held.pop(partition, None)

    def index(self, partition: int, due: int, troubled: int) -> None:
        """(calls in the index of what is due, of these the ones on which looks fail)"""
        self._indexed[partition] = due, troubled

    def move(self, tally: Tally) -> None:
        """Apply a batch. One that was committed while its partition was being given away moves nothing."""
        partition = tally.partition
        if partition not in self._active:
            return
        for labels, n in tally.active.items():
            active = self._active[partition]
            active[labels] += n
            if not active[labels]:
                del active[labels]  # account ids of long ago
        self._overdue[partition].update(tally.overdue)
        self._gaps_open[partition].update(tally.gaps_open)
        heartbeat_s = tally.heartbeat_us / 1_000_000
        self._heartbeat_s[partition] = max(self._heartbeat_s[partition], heartbeat_s)

    def _show(self) -> None:
        self._sum(f.CALLS_ACTIVE, _each(self._active))
        self._sum(f.CALLS_OVERDUE, (((provider,), n) for provider, n in _each(self._overdue)))
        self._sum(f.SEQUENCE_GAPS_OPEN, (((source,), n) for source, n in _each(self._gaps_open)))
        self._board.numbers(f.DUE_CALLS).set((), sum(due for due, _ in self._indexed.values()))
        self._board.numbers(f.TROUBLED_CALLS).set((), sum(n for _, n in self._indexed.values()))
        # The oldest of the partitions: one lane that stands still must not hide behind the others.
        heartbeat_s = min(self._heartbeat_s.values(), default=0.0)
        self._board.numbers(f.HEARTBEAT).set(("state_visible",), heartbeat_s)

    def _sum(self, family: Family, held: Iterable[tuple[Any, int]]) -> None:
        series = self._board.numbers(family)
        for labels in series.by_labels:
            series.by_labels[labels] = 0.0
        for raw, n in held:
            series.add(self._board.admit(family, *raw, n=0), n)


def _each(held: Mapping[int, Counter[Held]]) -> Iterator[tuple[Held, int]]:
    return ((what, n) for counts in held.values() for what, n in counts.items())
