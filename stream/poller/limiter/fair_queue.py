"""Who waits for a turn, and who is next.

The rule of this file: heal before terminal before freshness before backfill, first come first served within
each; and nobody is passed over for ever. A class that was passed over PASSED_OVER times is due; of STRICT + 1
turns at most one goes to a class for that reason, so that the highest class that waits has 7 of 8.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from stream.core.fetches import PRIORITIES

PASSED_OVER = 8
STRICT = 7

W = TypeVar("W")


class FairPriorityQueue(Generic[W]):
    """Those who wait, each with one of PRIORITIES. Whoever waits is hashable and waits once."""

    def __init__(self) -> None:
        self._classes: dict[str, OrderedDict[W, None]] = {name: OrderedDict() for name in PRIORITIES}
        self._passed_over = dict.fromkeys(PRIORITIES, 0)
        self._strict = STRICT

    def __len__(self) -> int:
        return sum(map(len, self._classes.values()))

    def waiting(self) -> dict[str, int]:
        """How many wait in each class."""
        return {name: len(members) for name, members in self._classes.items()}

    def join(self, member: W, priority: str) -> None:
        """To the end of a class. Raises KeyError for an unknown one."""
        self._classes[priority][member] = None

    def leave(self, member: W) -> None:
        """Wait no more. Nothing happens to who does not wait."""
        for name, members in self._classes.items():
            if member in members:
                del members[member]
                self._forget_if_empty(name)
                return

    def take(self) -> W:
        """The next, who waits no more. Raises IndexError where nobody waits."""
        waiting = [name for name in PRIORITIES if self._classes[name]]
        if not waiting:
            raise IndexError("nobody waits")
        name = self._next(waiting)
        self._note(name, waiting)
        member, _ = self._classes[name].popitem(last=False)
        self._forget_if_empty(name)
        return member

    def _next(self, waiting: list[str]) -> str:
        """Of the classes that wait, highest first: the one passed over most if it is due, or the highest."""
        longest = max(waiting, key=self._passed_over.__getitem__)
        due = self._passed_over[longest] >= PASSED_OVER and self._strict >= STRICT
        return longest if due else waiting[0]

    def _note(self, name: str, waiting: list[str]) -> None:
        self._strict = self._strict + 1 if name == waiting[0] else 0
        for lower in waiting[waiting.index(name) + 1 :]:
            self._passed_over[lower] += 1
        self._passed_over[name] = 0

    def _forget_if_empty(self, name: str) -> None:
        if not self._classes[name]:
            self._passed_over[name] = 0
