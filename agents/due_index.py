"""Which calls a tick must look at: for each partition, keys by the second from which they are due.

The rule of this file: it is an index of what the table holds, entry for entry, and changes only when a batch
was committed. A call that is due at another second moves, one that leaves the table is gone: so it is as
large as the table and no larger.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

SPARE_SECONDS = 64
"""So many seconds without keys are kept in any case before the heap is made anew."""


class Due:
    """The due keys of one partition. Looking is repeatable."""

    def __init__(self) -> None:
        self._seconds: list[int] = []
        self._keys: dict[int, set[bytes]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, second: int, key: bytes) -> None:
        """`key` is to be looked at from `second` on."""
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
            self._tidy()

    def _tidy(self) -> None:
        """Forget the seconds that have no keys, as soon as they are more than those that have."""
        while self._seconds and self._seconds[0] not in self._keys:
            heapq.heappop(self._seconds)
        if len(self._seconds) > 2 * len(self._keys) + SPARE_SECONDS:
            self._seconds = sorted(self._keys)

    def first(self) -> int | None:
        """The second from which something is due, None for never."""
        return self._seconds[0] if self._seconds else None

    def until(self, second: int) -> Iterator[tuple[int, bytes]]:
        """(second, key) of those that are due at `second`, the longest due first, within a second by key.

        The order does not depend on how the index was filled. It must not change meanwhile.
        """
        for due in sorted(self._seconds_until(second)):
            for key in sorted(self._keys[due]):
                yield due, key

    def _seconds_until(self, second: int) -> set[int]:
        """Those of the heap that have keys, walked from its top: what is later is not touched."""
        found: set[int] = set()
        places = [0]
        while places:
            at = places.pop()
            if at < len(self._seconds) and self._seconds[at] <= second:
                if self._seconds[at] in self._keys:
                    found.add(self._seconds[at])
                places += (2 * at + 1, 2 * at + 2)
        return found
