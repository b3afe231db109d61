"""What the record of a served call's end must say of its sources: which were seen, which were read to their
end.

The rule of this file: a source of which the provider held something must have been seen, and those that are
read call by call must be said to be complete. A callback that its provider gave up may have been seen.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any, NamedTuple

from stream.core.sources import FETCHED_SOURCES
from stream.simulator.calls.call import SimulatedCall

READ_BY_CALL = frozenset(FETCHED_SOURCES)
"""Sources that are asked about one call, and so have an end; the others are read by time."""


class Completeness(NamedTuple):
    """`seen` must be there, of `perhaps` any may be there too; `complete` must be said to be complete."""

    seen: frozenset[str]
    perhaps: frozenset[str]
    complete: frozenset[str]

    def fault(self, said: dict[str, Any]) -> str | None:
        """What a record's `completeness` says otherwise; None where it is as it must be."""
        seen, complete = set(said.get("seen", ())), set(said.get("complete", ()))
        wrong = [f"{name} was not seen" for name in sorted(self.seen - seen)]
        wrong += [f"{name} was seen" for name in sorted(seen - self.seen - self.perhaps)]
        wrong += [f"{name} is not complete" for name in sorted(self.complete - complete)]
        return ", ".join(wrong) or None


def completeness_of(call: SimulatedCall, served: Set[str]) -> Completeness:
    """For a call of which `served` are the polled sources that there are, at the end of a run."""
    seen = frozenset(source for source, _ in call.seen)
    perhaps = frozenset(source for source, _ in call.doubtful)
    return Completeness(seen, perhaps - seen, seen & READ_BY_CALL & served)
