"""What one poller may use of an account, of all that the account may.

The rule of this file: the shares of all members together are the ceilings, no more and no less, in each
second too; and each member knows its own without asking the others.

Members do not know when the others send: in the worst second each sends its share rounded up. So nobody but
the last has a part of a request.
"""

from __future__ import annotations

import math


def parts(rate: float, concurrency: int) -> int:
    """Among so many members at most can an account be dealt out: each has at least one request at once and
    one a second, or all that there is.
    """
    return max(1, min(concurrency, math.floor(rate)))


def rate_share(rate: float, concurrency: int, rank: int, active: int) -> float:
    """Requests a second of the member of this rank (from 0) among so many that own partitions.

    In proportion to its slots, and whole; what is left over is the last one's. Who is one too many for
    `parts` has none.
    """
    if not 0 <= rank < active:
        return 0.0
    return _rate_below(rate, concurrency, rank + 1, active) - _rate_below(rate, concurrency, rank, active)


def _rate_below(rate: float, concurrency: int, rank: int, active: int) -> float:
    """What the members below this rank have together."""
    dealt = parts(rate, concurrency)
    theirs = sum(slots_share(dealt, lower, active) for lower in range(rank))
    return rate if theirs == dealt else float(math.floor(rate * theirs / dealt))


def slots_share(concurrency: int, rank: int, active: int) -> int:
    """Requests at once of the member of this rank (from 0) among so many that own partitions.

    Slot `i` is of the member `i % active`: those of a low rank have one more where it does not divide.
    """
    if not 0 <= rank < active:
        return 0
    return len(range(rank, concurrency, active))
