"""Up to where a changelog must be read: what the committed offsets say, not what a broker says.

A broker that was cut off from the others, or has just woken, still takes itself for the leader and answers
with its old end of the changelog. The committed offsets come from the group's coordinator, and each carries
the changelog offset that its states need. A lane opens only when its store has reached that offset: old
states under new offsets would silently lose the records in between.
Pure: decides, and asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from stream.kafka.transactional_producer import CommittedOffset


class Need(NamedTuple):
    """What all committed offsets of one lane say about its changelog."""

    least: int
    """The store must have reached this offset; 0 where no commit says anything."""
    exact: bool
    """Every source has a commit that says it. Then no changelog record may lie at or above `least`."""
    any: bool
    """Anything was ever committed."""


def need(commits: Iterable[CommittedOffset | None]) -> Need:
    """Of the commits of all sources of a lane."""
    listed = list(commits)
    ends = [commit.changelog_end if commit else None for commit in listed]
    return Need(
        max((end for end in ends if end is not None), default=0),
        bool(ends) and None not in ends,
        any(commit is not None for commit in listed),
    )


class ChangelogPart:
    """One partition's changelog while it is read: where it is, and up to where it is needed.

    Made for a store that is right up to `known` (None: empty) and a broker that says `begin` and `end`.

    A store is written only after a commit. So one that is ahead of `end` shows that the broker is behind, and
    is kept, unless nothing was ever committed: then it is of another cluster. A store that is behind `begin`
    misses records that are gone. A broker's `begin` may be too low, never too high.

    A store that is ahead of the commits is read again from where these end: only control records may lie
    there. Where states do, the commits are older than they should be.
    """

    def __init__(self, known: int | None, needed: Need, begin: int, end: int, now: float) -> None:
        self.at = begin
        """Read from this offset."""
        self.until = max(needed.least, end)
        """The store is right when it has reached this one."""
        self.anew = known is None or known < begin or (known > end and not needed.any)
        """The store is cleared first."""
        if known is not None and not self.anew:
            self.at = max(begin, min(known, needed.least)) if needed.exact else known
            self.until = max(self.until, known)
        self.seen = end
        """The log is known to have this end."""
        self.needed = needed
        self.last = -1
        """The offset of the last record that was read."""
        self.moved = now
        self.asked = 0
        self.gone = 0
        """How often in a row the log was said to begin above `at`."""

    @property
    def beyond(self) -> bool:
        """Records were read that the committed offsets do not cover: those are older than they should be."""
        return self.needed.exact and self.last >= self.needed.least

    @property
    def reached(self) -> bool:
        return self.at >= self.until and self.seen >= self.until and not self.beyond

    def read_to(self, position: int, now: float) -> None:
        """The fetch's position moved."""
        if position > self.at:
            self.at, self.moved, self.asked = position, now, 0
            self.seen = max(self.seen, position)

    def asked_again(self, needed: Need, begin: int, end: int, now: float) -> bool:
        """What the commits and a broker say now. True: what was to be read is gone, begin anew.

        A log's beginning only moves forward, so that it is believed when it is said twice in a row.
        """
        self.moved = now
        self.asked += 1
        self.needed = needed
        self.seen = max(self.seen, end)
        self.until = max(self.until, needed.least, end)
        self.gone = self.gone + 1 if begin > self.at else 0
        if self.gone <= 1:
            return False
        self.at, self.gone = begin, 0
        return True

    def sentence(self, topic: str, partition: int, group: str) -> str:
        """Why the recovery does not go on, for an operator."""
        if self.beyond:
            return (
                f"partition {partition}: {topic} has a record at offset {self.last}, newer than the "
                f"committed offsets of group {group}, which end before {self.needed.least}: "
                "asking for those again"
            )
        if self.seen >= self.until:
            return (
                f"partition {partition}: {topic} is needed up to offset {self.until} and was read up "
                f"to {self.at}; no more of it comes"
            )
        return (
            f"partition {partition}: {topic} is needed up to offset {self.until} and was read up to "
            f"{self.at}; the broker that answers says it ends at {self.seen}. "
            "A broker that was cut off says so: asking again until its successor answers. "
            "If the topic was deleted or recreated, stop all workers and delete the offsets of group "
            f"{group}: the states are then built from the source topics again"
        )
