"""How far a partition is done, where requests are done in any order.

The rule of this file: an offset is committed only when nothing before it is undone. What is kept are the
undone ones, so that one slow request costs no memory for those that overtake it.
"""

from __future__ import annotations


class Offsets:
    """Of one partition, for as long as it is ours."""

    def __init__(self) -> None:
        self._undone: dict[int, None] = {}  # in ascending order, as they came
        self._end: int | None = None

    @property
    def undone(self) -> int:
        """How many are taken and not done."""
        return len(self._undone)

    def take(self, offset: int) -> None:
        """A record is in our hands. Offsets come in ascending order."""
        self._undone[offset] = None
        self._end = offset + 1

    def done(self, offset: int) -> None:
        """Nothing is left to do for it. A second time changes nothing."""
        self._undone.pop(offset, None)

    def position(self) -> int | None:
        """The lowest undone offset; without one, that behind the last taken; None where none was taken."""
        return next(iter(self._undone), self._end)
