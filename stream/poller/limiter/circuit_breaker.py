"""A circuit breaker: closed, open, half-open.

It opens on a 401 (`refused`) or on errors in a row (`unreachable`). While it is open nothing is sent. When
its wait is over it is half-open and lets one request through, the probe. A probe that fails doubles the wait.
Requests that were sent before it opened do not count as probes: their answers show an earlier state.
"""

from __future__ import annotations

REFUSED_FIRST_S = 30.0
REFUSED_LIMIT_S = 600.0
UNREACHABLE_FIRST_S = 1.0
UNREACHABLE_LIMIT_S = 60.0

ERRORS_IN_A_ROW = 5
"""Fewer may be the fault of the requests."""

ERRORS = frozenset({"server_error", "network_error"})

INCONCLUSIVE = ERRORS | {"throttled"}
"""Outcomes that do not show whether credentials are good: the provider may not have checked them."""

NO_PROBE = 0


class CircuitBreaker:
    """Time is an argument.

    - `reason`: why it is not closed, `refused` or `unreachable`; empty while it is closed.
    - `retry_at_s`: when an open breaker becomes half-open.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.retry_at_s = 0.0
        self._wait_s = 0.0
        self._errors = 0
        self._probe = NO_PROBE
        self._probes = 0

    def state(self, now_s: float) -> str:
        """`closed`, `open` or `half-open`."""
        if not self.reason:
            return "closed"
        return "half-open" if self._probe or now_s >= self.retry_at_s else "open"

    @property
    def is_probing(self) -> bool:
        return self._probe != NO_PROBE

    def allows(self, now_s: float) -> bool:
        """Whether a request may be sent now."""
        return self.state(now_s) != "open" and not self.is_probing

    def sent(self) -> int:
        """A request is sent. Returns its number as a probe, or NO_PROBE."""
        if not self.reason:
            return NO_PROBE
        self._probes += 1
        self._probe = self._probes
        return self._probe

    def released(self, probe: int) -> bool:
        """A request ended, with or without an outcome. Returns whether it was the present probe."""
        if probe == NO_PROBE or probe != self._probe:
            return False
        self._probe = NO_PROBE
        return True

    def answered(self, outcome: str, probe: int, now_s: float) -> None:
        """A request came to `outcome`, one of `core.fetches.OUTCOMES`."""
        was_probe = self.released(probe)
        if outcome == "auth_error":
            if self.reason != "refused":
                self._open("refused", REFUSED_FIRST_S, now_s)
            elif was_probe:
                self._open("refused", min(self._wait_s * 2, REFUSED_LIMIT_S), now_s)
        elif self.reason == "refused":
            if was_probe and outcome in INCONCLUSIVE:
                self._open("refused", self._wait_s, now_s)
            elif was_probe:
                self._close()
        elif outcome in ERRORS:
            self._count_error(was_probe, now_s)
        else:
            self._close()

    def _count_error(self, was_probe: bool, now_s: float) -> None:
        self._errors += 1
        if not self.reason and self._errors >= ERRORS_IN_A_ROW:
            self._open("unreachable", UNREACHABLE_FIRST_S, now_s)
        elif was_probe:
            self._open("unreachable", min(self._wait_s * 2, UNREACHABLE_LIMIT_S), now_s)

    def _open(self, reason: str, wait_s: float, now_s: float) -> None:
        self.reason, self._wait_s, self.retry_at_s = reason, wait_s, now_s + wait_s
        self._probe = NO_PROBE

    def _close(self) -> None:
        self.reason = ""
        self._probe, self._errors = NO_PROBE, 0
