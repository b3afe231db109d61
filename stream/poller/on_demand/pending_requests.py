"""Requests that wait for one account: who goes next, and who is sent away when there are too many.

The rule of this file: nothing waits twice and nothing waits without a bound. A newer request for the same
resource of the same call takes the older one's place; when the room is full the least urgent is sent away,
and is told so. But every priority keeps a part of the room: the budget starves nobody that waits, so all of
them must be able to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from stream.core.fetches import PRIORITIES, FetchRequest
from stream.poller.on_demand.offsets import Offsets

ROOM = 5000
"""So many requests may wait for an account, at most: with 10 a second, for more than eight minutes."""

KEPT = 8
"""Each priority has an eighth of the room for itself."""

_Identity = tuple[str, str, str | None, str]


class PendingRequest(NamedTuple):
    """A request, and where its record lies."""

    request: FetchRequest
    offsets: Offsets
    offset: int

    def done(self) -> None:
        """Its record need not be read again."""
        self.offsets.done(self.offset)


class PutResult(NamedTuple):
    """What became of others, or of itself, when a request was put into a queue.

    - `replaced`: an older one for the same, which needs no read any more.
    - `deferred`: one that there is no room for.
    """

    replaced: PendingRequest | None = None
    deferred: PendingRequest | None = None


class PendingRequests:
    """The requests of one account. First come, first served, within a priority."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._lines: dict[str, OrderedDict[_Identity, PendingRequest]] = {
            priority: OrderedDict() for priority in PRIORITIES
        }

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def put(self, asked: PendingRequest) -> PutResult:
        """It waits now, unless it is the one that is deferred."""
        older = self._older(asked)
        if older is not None:
            self._put_in_place(asked, older)
            return PutResult(replaced=older)
        deferred = self._make_room(asked.request.priority) if len(self) >= self._room else None
        if len(self) >= self._room:
            return PutResult(deferred=asked)
        self._lines[asked.request.priority][_identity(asked)] = asked
        return PutResult(deferred=deferred)

    def take(self, running: Mapping[str, int], slots: int) -> PendingRequest | None:
        """The next to be read, or None where nobody waits or it is not their turn.

        `running`: how many of each priority are being read, or wait for the budget. Whoever is more urgent
        may have all `slots`, whatever else is running; of every priority that waits one is always let
        through, so that the budget, which starves nobody, has it to choose from. Without slots nobody is.
        """
        if slots <= 0:
            return None
        ahead = 0
        for priority, line in self._lines.items():
            ahead += running.get(priority, 0)
            if line and (ahead < slots or not running.get(priority, 0)):
                return line.popitem(last=False)[1]
        return None

    def clear(self) -> list[PendingRequest]:
        """Nobody waits any more; those who did."""
        left = [asked for line in self._lines.values() for asked in line.values()]
        for line in self._lines.values():
            line.clear()
        return left

    def _older(self, asked: PendingRequest) -> PendingRequest | None:
        lines = self._lines.values()
        return next((line[identity] for line in lines if (identity := _identity(asked)) in line), None)

    def _put_in_place(self, asked: PendingRequest, older: PendingRequest) -> None:
        """It stands where the older one stood, or behind those of its own priority if that is higher."""
        urgent = min(asked.request.priority, older.request.priority, key=PRIORITIES.index)
        if urgent != older.request.priority:
            del self._lines[older.request.priority][_identity(older)]
        self._lines[urgent][_identity(asked)] = asked._replace(
            request=replace(asked.request, priority=urgent)
        )

    def _make_room(self, priority: str) -> PendingRequest | None:
        """Sends away the newest of the lowest priority that has more than its own part of the room.

        That is done to heal, and for who has less than its part.
        """
        kept = self._room // KEPT
        if priority != "heal" and len(self._lines[priority]) >= kept:
            return None
        others = (self._lines[one] for one in reversed(PRIORITIES) if one != priority)
        line = next((line for line in others if len(line) > kept), None)
        return line.popitem()[1] if line else None


def _identity(asked: PendingRequest) -> _Identity:
    request = asked.request
    return request.key, request.source, request.edge, request.reason
