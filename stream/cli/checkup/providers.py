"""The providers' REST resources: whether they can be reached, and whether they accept the credentials.

One cheap read for each credential, of which only the status is used. A credential is never shown, and never
sent over plain HTTP except to this machine.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable
from dataclasses import replace
from typing import NamedTuple

import aiohttp
from yarl import URL

from stream.cli.checkup.check import Check, State
from stream.cli.checkup.http_probe import Dated, NoAnswer, ProbeAnswer, clock, probe
from stream.gateway.diagnose.diagnosis import masked
from stream.gateway.receive.credentials import GatewayCredentials
from stream.service.http.client import session
from stream.service.http.listening import is_this_machine
from stream.service.settings import Settings

ACCOUNTS_LIMIT = 10
"""Accounts whose tokens are tried."""

_TWILIO_URL = "CALLSTREAM_TWILIO_API_URL, which has no version,"
_TELNYX_URL = "CALLSTREAM_TELNYX_API_URL, which ends in /v2,"


class _Api(NamedTuple):
    name: str
    url: str
    setting: str
    used: bool


async def providers(settings: Settings) -> list[Check]:
    """Reachability, clock and credentials, all at the same time, within a few seconds."""
    twilio = bool(settings.twilio_auth_token or settings.twilio_account_tokens or settings.twilio_api_key)
    apis = (
        _Api("twilio API", settings.twilio_api_url, "CALLSTREAM_TWILIO_API_URL", twilio),
        _Api("twilio insights", settings.twilio_insights_url, "CALLSTREAM_TWILIO_INSIGHTS_URL", twilio),
        _Api("twilio monitor", settings.twilio_monitor_url, "CALLSTREAM_TWILIO_MONITOR_URL", twilio),
        _Api(
            "telnyx API", settings.telnyx_api_url, "CALLSTREAM_TELNYX_API_URL", bool(settings.telnyx_api_key)
        ),
    )
    async with session() as client:
        reached, credentials = await asyncio.gather(
            asyncio.gather(*(_reach(client, api) for api in apis)),
            asyncio.gather(*_twilio(client, settings), _telnyx(client, settings)),
        )
    dated = [answer for _, answer in reached if answer is not None]
    return [
        *(check for check, _ in reached),
        clock(dated, settings.telnyx_tolerance_s),
        *credentials,
        *_not_tried(settings),
    ]


def offline() -> list[Check]:
    """The same checks when the providers must not be asked."""
    names = (
        *("twilio API", "twilio insights", "twilio monitor", "telnyx API"),
        *("clock", "twilio credentials", "telnyx API key"),
    )
    return [Check(name, "unknown", "not asked (--offline)") for name in names]


async def _reach(client: aiohttp.ClientSession, api: _Api) -> tuple[Check, Dated | None]:
    url = _url(api.url)
    if url is None:
        return Check(api.name, "failed", "its address is not a URL", f"check {api.setting}"), None
    shown = str(url.origin())
    answer = await probe(client, url)
    if isinstance(answer, NoAnswer):
        state: State = "failed" if api.used else "warning"
        mend = f"check {api.setting}, the network and its firewall"
        return Check(api.name, state, f"{shown} cannot be reached: {answer.why}", mend), None
    took_ms = (answer.got_s - answer.sent_s) * 1000
    check = Check(api.name, "ok", f"{shown} answers in {took_ms:.0f} ms")
    if answer.date_s is None:
        return check, None
    host = url.host or ""
    return check, Dated(host, is_this_machine(host), answer.date_s, answer.sent_s, answer.got_s)


def _url(text: str) -> URL | None:
    """The base URL without user and password; None if it is not a URL."""
    try:
        url = URL(text).with_user(None)
    except ValueError:
        return None
    return url if url.host else None


def _twilio(client: aiohttp.ClientSession, settings: Settings) -> list[Awaitable[Check]]:
    found: list[Awaitable[Check]] = [
        _twilio_account(client, settings, *one) for one in _accounts(settings)[:ACCOUNTS_LIMIT]
    ]
    if settings.twilio_api_key or settings.twilio_api_secret:
        found.append(_twilio_key(client, settings))
    return found


def _accounts(settings: Settings) -> list[tuple[str, tuple[str, ...]]]:
    """(account, its tokens), of accounts whose name can be part of a path."""
    tokens = GatewayCredentials.from_settings(replace(settings, telnyx_public_key=())).twilio_tokens
    return [(account, given) for account, given in tokens.items() if account.isalnum()]


def _not_tried(settings: Settings) -> list[Check]:
    found = []
    if not (settings.twilio_auth_token or settings.twilio_account_tokens or settings.twilio_api_key):
        found.append(Check("twilio credentials", "ok", "not configured"))
    elif settings.twilio_auth_token and not settings.twilio_account_sid:
        mend = "set CALLSTREAM_TWILIO_ACCOUNT_SID"
        found.append(Check("twilio credentials", "unknown", "the auth token's account is not named", mend))
    more = len(_accounts(settings)) - ACCOUNTS_LIMIT
    if more > 0:
        found.append(Check("twilio credentials", "unknown", f"{more} more accounts were not tried"))
    return found


async def _twilio_account(
    client: aiohttp.ClientSession, settings: Settings, account: str, tokens: tuple[str, ...]
) -> Check:
    own = account == settings.twilio_account_sid
    setting = f"CALLSTREAM_TWILIO_{'AUTH_TOKEN' if own else 'ACCOUNT_TOKENS'}"
    answers = await asyncio.gather(*(_calls(client, settings, account, account, one) for one in tokens))
    each = [
        _judged(f"twilio account {masked(account)}", answer, _nth(at, len(tokens)), setting, _TWILIO_URL)
        for at, answer in enumerate(answers)
    ]
    return next((check for check in each if check.state != "ok"), each[0]._replace(says=_all(len(tokens))))


async def _twilio_key(client: aiohttp.ClientSession, settings: Settings) -> Check:
    name, key, secret = "twilio API key", settings.twilio_api_key, settings.twilio_api_secret
    if not key or not secret:
        missing = "CALLSTREAM_TWILIO_API_SECRET" if key else "CALLSTREAM_TWILIO_API_KEY"
        return Check(name, "failed", "one half of it is missing", f"set {missing}")
    if not settings.twilio_account_sid:
        return Check(name, "failed", "its account is not named", "set CALLSTREAM_TWILIO_ACCOUNT_SID")
    answer = await _calls(client, settings, settings.twilio_account_sid, key, secret)
    setting = "CALLSTREAM_TWILIO_API_KEY and CALLSTREAM_TWILIO_API_SECRET"
    return _judged(name, answer, "it", setting, _TWILIO_URL)


async def _calls(
    client: aiohttp.ClientSession, settings: Settings, account: str, user: str, password: str
) -> ProbeAnswer | NoAnswer | None:
    """Reads one row of an account's calls; None if the credential must not be sent."""
    base = _url(settings.twilio_api_url)
    if base is None or not _may_see(base):
        return None
    url = base / "2010-04-01" / "Accounts" / account / "Calls.json" % {"PageSize": "1"}
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return await probe(client, url, headers={"Authorization": f"Basic {pair}"})


