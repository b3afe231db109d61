"""The one queue of an account: every HTTP request to it waits here for its permit.

Priorities are heal, terminal, freshness, backfill, each first come, first served. Aging keeps the lower ones
from starving: a priority that was passed over PASSED_OVER times is due. Of STRICT + 1 turns at most one is
given for that reason, so that the most urgent priority that waits gets 7 of 8 turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from stream.core.fetches import PRIORITIES

PASSED_OVER = 8
STRICT = 7

T = TypeVar("T")


class FairPriorityQueue(Generic[T]):
    """Few wait at once: the reads in progress. An unknown priority raises KeyError."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[T]] = {name: [] for name in PRIORITIES}
        self._passed_over = dict.fromkeys(PRIORITIES, 0)
        self._strict = STRICT

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    def waiting(self) -> dict[str, int]:
        """How many wait, by priority."""
        return {name: len(ones) for name, ones in self._waiting.items()}

    def join(self, waiter: T, priority: str) -> None:
        """Wait at the end of a priority."""
        self._waiting[priority].append(waiter)

    def remove(self, matches: Callable[[T], bool]) -> list[T]:
        """Remove and return what matches, the most urgent first."""
        removed = []
        for name, ones in self._waiting.items():
            removed += [one for one in ones if matches(one)]
            ones[:] = [one for one in ones if not matches(one)]
            if not ones:
                self._passed_over[name] = 0
        return removed

    def take(self) -> T:
        """Remove and return the next. Raises IndexError where nothing waits."""
        waiting = [name for name, ones in self._waiting.items() if ones]
        if not waiting:
            raise IndexError("nothing waits")
        eldest = max(waiting, key=self._passed_over.__getitem__)
        is_due = self._passed_over[eldest] >= PASSED_OVER and self._strict >= STRICT
        chosen = eldest if is_due else waiting[0]
        self._strict = self._strict + 1 if chosen == waiting[0] else 0
        for lower in waiting[waiting.index(chosen) + 1 :]:
            self._passed_over[lower] += 1
        self._passed_over[chosen] = 0
        return self._waiting[chosen].pop(0)
