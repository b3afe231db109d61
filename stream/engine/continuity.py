"""Whether what was fetched of a source follows what was fetched before.

The rule of this file: a step backwards is never believed. A hole is believed when the broker leaves it again
on a fetch from its first offset: then its log has that offset and no record there (control records, aborted
or compacted ones). Records are believed to be gone when the log is said to begin above them, twice.
Pure: time is an argument, in seconds of any one clock.
"""

from __future__ import annotations

from collections.abc import Mapping

from faust.types import TP

FIRST_REST_S = 0.2
LONGEST_REST_S = 2.0


class Continuity:
    """The next expected offset of each source partition."""

    def __init__(self) -> None:
        self.expected: dict[TP, int] = {}
        self._asked_again: dict[TP, int] = {}
        self._gone: dict[TP, int] = {}
        self._rests: dict[TP, int] = {}
        self._rests_until: dict[TP, float] = {}

    def begin(self, offsets: Mapping[TP, int]) -> None:
        """An assignment's reading begins at `offsets`."""
        self.expected = dict(offsets)
        for kept in (self._asked_again, self._gone, self._rests, self._rests_until):
            kept.clear()

    def may_fetch(self, tp: TP, now: float) -> bool:
        """Whether `tp` is not at rest."""
        return now >= self._rests_until.get(tp, 0.0)

    def rest(self, tp: TP, now: float) -> None:
        """The broker that leads `tp` does not have what is expected: give its successor time."""
        rests = self._rests[tp] = self._rests.get(tp, 0) + 1
        self._rests_until[tp] = now + min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(rests - 1, 10))

    def follows(self, tp: TP, first: int, now: float) -> bool:
        """Whether records from `first` on are to be taken. If not, fetch from what is expected."""
        expected = self.expected[tp]
        if first < expected:
            self.rest(tp, now)
            return False
        if first > expected and self._asked_again.get(tp) != expected:
            self._asked_again[tp] = expected
            return False
        return True

    def took(self, tp: TP, end: int) -> tuple[int, int]:
        """Records up to `end` were taken. Returns where they began and `end`."""
        begin, self.expected[tp] = self.expected[tp], end
        self._gone.pop(tp, None)
        self._rests.pop(tp, None)
        return begin, end

    def begins(self, tp: TP, offset: int, begin: int) -> bool:
        """`offset` was refused, the log is said to begin at `begin`. True: it is gone, go on from there."""
        if begin <= offset:
            self._gone.pop(tp, None)
            return False
        self._gone[tp] = self._gone.get(tp, 0) + 1
        if self._gone[tp] < 2:
            return False
        self._asked_again[tp] = self.expected[tp]  # the hole up to `begin` is explained
        return True