async def _telnyx(client: aiohttp.ClientSession, settings: Settings) -> Check:
    name, base = "telnyx API key", _url(settings.telnyx_api_url)
    if not settings.telnyx_api_key:
        return Check(name, "ok", "not configured")
    if not settings.telnyx_api_key.isascii() or not settings.telnyx_api_key.isprintable():
        mend = "check CALLSTREAM_TELNYX_API_KEY"
        return Check(name, "failed", "it has characters that no key has", mend)
    answer = None
    if base is not None and _may_see(base):
        url = base / "call_events" % {"page[size]": "1"}
        answer = await probe(client, url, headers={"Authorization": f"Bearer {settings.telnyx_api_key}"})
    return _judged(name, answer, "it", "CALLSTREAM_TELNYX_API_KEY", _TELNYX_URL)


def _may_see(base: URL) -> bool:
    return base.scheme == "https" or is_this_machine(base.host or "")


def _judged(name: str, answer: ProbeAnswer | NoAnswer | None, what: str, setting: str, there: str) -> Check:
    if answer is None:
        return Check(name, "unknown", "not tried: a secret is not sent over plain HTTP")
    if isinstance(answer, NoAnswer):
        return Check(name, "unknown", f"could not be tried: {answer.why}")
    if answer.status == 200:
        return Check(name, "ok", f"{what} is taken")
    if answer.status == 401:
        return Check(name, "failed", f"{what} is refused (401)", f"check {setting}")
    if answer.status == 403:
        mend = f"check {setting} and what it may read"
        return Check(name, "failed", f"{what} may not read the account's calls (403)", mend)
    if answer.status == 404:
        # A base URL with a part too many or too few, or another account than the credential's.
        return Check(
            name, "failed", "the account's calls are not there (404)", f"check {there} and {setting}"
        )
    return Check(name, "unknown", f"the answer was {answer.status}, which says nothing of {what}")


def _nth(at: int, count: int) -> str:
    return "the auth token" if count == 1 else f"auth token {at + 1} of {count}"


def _all(count: int) -> str:
    return "the auth token is taken" if count == 1 else f"all {count} auth tokens are taken"
