"""The connections of one HTTP server: how many there may be, and which one is cut when there are too many.

A connection that does nothing is cut first. A connection's youth never counts against it: the youngest is the
one that is about to send a request. Time is an argument, in seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

FIRST_REQUEST_S = 10.0
"""Time limit for all headers of a connection's first request."""

WORK_S = 30.0
"""Time limit for an answer, and for reading it. No answer of a role takes half as long."""

IDLE_S = 35.0
"""Limit between two requests. The server itself closes such a connection after 30 s; this is for clients that
prevent it, because they have not read their answer.
"""

AT_MOST = 4096

REFUSED_AT_ONCE = 10
PAUSE_S = 0.1
"""The pause after each request of a connection that was refused more often than that and never granted
anything, so that it leaves the event loop to others.
"""


class Transport(Protocol):
    """The part of asyncio's transport that is used here."""

    def abort(self) -> None: ...


class _Connection:
    """`since`: when it entered its group. `good`: one of its requests was granted.

    `refused`: the number of its requests that were not.
    """

    __slots__ = ("asked", "good", "refused", "since", "transport")

    def __init__(self, transport: Transport, now_s: float) -> None:
        self.transport = transport
        self.since = now_s
        self.asked = False
        self.good = False
        self.refused = 0


Group = dict[object, _Connection]
"""By the connection's protocol, in the order of `since`: the oldest first."""


class Connections:
    """All connections of one server.

    `cut`: how many were ended for being idle or slow, or not accepted because there was no room.
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

    def connected(self, key: object, transport: Transport, now_s: float) -> None:
        """A connection was accepted."""
        self._strangers[key] = _Connection(transport, now_s)

    def disconnected(self, key: object) -> None:
        """It is closed, by either side."""
        self._take(key)

    def request_started(self, key: object, now_s: float) -> None:
        """All headers of a request were received."""
        one = self._take(key)
        if one is not None:
            one.asked, one.since = True, now_s
            self._working[key] = one

    def request_ended(self, key: object, now_s: float, *, good: bool) -> float:
        """A request was answered; `good`: it was granted.

        Returns the seconds until the next request is read: 0, except for a connection whose requests are
        refused again and again. A proxy's connection soon carries one that is granted.
        """
        one = self._take(key)
        if one is None:
            return 0.0
        one.since = now_s
        one.good = one.good or good
        one.refused += not good
        (self._good if one.good else self._strangers)[key] = one
        return PAUSE_S if not one.good and one.refused > REFUSED_AT_ONCE else 0.0

    def write_blocked(self, key: object) -> None:
        """The client does not read its answer. Its time counts from the start of the request."""
        one = self._take(key)
        if one is not None:
            self._unread[key] = one

    def write_unblocked(self, key: object) -> None:
        """The client reads again; its request goes on as before."""
        one = self._unread.pop(key, None)
        if one is not None:
            self._working[key] = one

    def is_full(self, coming: int = 0) -> bool:
        """Whether another must be cut before one more is accepted. `coming`: those in a handshake."""
        return len(self) + coming >= self.at_most

    def has_silent_since(self, moment_s: float) -> bool:
        """Whether a client does not read, or was never granted anything and has been silent since then."""
        if self._unread:
            return True
        longest = next(iter(self._strangers.values()), None)
        return longest is not None and longest.since <= moment_s

    def make_room(self, coming: int = 0) -> bool:
        """Whether there is room for one more beside the `coming`, if need be by cutting the oldest idle one.

        First those that do not read are cut, then those that were never granted anything, then the others.
        """
        if not self.is_full(coming):
            return True
        for group in (self._unread, self._strangers, self._good):
            for key in group:
                self.abort(key)
                return True
        self.cut += 1  # the newcomer, which is not accepted
        return False

    def shed(self, count: int) -> None:
        """Cut this many idle ones, in the same order."""
        idle = (key for group in (self._unread, self._strangers, self._good) for key in group)
        self._abort_all(key for key, _ in zip(idle, range(count), strict=False))

    def enforce_limits(self, now_s: float) -> None:
        """Cut all that exceed their time limit."""
        for group, limit_s in ((self._working, self._work_s), (self._unread, self._work_s)):
            self._abort_all(_older(group, now_s - limit_s))
        late = _older(self._strangers, now_s - self._first_request_s)
        self._abort_all([key for key in late if not self._strangers[key].asked])
        for group in (self._strangers, self._good):
            self._abort_all(_older(group, now_s - self._idle_s))

    @property
    def _groups(self) -> tuple[Group, ...]:
        return self._unread, self._strangers, self._good, self._working

    def _take(self, key: object) -> _Connection | None:
        for group in self._groups:
            one = group.pop(key, None)
            if one is not None:
                return one
        return None

    def _abort_all(self, keys: Iterable[object]) -> None:
        for key in [*keys]:
            self.abort(key)

    def abort(self, key: object) -> None:
        """End a connection, and count it."""
        one = self._take(key)
        if one is not None:
            self.cut += 1
            one.transport.abort()


def _older(group: Group, than_s: float) -> list[object]:
    return [key for key, one in group.items() if one.since <= than_s]
