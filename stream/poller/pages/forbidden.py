"""Resources that are forbidden to good credentials: a 403 where others of the account are answered.

The rule of this file: one resource's 403 is no reason to leave the others unread. It alone is tried ever more
seldom, by one request at a time, as an account is whose credentials are refused.
(Voice Insights answers so without its Advanced Features, Twilio to a restricted API key.)
"""

from __future__ import annotations

from stream.poller.limiter.circuit_breaker import SILENT, Standing
from stream.poller.resources.account import Account

_What = tuple[str, str, str]


class ForbiddenResources:
    """How each resource of each account stands. Pure: time is an argument."""

    def __init__(self) -> None:
        self._standings: dict[_What, Standing] = {}

    def ask(self, account: Account, source: str, now_s: float) -> int | None:
        """Leave to read, with a number to say the answer with; None while it is forbidden."""
        standing = self._standings.get(_what(account, source))
        if standing is None:
            return 0
        return standing.sent() if standing.may_send(now_s) else None

    def answered(
        self, account: Account, source: str, number: int, outcome: str, now_s: float, *, forbidden: bool
    ) -> None:
        """What the read came to. An outcome that shows nothing leaves it as it is."""
        what = _what(account, source)
        if forbidden:
            self._standings.setdefault(what, Standing()).answered("auth_error", number, now_s)
            return
        standing = self._standings.get(what)
        if standing is None:
            return
        if outcome in SILENT or outcome == "auth_error":
            standing.answered("throttled", number, now_s)
        else:
            del self._standings[what]

    def given_back(self, account: Account, source: str, number: int) -> None:
        """The read ended without an outcome."""
        standing = self._standings.get(_what(account, source))
        if standing is not None:
            standing.given_back(number)

    def sources(self, account: Account) -> list[str]:
        """What the account may not read now, sorted."""
        return sorted(
            source
            for provider, id_, source in self._standings
            if (provider, id_) == (account.provider, account.id)
        )


def _what(account: Account, source: str) -> _What:
    return account.provider, account.id, source
