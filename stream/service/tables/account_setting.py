"""Twilio's accounts, and a table of the TOML file for each account beyond the first that is read: where, with
what, and how much.

    [[poll_accounts]]
    provider = "twilio"
    id = "AC…"
    alias = "europe"
    user = "SK…"
    secret_file = "/run/secrets/europe"
    api_url = "https://api.dublin.ie1.twilio.com"

No message repeats a value.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from stream.service import setting_kinds as kinds
from stream.service.tables.toml_table import check_url, converted, file_content, tables

PROVIDERS = ("twilio", "telnyx")


@dataclass(frozen=True, kw_only=True)
class TwilioAccounts:
    """Twilio's accounts: the gateway verifies with their tokens, the poller reads with them."""

    twilio_account_sid: str = kinds.setting(
        "", "account of Twilio; empty: the auth token verifies those of every account", kinds.name
    )
    twilio_auth_token: tuple[str, ...] = kinds.setting(
        (), "verifies signatures; several with commas while rotating", kinds.words, secret=True
    )
    twilio_account_tokens: tuple[tuple[str, str], ...] = kinds.setting(
        (), "`AC…=token` of more accounts and of subaccounts, with commas", kinds.named_secrets, secret=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSetting:
    """One such table. None: as the settings outside the tables say.

    - `user`: of HTTP Basic; empty: the account's id for Twilio, a bearer token for Telnyx.
    - `rate`: requests a second; `concurrency`: requests at once.
    """

    provider: str
    id: str = ""
    alias: str = ""
    user: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    secret_file: str = ""
    api_url: str | None = None
    insights_url: str | None = None
    monitor_url: str | None = None
    rate: float | None = None
    concurrency: int | None = None


def account_settings(value: str) -> tuple[AccountSetting, ...]:
    """Accounts from JSON, the form in which the TOML file's tables arrive here. Raises ValueError."""
    found = tuple(_one(number, table) for number, table in enumerate(tables(value), 1))
    names = [(one.provider, one.id) for one in found]
    if len(set(names)) < len(names):
        raise ValueError("names an account twice")
    return found


def _one(number: int, table: dict[str, Any]) -> AccountSetting:
    one = converted(number, table, AccountSetting)
    if one.provider not in PROVIDERS:
        raise ValueError(f"table {number}: provider must be one of {', '.join(PROVIDERS)}")
    if one.provider == "twilio" and not one.id:
        raise ValueError(f"table {number}: an account of Twilio needs its id")
    if bool(one.secret) == bool(one.secret_file):
        raise ValueError(f"table {number}: either secret or secret_file")
    for name in ("rate", "concurrency"):
        amount = getattr(one, name)
        if amount is not None and not 0 < amount <= 10_000:
            raise ValueError(f"table {number}: {name} must be above 0 and at most 10000")
    for name in ("api_url", "insights_url", "monitor_url"):
        check_url(number, name, getattr(one, name))
    if one.secret:
        return one
    return replace(one, secret=file_content(number, "secret_file", one.secret_file))
