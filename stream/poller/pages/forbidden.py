"""Resources that are forbidden to good credentials: a 403 where others of the account are answered.

The rule of this file: one resource's 403 is no reason to leave the others unread. It alone is tried ever more
seldom, by one request at a time, as an account is whose credentials are refused.
(Voice Insights answers so without its Advanced Features, Twilio to a restricted API key.)
"""

from __future__ import annotations

from stream.poller.limiter.circuit_breaker import SILENT, CircuitBreaker
from stream.poller.resources.account import Account

_What = tuple[str, str, str]


class ForbiddenResources:
    """How each resource of each account stands. Pure: time is an argument."""

    def __init__(self) -> None:
        self._breakers: dict[_What, CircuitBreaker] = {}

    def ask(self, account: Account, source: str, now_s: float) -> int | None:
        """Leave to read, with a number to say the answer with; None while it is forbidden."""
        breaker = self._breakers.get(_what(account, source))
        if breaker is None:
            return 0
        return breaker.sent() if breaker.may_send(now_s) else None

    def answered(
        self, account: Account, source: str, number: int, outcome: str, now_s: float, *, forbidden: bool
    ) -> None:
        """What the read came to. An outcome that shows nothing leaves it as it is."""
        what = _what(account, source)
        if forbidden:
            self._breakers.setdefault(what, CircuitBreaker()).answered("auth_error", number, now_s)
            return
        breaker = self._breakers.get(what)
        if breaker is None:
            return
        if outcome in SILENT or outcome == "auth_error":
            breaker.answered("throttled", number, now_s)
        else:
            del self._breakers[what]

    def given_back(self, account: Account, source: str, number: int) -> None:
        """The read ended without an outcome."""
        breaker = self._breakers.get(_what(account, source))
        if breaker is not None:
            breaker.given_back(number)

    def sources(self, account: Account) -> list[str]:
        """What the account may not read now, sorted."""
        return sorted(
            source
            for provider, id_, source in self._breakers
            if (provider, id_) == (account.provider, account.id)
        )


def _what(account: Account, source: str) -> _What:
    return account.provider, account.id, source
