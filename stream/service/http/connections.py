"""Connections of one HTTP server: how many there may be, and which one goes when there are too many.

The rule of this file: whoever holds a connection and does nothing with it goes first. Nothing here decides by
how young a connection is: the youngest is the one that has something to say. Time is an argument, in seconds
of one clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

FIRST_REQUEST_S = 10.0
"""A connection's first request must have all of its headers by then."""

WORK_S = 30.0
"""A request must be answered by then, and its answer read: nothing that a role answers takes half as long."""

IDLE_S = 35.0
"""Between two requests. The server itself closes such a connection after 30 s; this is for those that do not
let it, because they have not read what they were answered.
"""

AT_MOST = 4096

REFUSED_AT_ONCE = 10
PAUSE_S = 0.1
"""The pause after each request of a connection that was refused more often than that and never granted
anything: it shares the event loop with those that were.
"""


class Transport(Protocol):
    """Of asyncio's transport, what is needed here."""

    def abort(self) -> None: ...


class _Connection:
    """`since`: when it began to be what it is. `good`: it has once asked for something that was granted.

    `refused`: its requests that were not.
    """

    __slots__ = ("asked", "good", "refused", "since", "transport")

    def __init__(self, transport: Transport, now_s: float) -> None:
        self.transport = transport
        self.since = now_s
        self.asked = False
        self.good = False
        self.refused = 0


Group = dict[object, _Connection]
"""By the connection's protocol, in the order of `since`: the longest first."""


class Connections:
    """All connections of one server. `cut` counts those that were ended here for what they did not do, and
    those for which there was no room.
    """

    def __init__(
        self,
        *,
        at_most: int = AT_MOST,
        first_request_s: float = FIRST_REQUEST_S,
        work_s: float = WORK_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self.cut = 0
        self.closing = False
        self.at_most = at_most
        self._first_request_s = first_request_s
        self._work_s = work_s
        self._idle_s = idle_s
        self._unread: Group = {}
        self._strangers: Group = {}
        self._good: Group = {}
        self._working: Group = {}

    def __len__(self) -> int:
        return sum(map(len, self._groups))

    def made(self, key: object, transport: Transport, now_s: float) -> None:
        """A connection is there."""
        self._strangers[key] = _Connection(transport, now_s)

    def lost(self, key: object) -> None:
        """It is gone, by whomever."""
        self._take(key)

    def began(self, key: object, now_s: float) -> None:
        """A request of it has all of its headers."""
        one = self._take(key)
        if one is not None:
            one.asked, one.since = True, now_s
            self._working[key] = one

    def ended(self, key: object, now_s: float, *, good: bool) -> float:
        """It was answered; `good`: with what it asked for.

        Returns the seconds until its next request is looked at: 0 but for those that ask again and again for
        what they do not get. A proxy's connection soon carries something that is granted.
        """
        one = self._take(key)
        if one is None:
            return 0.0
        one.since = now_s
        one.good = one.good or good
        one.refused += not good
        (self._good if one.good else self._strangers)[key] = one
        return PAUSE_S if not one.good and one.refused > REFUSED_AT_ONCE else 0.0

    def stuck(self, key: object) -> None:
        """It does not read what it was answered; for how long is counted from when that was asked for."""
        one = self._take(key)
        if one is not None:
            self._unread[key] = one

    def reads(self, key: object) -> None:
        """It reads again, and its request is in work as before."""
        one = self._unread.pop(key, None)
        if one is not None:
            self._working[key] = one

    def cut_off(self, key: object) -> None:
        """It does what nobody may."""
        self._cut(key)

    def crowded(self, coming: int = 0) -> bool:
        """Whether somebody has to go before one more is taken beside the `coming`."""
        return len(self) + coming >= self.at_most

    def has_silent_since(self, moment_s: float) -> bool:
        """Whether there is one that does not read, or that was never granted anything and is silent for so
        long at least.
        """
        if self._unread:
            return True
        longest = next(iter(self._strangers.values()), None)
        return longest is not None and longest.since <= moment_s

    def make_room(self, coming: int = 0) -> bool:
        """Whether there is room for one more beside the `coming`, if need be after the longest idle one went.

        Those that do not read go first, then those that were never granted anything, then the others.
        """
        if not self.crowded(coming):
            return True
        for group in (self._unread, self._strangers, self._good):
            for key in group:
                self._cut(key)
                return True
        self.cut += 1  # the newcomer, who is not taken
        return False

    def shed(self, count: int) -> None:
        """Cut so many of those that do nothing, in the same order."""
        idle = (key for group in (self._unread, self._strangers, self._good) for key in group)
        self._cut_all(key for key, _ in zip(idle, range(count), strict=False))

    def look(self, now_s: float) -> None:
        """Cut whoever has taken longer than anything may."""
        for group, limit_s in ((self._working, self._work_s), (self._unread, self._work_s)):
            self._cut_all(_older(group, now_s - limit_s))
        late = _older(self._strangers, now_s - self._first_request_s)
        self._cut_all([key for key in late if not self._strangers[key].asked])
        for group in (self._strangers, self._good):
            self._cut_all(_older(group, now_s - self._idle_s))

    @property
    def _groups(self) -> tuple[Group, ...]:
        return self._unread, self._strangers, self._good, self._working

    def _take(self, key: object) -> _Connection | None:
        for group in self._groups:
            one = group.pop(key, None)
            if one is not None:
                return one
        return None

    def _cut_all(self, keys: Iterable[object]) -> None:
        for key in [*keys]:
            self._cut(key)

    def _cut(self, key: object) -> None:
        one = self._take(key)
        if one is not None:
            self.cut += 1
            one.transport.abort()


def _older(group: Group, than_s: float) -> list[object]:
    return [key for key, one in group.items() if one.since <= than_s]
