"""Which calls a tick must check: for each partition, keys by the second from which they are due.

The index mirrors the table and changes only when a batch is committed: a call that becomes due at another
second moves, a call that leaves the table is removed. So it is as large as the table and no larger.

A call on which a tick failed by an error of our own is retried after a pause that doubles. A call that keeps
failing is dead-lettered once, stays in the table and is retried every hour, so that a fixed version settles
it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Set
from typing import NamedTuple

SPARE_SECONDS = 64
"""Seconds without keys that are tolerated before the heap is rebuilt."""

_NOTHING: frozenset[bytes] = frozenset()

FIRST_PAUSE_S = 1
LONGEST_PAUSE_S = 3600
DEAD_LETTER_AFTER = 5
"""Failed ticks in a row before a call is dead-lettered: with the pauses between them, about 15 s."""


class DueIndex:
    """The due keys of one partition."""

    def __init__(self) -> None:
        self._seconds: list[int] = []
        self._keys: dict[int, set[bytes]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, second: int, key: bytes) -> None:
        """`key` is due from `second` on."""
        keys = self._keys.get(second)
        if keys is None:
            keys = self._keys[second] = set()
            heapq.heappush(self._seconds, second)
        self._size -= len(keys)
        keys.add(key)
        self._size += len(keys)

    def remove(self, second: int, key: bytes) -> None:
        """`key` is not due at `second` any more."""
        keys = self._keys.get(second)
        if keys is None or key not in keys:
            return
        keys.remove(key)
        self._size -= 1
        if not keys:
            del self._keys[second]
            while self._seconds and self._seconds[0] not in self._keys:
                heapq.heappop(self._seconds)
            if len(self._seconds) > 2 * len(self._keys) + SPARE_SECONDS:
                self._seconds = sorted(self._keys)

    def first(self, without: Set[bytes] = frozenset()) -> int | None:
        """The second from which a key that is not in `without` is due, None for never."""
        reached = [(second, 0) for second in self._seconds[:1]]
        while reached:
            second, at = heapq.heappop(reached)
            if not self._keys.get(second, _NOTHING) <= without:
                return second
            for below in range(2 * at + 1, min(2 * at + 3, len(self._seconds))):
                heapq.heappush(reached, (self._seconds[below], below))
        return None

    def until(self, second: int) -> Iterator[tuple[int, bytes]]:
        """(second, key) of the keys that are due at `second`, the longest due first, within a second by key.

        The order does not depend on how the index was filled. The index must not change during iteration.
        """
        for due in sorted(self._seconds_until(second)):
            for key in sorted(self._keys[due]):
                yield due, key

    def _seconds_until(self, second: int) -> set[int]:
        """The seconds with keys up to `second`. Walks the heap from its top and skips what is later."""
        found: set[int] = set()
        positions = [0]
        while positions:
            at = positions.pop()
            if at < len(self._seconds) and self._seconds[at] <= second:
                if self._seconds[at] in self._keys:
                    found.add(self._seconds[at])
                positions += (2 * at + 1, 2 * at + 2)
        return found


class TickFailure(NamedTuple):
    """Ticks of one call that failed. Kept in memory only: a restart starts again.

    - `failures`: in a row; `retry_s`: the second of the next attempt.
    - `successes_before`: how many ticks and deliveries of its lane had succeeded at the first failure.
    """

    failures: int
    retry_s: int
    successes_before: int


def next_failure(known: TickFailure | None, now_s: int, successes: int) -> TickFailure:
    """A tick failed at `now_s`. `successes`: how many ticks and deliveries of the lane succeeded by now."""
    if known is None:
        return TickFailure(1, now_s + FIRST_PAUSE_S, successes)
    pause_s = min(FIRST_PAUSE_S << min(known.failures, 20), LONGEST_PAUSE_S)
    return TickFailure(known.failures + 1, now_s + pause_s, known.successes_before)
