"""Calls on which a tick's look failed by an error of our own: when they are looked at again.

The rule of this file: nothing is forgotten and nothing is retried at full speed. A look that failed is
repeated after a pause that doubles. A call that keeps failing is set aside: a copy of its state becomes a
dead letter, once, and the call stays in the table and is looked at once an hour, so that a mended version
settles it.
"""

from __future__ import annotations

from typing import NamedTuple

FIRST_PAUSE_S = 1
LONGEST_PAUSE_S = 3600
SET_ASIDE_AFTER = 5
"""Looks that failed in a row before a call is set aside: with the pauses between them, some 15 s."""


class Trouble(NamedTuple):
    """One call's. Kept in memory: a restart begins anew.

    `failures` in a row; `again_s` the second from which it is looked at again; `good_before` how many good
    looks and deliveries its lane had had when the first look failed.
    """

    failures: int
    again_s: int
    good_before: int


def next_trouble(known: Trouble | None, now_s: int, good: int) -> Trouble:
    """A look failed at `now_s`, the first one or one more. `good`: how many the lane has had by now."""
    if known is None:
        return Trouble(1, now_s + FIRST_PAUSE_S, good)
    pause_s = min(FIRST_PAUSE_S << min(known.failures, 20), LONGEST_PAUSE_S)
    return Trouble(known.failures + 1, now_s + pause_s, known.good_before)
