"""Which failures are logged: each outage once at its start, once per new failure kind, once at its end.

If one in ten of a thousand reads fails, that is two lines and not two hundred.
"""

from __future__ import annotations

from collections.abc import Hashable

CALM_S = 60.0
"""An outage is over when nothing has failed for this long."""


class LogOnce:
    """The outages of many things that are done repeatedly: the time of each kind's last failure."""

    def __init__(self) -> None:
        self._outages: dict[Hashable, dict[str, float]] = {}

    def failed(self, what: Hashable, kind: str, now_s: float) -> bool:
        """`what` failed in this way. Whether to log it: once per kind during an outage."""
        outage = self._outages.setdefault(what, {})
        is_new = kind not in outage
        outage[kind] = now_s
        return is_new

    def succeeded(self, what: Hashable, now_s: float) -> bool:
        """`what` succeeded. Whether to log the end of an outage."""
        if what not in self._outages or now_s - max(self._outages[what].values()) < CALM_S:
            return False
        del self._outages[what]
        return True
