"""The providers' accounts: base URLs, credentials and request limits of each.

Invariant: credentials leave an Account in one header and nowhere else; no `repr` shows them.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from dataclasses import dataclass, field, replace

from stream.core.fetches import account_key
from stream.core.policy import masked_account
from stream.service.settings import PollerSettings
from stream.service.tables.account_setting import AccountSetting

_REGIONAL = re.compile(r"https://api\.([a-z0-9-]+(?:\.[a-z0-9-]+)?)\.twilio\.com/?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account, read with one pair of credentials within one budget.

    - `id`: the provider's id as in its records; for Telnyx the configured one, or empty.
    - `api_url`: Twilio's without a version, Telnyx' with `/v2`; `insights_url`, `monitor_url`: Twilio only.
      Without a trailing slash.
    - `user`, `secret`: of HTTP Basic. Without a user the secret is a bearer token.
    - `rate`: requests per second; `concurrency`: requests at once. Ceilings for all pollers together.
    """

    provider: str
    id: str
    alias: str
    api_url: str
    insights_url: str = ""
    monitor_url: str = ""
    user: str = field(default="", repr=False)
    secret: str = field(repr=False)
    rate: float = 10.0
    concurrency: int = 5

    @property
    def authorization(self) -> str:
        """The value of the `Authorization` header."""
        if not self.user:
            return f"Bearer {self.secret}"
        return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()

    @property
    def key(self) -> bytes:
        """What chooses its partition of the fetches topic, and so its owner."""
        return account_key(self.provider, self.id)

    @property
    def name(self) -> str:
        """The name in logs and metrics, which never show the id."""
        return f"{self.provider}/{self.alias}"


def accounts(settings: PollerSettings) -> list[Account]:
    """The accounts with configured credentials. An explicit table wins over the general settings.

    Metrics and logs identify an account by its name: the second of a name gets a number.
    """
    configured: dict[tuple[str, str], AccountSetting] = {}
    for one in [*settings.poll_accounts, *_general(settings)]:
        configured.setdefault((one.provider, one.id), one)
    per_provider = Counter(provider for provider, _ in configured)
    names: set[str] = set()
    found = []
    for one in configured.values():
        is_only = per_provider[one.provider] == 1
        alias = one.alias or (settings.account_alias if is_only else masked_account(one.id))
        account, times = _account(one, alias, settings), 1
        while account.name in names:
            times += 1
            account = replace(account, alias=f"{alias}-{times}")
        names.add(account.name)
        found.append(account)
    return found


def lacks_twilio_account(settings: PollerSettings) -> bool:
    """Whether there are Twilio credentials but no account id: nothing can be read with them."""
    credentials = settings.twilio_auth_token or (settings.twilio_api_key and settings.twilio_api_secret)
    return bool(credentials) and all(one.provider != "twilio" for one in accounts(settings))


def _general(settings: PollerSettings) -> list[AccountSetting]:
    """The main accounts (Twilio's with its API key, else with its token), and those with their own token."""
    own, found = settings.twilio_account_sid, []
    if own and settings.twilio_api_key and settings.twilio_api_secret:
        user, secret = settings.twilio_api_key, settings.twilio_api_secret
        found.append(AccountSetting(provider="twilio", id=own, user=user, secret=secret))
    elif own and settings.twilio_auth_token:
        found.append(AccountSetting(provider="twilio", id=own, secret=settings.twilio_auth_token[0]))
    for id_, token in settings.twilio_account_tokens:
        found.append(AccountSetting(provider="twilio", id=id_, secret=token))
    if key := settings.telnyx_api_key:
        found.append(AccountSetting(provider="telnyx", id=settings.telnyx_account_id, secret=key))
    return found


def _account(one: AccountSetting, alias: str, settings: PollerSettings) -> Account:
    twilio = one.provider == "twilio"
    api_url = one.api_url or (settings.twilio_api_url if twilio else settings.telnyx_api_url)
    insights_url = one.insights_url or _regional("insights", settings.twilio_insights_url, api_url)
    monitor_url = one.monitor_url or _regional("monitor", settings.twilio_monitor_url, api_url)
    return Account(
        provider=one.provider,
        id=one.id,
        alias=alias,
        api_url=api_url.rstrip("/"),
        insights_url=insights_url.rstrip("/") if twilio else "",
        monitor_url=monitor_url.rstrip("/") if twilio else "",
        user=one.user or (one.id if twilio else ""),
        secret=one.secret,
        rate=one.rate or settings.poll_rate,
        concurrency=one.concurrency or settings.poll_concurrency,
    )


def _regional(product: str, configured: str, api_url: str) -> str:
    """The configured URL; if that is the default, the one in the API's region: keys are valid in one region.

    (Twilio: "Global Infrastructure", `{product}.{edge}.{region}.twilio.com`.)
    """
    regional = _REGIONAL.match(api_url)
    if regional is None or configured != f"https://{product}.twilio.com":
        return configured
    return f"https://{product}.{regional[1]}.twilio.com"
