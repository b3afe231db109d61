"""Which failures are logged: each outage once at its start, once per new failure kind, once at its end.

Invariants: it decides and does not log; time is an argument. If one in ten of a thousand reads fails, it
allows two lines and not two hundred.
"""

from __future__ import annotations

from collections.abc import Hashable

CALM_S = 60.0
"""An outage is over when nothing has failed for this long."""


class LogOnce:
    """The outages of many things that are done repeatedly."""

    def __init__(self) -> None:
        self._logged_kinds: dict[Hashable, set[str]] = {}
        self._last_failure_s: dict[Hashable, float] = {}

    def failed(self, what: Hashable, kind: str, now_s: float) -> bool:
        """`what` failed in this way. Whether to log it: once per kind during an outage."""
        self._last_failure_s[what] = now_s
        logged = self._logged_kinds.setdefault(what, set())
        is_new = kind not in logged
        logged.add(kind)
        return is_new

    def succeeded(self, what: Hashable, now_s: float) -> bool:
        """`what` succeeded. Whether to log the end of an outage."""
        last_failure_s = self._last_failure_s.get(what)
        if last_failure_s is None or now_s - last_failure_s < CALM_S:
            return False
        del self._last_failure_s[what], self._logged_kinds[what]
        return True
