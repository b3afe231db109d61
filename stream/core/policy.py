"""The settings of an installation that the core uses: deadlines, and which sources are polled."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from stream.core.alerting.rules import DEFAULT_RULES, Rules
from stream.core.sources import PROVIDERS, SOURCE_BY_NAME


class CallPolicy(msgspec.Struct, frozen=True, cache_hash=True):
    """Deadlines in seconds, and the names of accounts in what is written.

    - `account_alias`: the name of the account, whatever its id, unless `account_names` has names by id.
    - `polled`: the REST sources that a poller reads. No other source is requested.
    - `public_url`: where the provider reaches our gateway; empty where that is not set.
    - `time_factor`: how many times faster than real time the retry schedules run; above 1 only with the
      simulator.
    """

    settle_s: float = 7200.0
    gap_grace_s: float = 10.0
    revision_quiet_s: float = 5.0
    overdue_s: float = 14400.0
    max_age_s: float = 86400.0
    account_alias: str = "default"
    polled: tuple[str, ...] = ()
    time_factor: float = 1.0
    public_url: str = ""
    account_names: tuple[tuple[str, str], ...] = ()
    alert_rules: Rules = DEFAULT_RULES

    def alias(self, account: str | None) -> str | None:
        """The name of the account with this provider's id; None of an unknown account among several."""
        if not self.account_names:
            return self.account_alias
        if account is None:
            return None
        return next((name for id_, name in self.account_names if id_ == account), masked_account(account))

    def expected(self, provider: str) -> list[str]:
        """The sources that should report a call of this provider, sorted."""
        return _expected(provider, self.polled)


def masked_account(account: str) -> str:
    """An account's id where no name is configured: its first two and last four characters."""
    return f"{account[:2]}...{account[-4:]}" if len(account) > 6 else "unnamed"


@lru_cache(maxsize=64)
def _expected(provider: str, polled: tuple[str, ...]) -> list[str]:
    known = [SOURCE_BY_NAME[source] for source in polled]
    found = [one.name for one in known if one.provider == provider and not one.only_failures]
    return sorted([PROVIDERS[provider].pushed, *found]) if provider in PROVIDERS else found
