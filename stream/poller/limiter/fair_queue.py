"""The one queue of an account: every HTTP request to it waits here for its permit.

Priorities are heal, terminal, freshness, backfill, each first come, first served. Aging keeps the lower ones
from starving: a priority that was passed over PASSED_OVER times is due. Of STRICT + 1 turns at most one is
given for that reason, so that the most urgent priority that waits gets 7 of 8 turns.

Two kinds wait in each priority and take turns where both wait:
- waiters: the next page of a read in progress, a window, a backfill. There are few of them.
- requests: fetch requests whose read has not begun. There may be very many, so they have limited room, and a
  newer request replaces an older one for the same thing. They get turns while their priority is `admitted`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from stream.core.fetches import PRIORITIES

PASSED_OVER = 8
STRICT = 7

ROOM = 5000
"""Requests of an account that may wait: at 10 a second more than eight minutes of them."""

RESERVED = 8
"""Each priority has an eighth of the room for itself: aging helps only what may wait."""

T = TypeVar("T")


class PutResult(NamedTuple, Generic[T]):
    """What a new request displaced: one with the same key, or one that has no room, which may be itself."""

    replaced: T | None = None
    deferred: T | None = None


class _Priority(Generic[T]):
    """What waits with one priority: waiters by themselves, requests by their keys."""

    def __init__(self) -> None:
        self.waiters: OrderedDict[Hashable, T] = OrderedDict()
        self.requests: OrderedDict[Hashable, T] = OrderedDict()
        self.admitted = True
        self.passed_over = 0
        self._waiters_turn = True

    def has_next(self) -> bool:
        return bool(self.waiters) or (self.admitted and bool(self.requests))

    def take(self) -> T:
        from_waiters = bool(self.waiters) and (self._waiters_turn or not (self.admitted and self.requests))
        self._waiters_turn = not from_waiters
        self.passed_over = 0
        return (self.waiters if from_waiters else self.requests).popitem(last=False)[1]

    def remove(self, matches: Callable[[T], bool]) -> list[T]:
        removed = [
            waiting.pop(key)
            for waiting in (self.waiters, self.requests)
            for key in [key for key, item in waiting.items() if matches(item)]
        ]
        if not self.waiters and not self.requests:
            self.passed_over = 0
        return removed


class FairPriorityQueue(Generic[T]):
    """`room`: how many requests may wait. Waiters are hashable. An unknown priority raises KeyError."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._priorities: dict[str, _Priority[T]] = {name: _Priority() for name in PRIORITIES}
        self._strict = STRICT

    def waiting(self) -> dict[str, int]:
        """How many wait, by priority."""
        return {name: len(one.waiters) + len(one.requests) for name, one in self._priorities.items()}

    def join(self, waiter: T, priority: str) -> None:
        """Wait at the end of a priority."""
        self._priorities[priority].waiters[waiter] = waiter

    def put(self, key: Hashable, request: T, priority: str) -> PutResult[T]:
        """Put a request at the end of its priority. It replaces one of the same key, and takes its position
        where that is at least as urgent.
        """
        own = self._priorities[priority].requests
        for name, one in self._priorities.items():
            if key in one.requests:
                older = one.requests[key]
                if PRIORITIES.index(priority) < PRIORITIES.index(name):
                    del one.requests[key]
                    own[key] = request
                else:
                    one.requests[key] = request
                return PutResult(replaced=older)
        deferred = None
        if sum(len(one.requests) for one in self._priorities.values()) >= self._room:
            deferred = self._make_room(priority)
            if deferred is None:
                return PutResult(deferred=request)
        own[key] = request
        return PutResult(deferred=deferred)

    def _make_room(self, priority: str) -> T | None:
        """Remove the newest request of the lowest priority that exceeds its reserved room, for a heal request
        or for one whose priority is below its own reserved room.
        """
        reserved = self._room // RESERVED
        if priority == "heal" or len(self._priorities[priority].requests) < reserved:
            for name in reversed(PRIORITIES):
                if name != priority and len(self._priorities[name].requests) > reserved:
                    return self._priorities[name].requests.popitem()[1]
        return None

    def remove(self, matches: Callable[[T], bool]) -> list[T]:
        """Remove and return what matches, the most urgent first."""
        return [item for one in self._priorities.values() for item in one.remove(matches)]

    def admit(self, priority: str, admitted: bool) -> None:
        """Whether requests of this priority get turns."""
        self._priorities[priority].admitted = admitted

    def has_next(self) -> bool:
        return any(one.has_next() for one in self._priorities.values())

    def take(self) -> T:
        """Remove and return the next. Raises IndexError where `has_next` is false."""
        waiting = [one for one in self._priorities.values() if one.has_next()]
        if not waiting:
            raise IndexError("nothing waits")
        eldest = max(waiting, key=lambda one: one.passed_over)
        is_due = eldest.passed_over >= PASSED_OVER and self._strict >= STRICT
        chosen = eldest if is_due else waiting[0]
        self._strict = self._strict + 1 if chosen is waiting[0] else 0
        for lower in waiting[waiting.index(chosen) + 1 :]:
            lower.passed_over += 1
        return chosen.take()
