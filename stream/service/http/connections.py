"""The connections of one HTTP server: how many there may be, and which one is cut when there are too many.

A connection that does nothing is cut first. A connection's youth never counts against it: the youngest is the
one that is about to send a request. Time is an argument, in seconds of one monotonic clock.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

AT_MOST = 4096

REFUSED_AT_ONCE = 10
PAUSE_S = 0.1
"""The pause after each request of a connection that was refused more often than that and never granted
anything, so that it leaves the event loop to others.
"""

RESERVE = 96
"""File descriptors for Kafka's sockets, the log, data files and the 32 connections of the role's own HTTP."""

FEWEST = 16
"""Connections that are allowed even where the limit leaves no room: slow service is better than none."""


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return it. Unlimited is C's largest `int`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # some systems show a hard limit that they do not grant: the soft one stays
    return (1 << 31) - 1 if soft == resource.RLIM_INFINITY else soft


def connections_at_most(wanted: int, limit: int) -> int:
    """How many connections to allow, up to `wanted`, where `limit` descriptors can be open."""
    return max(FEWEST, min(wanted, limit - RESERVE))


@dataclass(slots=True)
class _Connection:
    """`since`: when it entered its group. `good`: one of its requests was granted; `refused`: how many were
    not."""

    abort: Callable[[], object]
    since: float
    asked: bool = False
    good: bool = False
    refused: int = 0


Group = dict[object, _Connection]
"""By the connection's protocol, in the order of `since`: the oldest first."""


class Connections:
    """All connections of one server, from the moment they are accepted.

    `cut`: how many were ended for being idle or slow, or not accepted because there was no room.
    """

    first_request_s = 10.0
    """Time limit for all headers of a connection's first request."""
    work_s = 30.0
    """Time limit for an answer, and for reading it. No answer of a role takes half as long."""
    idle_s = 35.0
    """Limit between two requests. The server itself closes such a connection after 30 s; this is for clients
    that prevent it, because they have not read their answer."""

    def __init__(self, at_most: int = AT_MOST) -> None:
        self.cut = 0
        self.closing = False
        self.at_most = at_most
        # In the order in which they are cut; those whose client does not read its answer first.
        self._unread: Group = {}
        self._strangers: Group = {}
        self._good: Group = {}
        self._working: Group = {}
        self._idle = (self._unread, self._strangers, self._good)
        self._groups = (*self._idle, self._working)

    def __len__(self) -> int:
        return sum(map(len, self._groups))

    def connected(self, key: object, abort: Callable[[], object], now_s: float) -> None:
        """A connection was accepted, or its handshake has ended."""
        self._take(key)
        self._strangers[key] = _Connection(abort, now_s)

    def disconnected(self, key: object) -> None:
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

    def is_full(self) -> bool:
        """Whether another must be cut before one more is accepted."""
        return len(self) >= self.at_most

    def make_room(self) -> bool:
        """Whether there is room for one more, if need be by cutting the oldest idle one.

        First those that do not read are cut, then those that were never granted anything, then the others.
        """
        if not self.is_full() or self.shed(1):
            return True
        self.cut += 1  # the newcomer, which is not accepted
        return False

    def shed(self, count: int) -> int:
        """Cut this many idle ones, in the same order. Returns how many there were."""
        return self._abort_all(islice((key for group in self._idle for key in group), count))

    def enforce_limits(self, now_s: float) -> None:
        """Cut all that exceed their time limit."""
        work, idle = now_s - self.work_s, now_s - self.idle_s
        for group, since in zip(self._groups, (work, idle, idle, work), strict=True):
            self._abort_all(key for key, one in group.items() if one.since <= since)
        silent = ((key, one) for key, one in self._strangers.items() if not one.asked)
        self._abort_all(key for key, one in silent if one.since <= now_s - self.first_request_s)

    def _take(self, key: object) -> _Connection | None:
        for group in self._groups:
            one = group.pop(key, None)
            if one is not None:
                return one
        return None

    def _abort_all(self, keys: Iterable[object]) -> int:
        found = [*keys]
        for key in found:
            self.abort(key)
        return len(found)

    def abort(self, key: object) -> None:
        """End a connection, and count it."""
        one = self._take(key)
        if one is not None:
            self.cut += 1
            one.abort()
