"""One subscriber's queue: bounded, and cut off when it is full."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Literal

from stream.api.live.positions import Positions
from stream.api.live.selection import LiveRecord, LiveSelection

QUEUE = 1000
"""Records that wait for a subscriber."""

Ending = Literal["slow", "stopping", "away", "lost", "revoked"]


class LiveSubscription:
    """What waits for one subscriber. `joined`: the positions from which on it is given the records."""

    def __init__(self, selection: LiveSelection, most: int = QUEUE) -> None:
        self.selection = selection
        self.joined: Positions = {}
        self.ending: Ending | None = None
        self._most = most
        self._waiting: deque[LiveRecord] = deque()
        self._woken = asyncio.Event()

    def offer(self, record: LiveRecord) -> None:
        """Add a record that the subscriber follows. A full queue ends the subscription."""
        if self.ending is None and self.selection.admits(record):
            if len(self._waiting) >= self._most:
                self.end("slow")
            else:
                self._waiting.append(record)
                self._woken.set()

    def end(self, why: Ending) -> None:
        """What waits is still sent, then the stream ends; of `revoked`, nothing more is sent."""
        if why == "revoked":
            self._waiting.clear()
        self.ending = why if why == "revoked" else self.ending or why
        self._woken.set()

    async def next(self, timeout_s: float) -> LiveRecord | None:
        """The next record; None if none came in time, or there are no more (`ending` says why)."""
        if not self._waiting and self.ending is None:
            self._woken.clear()
            # A record may come while the wait ends: without it, the stream would say a place behind it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._woken.wait()
        return self._waiting.popleft() if self._waiting else None
