"""Whether more reads come than an account's limit lets through: then calls are read late, or never."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence

LOOK_S = 15.0
LOOKS = 5
"""A backlog grows if the last looks, a minute of them, found more and more."""

LEAST = 100
"""Fewer waiting reads are not worth a word: they are read within seconds."""

log = logging.getLogger("callstream.poller")


class BacklogWatch:
    """Looks at how many reads wait, by account. `waiting()` gives the numbers of those that can be read.

    An account is named from when its backlog grows until it is small or half of what it was at most. It is
    logged at both times.
    """

    def __init__(self, waiting: Callable[[], Mapping[str, int]]) -> None:
        self._waiting = waiting
        self._seen: dict[str, deque[int]] = {}
        self._most: dict[str, int] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        waiting = self._waiting()
        for name in self._seen.keys() - waiting.keys():
            del self._seen[name]
            self._most.pop(name, None)
        for name, count in waiting.items():
            seen = self._seen.setdefault(name, deque(maxlen=LOOKS))
            seen.append(count)
            if name not in self._most:
                if count >= LEAST and _grows(seen):
                    self._most[name] = count
                    log.warning("%s", _said(name, count))
                continue
            self._most[name] = max(self._most[name], count)
            if count < LEAST or count < self._most[name] / 2:
                del self._most[name]
                log.info("%s: the backlog of reads falls, %d wait", name, count)

    def notes(self) -> list[str]:
        """A sentence for each account whose backlog grows or has not fallen yet."""
        return [_said(name, self._seen[name][-1]) for name in self._most]


def _grows(seen: Sequence[int]) -> bool:
    """Whether it rose from the first two looks to the last two, without a single number being decisive."""
    return len(seen) == LOOKS and min(seen[-1], seen[-2]) > max(seen[0], seen[1])


def _said(name: str, count: int) -> str:
    return (
        f"{name}: {count} reads wait, and more come than are read: raise CALLSTREAM_POLL_RATE and "
        "CALLSTREAM_POLL_CONCURRENCY as far as the provider and this machine allow"
    )
