"""Resources that are forbidden to good credentials: refused while others of the account are answered.

Invariant: the refusal of one resource does not stop reads of the others. That resource alone is tried less
and less often, by one request at a time, like an account whose credentials are refused. (Voice Insights
answers 403 without its Advanced Features, Twilio to a restricted API key.)
"""

from __future__ import annotations

from stream.poller.limiter.circuit_breaker import INCONCLUSIVE, CircuitBreaker
from stream.poller.resources.account import Account


class ForbiddenResources:
    """A circuit breaker for each forbidden resource of each account. Pure: time is an argument."""

    def __init__(self) -> None:
        self._breakers: dict[tuple[bytes, str], CircuitBreaker] = {}
        self._outcomes: dict[tuple[bytes, str], str] = {}

    def try_read(self, account: Account, source: str, now_s: float) -> int | None:
        """A number for `report` if the resource may be read now, else None."""
        breaker = self._breakers.get((account.key, source))
        if breaker is None:
            return 0
        return breaker.sent() if breaker.allows(now_s) else None

    def report(
        self,
        account: Account,
        source: str,
        number: int,
        outcome: str | None,
        now_s: float,
        *,
        forbidden: bool = False,
    ) -> None:
        """Report the read's outcome, None if it was cancelled. Some outcomes say nothing of the refusal."""
        key = (account.key, source)
        if forbidden and outcome is not None:
            self._outcomes[key] = outcome
            self._breakers.setdefault(key, CircuitBreaker()).answered("auth_error", number, now_s)
        elif (breaker := self._breakers.get(key)) is None:
            pass
        elif outcome is None:
            breaker.released(number)
        elif outcome in INCONCLUSIVE or outcome == "auth_error":
            breaker.answered("throttled", number, now_s)
        else:
            del self._breakers[key], self._outcomes[key]

    def outcome(self, account: Account, source: str) -> str:
        """That of the refusal of a forbidden resource."""
        return self._outcomes[account.key, source]

    def sources(self, account: Account) -> list[str]:
        """The sources that the account may not read now, sorted."""
        return sorted(source for key, source in self._breakers if key == account.key)
