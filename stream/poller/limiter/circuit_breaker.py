"""Whether an account is answered at all: refused, or out of reach, and when it is tried again.

The rule of this file: while there is no answer, one request at a time asks for one, ever more seldom. What
was sent before counts for nothing in it: it was answered as the account stood then.
"""

from __future__ import annotations

from dataclasses import dataclass

REFUSED_FIRST_S = 30.0
REFUSED_MOST_S = 600.0
UNREACHABLE_FIRST_S = 1.0
UNREACHABLE_MOST_S = 60.0

ERRORS_IN_A_ROW = 5
"""So many mean that it is not the request's fault."""

ERRORS = frozenset({"server_error", "network_error"})
SILENT = ERRORS | {"throttled"}
"""Outcomes that do not show whether credentials are good: the provider may not have looked at them."""


@dataclass(slots=True)
class CircuitBreaker:
    """An account as its provider's answers show it.

    - `state`: `running`, `refused` or `unreachable`; in the last two a request may go at `probe_at_s`, and
      `probe` is the number of the one that is on its way, 0 for none.
    """

    state: str = "running"
    probe_at_s: float = 0.0
    probe: int = 0
    _pause_s: float = 0.0
    _errors: int = 0
    _probes: int = 0

    def may_send(self, now_s: float) -> bool:
        """Whether a request may go now."""
        return self.state == "running" or (not self.probe and now_s >= self.probe_at_s)

    def sent(self) -> int:
        """A request goes; its number as a probe, 0 if it is none."""
        if self.state == "running":
            return 0
        self._probes += 1
        self.probe = self._probes
        return self.probe

    def given_back(self, probe: int) -> bool:
        """A request ended; whether it was the probe. `probe`: what `sent` said of it."""
        if not probe or probe != self.probe:
            return False
        self.probe = 0
        return True

    def answered(self, outcome: str, probe: int, now_s: float) -> None:
        """A request came to this outcome."""
        probed = self.given_back(probe)
        if outcome == "auth_error":
            self._refuse(probed, now_s)
        elif self.state == "refused":
            self._ask_again(outcome, probed, now_s)
        elif outcome in ERRORS:
            self._fail(probed, now_s)
        else:
            self._run()

    def _refuse(self, probed: bool, now_s: float) -> None:
        if self.state != "refused":
            self._wait("refused", REFUSED_FIRST_S, now_s)
        elif probed:
            self._wait("refused", min(self._pause_s * 2, REFUSED_MOST_S), now_s)

    def _ask_again(self, outcome: str, probed: bool, now_s: float) -> None:
        if probed and outcome in SILENT:
            self._wait("refused", self._pause_s, now_s)
        elif probed:
            self._run()

    def _fail(self, probed: bool, now_s: float) -> None:
        self._errors += 1
        if self.state == "running" and self._errors >= ERRORS_IN_A_ROW:
            self._wait("unreachable", UNREACHABLE_FIRST_S, now_s)
        elif probed:
            self._wait("unreachable", min(self._pause_s * 2, UNREACHABLE_MOST_S), now_s)

    def _wait(self, state: str, pause_s: float, now_s: float) -> None:
        self.state, self._pause_s, self.probe_at_s = state, pause_s, now_s + pause_s
        self.probe = self._errors = 0

    def _run(self) -> None:
        self.state = "running"
        self.probe = self._errors = 0
