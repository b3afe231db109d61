"""Up to where a changelog must be read: what the committed offsets say of it, not what a broker says.

A broker that was cut off from the others, or has just woken, still takes itself for the leader and answers
with its old end of the changelog. The committed offsets come from the group's coordinator. Old states under
new offsets would lose what lies between, without a word. So each commit carries, in its metadata, the
changelog offset that its states need, and a lane opens only when its store has reached it.
Pure: decides, and asks nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_WRITTEN = re.compile(r"changelog=(\d{1,19})")


def written(end: int) -> str:
    """The metadata of a commit whose states need the changelog up to `end`."""
    return f"changelog={end}"


def read(metadata: str | None) -> int | None:
    """What a commit's metadata says, None where an earlier version or an operator's tool committed."""
    found = _WRITTEN.fullmatch(metadata or "")
    return int(found[1]) if found else None


class Committed(NamedTuple):
    """What the group has committed of a source partition."""

    offset: int
    needs: int | None
    """The changelog's offset that the states of this commit need; None: the commit does not say."""


class Need(NamedTuple):
    """What all committed offsets of one lane say of its changelog."""

    least: int
    """The store must have reached this offset; 0 where no commit says anything."""
    exact: bool
    """Every source has a commit that says it. Then no changelog record may lie at or above `least`."""
    any: bool
    """Anything was ever committed."""


def need(commits: Iterable[Committed | None]) -> Need:
    """Of the commits of all sources of a lane."""
    listed = list(commits)
    said = [commit.needs if commit else None for commit in listed]
    return Need(
        max((end for end in said if end is not None), default=0),
        bool(said) and None not in said,
        any(commit is not None for commit in listed),
    )


class Plan(NamedTuple):
    """How a lane's store is brought up to its changelog."""

    at: int
    """Read from this offset."""
    until: int
    """The store is right when it has reached this one."""
    anew: bool
    """What the store has is forgotten first."""


def plan(known: int | None, needed: Need, begin: int, end: int) -> Plan:
    """For a store that is right up to `known` (None: empty) and a broker that says `begin` and `end`.

    A store is written only after a commit. So one that is ahead of `end` shows that the broker is behind, and
    is kept, unless nothing was ever committed: then it is of another cluster. A store that is behind `begin`
    misses records that are gone. A broker's `begin` may be too low, never too high.

    A store that is ahead of the commits is read again from where these end: control records may lie there.
    Where states do, the commits are older than they should be.
    """
    until = max(needed.least, end)
    if known is None or known < begin or (known > end and not needed.any):
        return Plan(begin, until, True)
    at = max(begin, min(known, needed.least)) if needed.exact else known
    return Plan(at, max(until, known), False)
