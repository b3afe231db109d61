"""An account of a provider: where its resources are, with what they are read, and how much of them may be.

The rule of this file: credentials leave it in one header and nowhere else; no `repr` shows them.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from dataclasses import dataclass, field, replace

from stream.service.account_setting import AccountSetting
from stream.service.settings import Settings

USUAL_INSIGHTS_URL = "https://insights.twilio.com"
_REGIONAL = re.compile(r"https://api\.([a-z0-9-]+(?:\.[a-z0-9-]+)?)\.twilio\.com/?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account, read with one pair of credentials within one budget.

    - `id`: the provider's id as its records have it; of Telnyx the one that is configured, or empty.
    - `api_url`: Twilio's without version, Telnyx' with `/v2`; `insights_url`: of Twilio only. No slash at
      the end.
    - `user`, `secret`: of HTTP Basic; without a user the secret is a bearer token.
    - `rate`: requests a second; `concurrency`: requests at once. Ceilings for all pollers together.
    """

    provider: str
    id: str
    alias: str
    api_url: str
    insights_url: str = ""
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
    def name(self) -> str:
        """How logs and metrics call it: never by its id."""
        return f"{self.provider}/{self.alias}"


def accounts(settings: Settings) -> list[Account]:
    """The accounts whose credentials are configured; of one that is named twice its own table counts."""
    said: dict[tuple[str, str], AccountSetting] = {}
    for one in [*settings.poll_accounts, *_of_twilio(settings), *_of_telnyx(settings)]:
        said.setdefault((one.provider, one.id), one)
    several = Counter(provider for provider, _ in said)
    found = []
    for one in said.values():
        alone = several[one.provider] == 1
        alias = one.alias or (settings.account_alias if alone else masked(one.id))
        found.append(_account(one, alias, settings))
    return _told_apart(found)


def nameless(settings: Settings) -> bool:
    """Whether there are credentials of Twilio and nothing says of which account: they read nothing."""
    credentials = settings.twilio_auth_token or (settings.twilio_api_key and settings.twilio_api_secret)
    return bool(credentials) and all(one.provider != "twilio" for one in accounts(settings))


def _told_apart(found: list[Account]) -> list[Account]:
    """Metrics and logs know an account by its name: the second of a name gets a number."""
    names: Counter[str] = Counter()
    told = []
    for account in found:
        names[account.name] += 1
        times = names[account.name]
        told.append(account if times == 1 else replace(account, alias=f"{account.alias}-{times}"))
    return told


def masked(id_: str) -> str:
    """An id in a metric or a log: its first two and last four characters."""
    return f"{id_[:2]}...{id_[-4:]}" if len(id_) > 6 else "unnamed"


def _of_twilio(settings: Settings) -> list[AccountSetting]:
    """The account itself with its API key, else with its token; and those of which a token is known."""
    own, found = settings.twilio_account_sid, []
    if own and settings.twilio_api_key and settings.twilio_api_secret:
        user, secret = settings.twilio_api_key, settings.twilio_api_secret
        found.append(AccountSetting(provider="twilio", id=own, user=user, secret=secret))
    elif own and settings.twilio_auth_token:
        found.append(AccountSetting(provider="twilio", id=own, secret=settings.twilio_auth_token[0]))
    for id_, token in settings.twilio_account_tokens:
        found.append(AccountSetting(provider="twilio", id=id_, secret=token))
    return found


def _of_telnyx(settings: Settings) -> list[AccountSetting]:
    key = settings.telnyx_api_key
    return [AccountSetting(provider="telnyx", id=settings.telnyx_account_id, secret=key)] if key else []


def _account(one: AccountSetting, alias: str, settings: Settings) -> Account:
    twilio = one.provider == "twilio"
    api_url = one.api_url or (settings.twilio_api_url if twilio else settings.telnyx_api_url)
    insights_url = (one.insights_url or _insights_url(api_url, settings)) if twilio else ""
    return Account(
        provider=one.provider,
        id=one.id,
        alias=alias,
        api_url=api_url.rstrip("/"),
        insights_url=insights_url.rstrip("/"),
        user=one.user or (one.id if twilio else ""),
        secret=one.secret,
        rate=one.rate or settings.poll_rate,
        concurrency=one.concurrency or settings.poll_concurrency,
    )


def _insights_url(api_url: str, settings: Settings) -> str:
    """As it is set; where nothing is, in the region of the account's API: data and keys belong to one.

    (Twilio: "Global Infrastructure", `{product}.{edge}.{region}.twilio.com`.)
    """
    regional = _REGIONAL.match(api_url)
    if regional is None or settings.twilio_insights_url != USUAL_INSIGHTS_URL:
        return settings.twilio_insights_url
    return f"https://insights.{regional[1]}.twilio.com"
