"""A row of the verdict's table."""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True):
    """What a fact says of whose fault it was.

    - `rung`: the first one that says something decides; see `table.RUNGS`.
    - `fact`, `values`: the fact, and its values that the row is about, separated by blanks.
    - `fault`: one of `table.FAULTS`; `confidence`: `high`, `medium`, `low`, empty for `unknown`.
    - `reason`: for a person. `mark`: O documented, S seen in public, M our own rule; then the source, one of
      `table.SOURCES`.
    - `needs`: what must hold too, all of it, `|` between alternatives; `unless`: what must not.
    - `within_s`: the fact counts only if it came before the end, by this many seconds at most;
      `recovered_by`: not if this came after it.
    - `warning`: the provider only warned of it.
    """

    rung: int
    fact: str
    values: str
    fault: str
    confidence: str
    reason: str
    mark: str
    needs: str = ""
    unless: str = ""
    within_s: float | None = None
    recovered_by: str = ""
    warning: bool = False

    @property
    def conditions(self) -> str:
        """What must hold for the row to count, for a person; empty for nothing."""
        said = []
        if self.needs.strip():
            said.append(f"with {' and '.join(self.needs.split())}")
        if self.unless:
            said.append(f"without {', '.join(self.unless.split())}")
        if self.within_s is not None:
            said.append(
                "before the end" + (f", at most {self.within_s:g} s" if self.within_s < _EVER_S else "")
            )
        if self.recovered_by:
            said.append(f"and no {self.recovered_by} after it")
        return "; ".join(said)


_EVER_S = 1e6
