"""Which calls a tick must look at: for each partition, keys by the second from which they are due.

The rule of this file: it is an index of what the table holds and may be behind or ahead of it, so whoever
takes a key from here asks the state itself. It changes only when a batch was committed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator


class Due:
    """The due keys of one partition. Looking is repeatable; `forget` is said after the commit."""

    def __init__(self) -> None:
        self._seconds: list[int] = []
        self._keys: dict[int, list[bytes]] = {}

    def add(self, second: int, key: bytes) -> None:
        """`key` is to be looked at from `second` on."""
        keys = self._keys.get(second)
        if keys is None:
            self._keys[second] = [key]
            heapq.heappush(self._seconds, second)
        else:
            keys.append(key)

    def until(self, second: int) -> Iterator[tuple[int, bytes]]:
        """(second, key) of those that are due at `second`, the longest due first, within a second by key.

        The order does not depend on how the index was filled. It must not change meanwhile.
        """
        for due in sorted(self._seconds_until(second)):
            for key in sorted(set(self._keys[due])):
                yield due, key

    def _seconds_until(self, second: int) -> list[int]:
        """Those of the heap, walked from its top: what is later is not touched."""
        found: list[int] = []
        places = [0]
        while places:
            at = places.pop()
            if at < len(self._seconds) and self._seconds[at] <= second:
                found.append(self._seconds[at])
                places += (2 * at + 1, 2 * at + 2)
        return found

    def forget(self, looked_at: Iterable[tuple[int, bytes]]) -> None:
        """These were looked at; where they are due again they were added again."""
        by_second: dict[int, set[bytes]] = {}
        for second, key in looked_at:
            by_second.setdefault(second, set()).add(key)
        for second, keys in by_second.items():
            left = [key for key in self._keys.get(second, ()) if key not in keys]
            if left:
                self._keys[second] = left
            elif second in self._keys:
                del self._keys[second]
        while self._seconds and self._seconds[0] not in self._keys:
            heapq.heappop(self._seconds)
