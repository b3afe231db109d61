"""Accounts with planted credentials, which tests search for in all output."""

from __future__ import annotations

import base64

from stream.poller.resources.account import Account

ACCOUNT_SID = "AC0f000000000000000000000000000009"
CALL_SID = "CA0f000000000000000000000000000001"
LEG = "c3f1d6a0-0000-11ef-8000-02420a0d7e70"

TOKEN = "planted-token-6b1f"
KEY = "KEY-planted-9d2c"
SECRETS = (TOKEN, KEY, base64.b64encode(f"{ACCOUNT_SID}:{TOKEN}".encode()).decode())


def twilio(
    url: str = "https://api.twilio.com",
    insights_url: str = "https://insights.twilio.com",
    monitor_url: str = "https://monitor.twilio.com",
) -> Account:
    return Account(
        provider="twilio",
        id=ACCOUNT_SID,
        alias="main",
        api_url=url,
        insights_url=insights_url,
        monitor_url=monitor_url,
        user=ACCOUNT_SID,
        secret=TOKEN,
    )


def telnyx(url: str = "https://api.telnyx.com/v2") -> Account:
    return Account(provider="telnyx", id="", alias="main", api_url=url, secret=KEY)
