"""Whether the settings admit the providers' callbacks and no others. Pure: it reads settings only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stream.cli.checkup.check import Check
from stream.gateway.diagnose.diagnosis import masked
from stream.gateway.diagnose.provider_setup import concerns
from stream.gateway.receive.telnyx_signature import public_key
from stream.service.settings import Settings

NOT_CONFIGURED = "not configured"

_ACCOUNT = re.compile(r"AC[0-9a-fA-F]{32}")


def callbacks(settings: Settings) -> list[Check]:
    return [_twilio(settings), _telnyx(settings), _unsigned(settings), _public_url(settings)]


def _twilio(settings: Settings) -> Check:
    name = "twilio callbacks"
    owners = {settings.twilio_account_sid} if settings.twilio_auth_token else set()
    owners |= {owner for owner, _ in settings.twilio_account_tokens}
    if not owners and settings.twilio_shared_keys:
        return Check(name, "ok", f"verified with {_count(len(settings.twilio_shared_keys), 'shared key')}")
    if not owners:
        if settings.telnyx_public_key:
            return Check(name, "ok", NOT_CONFIGURED)
        mend = "set CALLSTREAM_TWILIO_AUTH_TOKEN or CALLSTREAM_TELNYX_PUBLIC_KEY (--print-setup says all)"
        return Check(name, "warning", f"{NOT_CONFIGURED}, as is Telnyx", mend)
    for says, mend in _wrong(settings):
        return Check(name, "warning", says, mend)
    tokens = len(settings.twilio_auth_token) + len(settings.twilio_account_tokens)
    whose = "of every account" if "" in owners else f"of {_count(len(owners), 'account')}"
    return Check(name, "ok", f"verified with {_count(tokens, 'auth token')}, those {whose}")


def _wrong(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yields (what is wrong with the accounts and tokens, what to do)."""
    for token in settings.twilio_auth_token:
        if token != token.strip("\"'"):
            yield "an auth token has quotes around it", "take them out of CALLSTREAM_TWILIO_AUTH_TOKEN"
    sid = settings.twilio_account_sid
    if sid and not _ACCOUNT.fullmatch(sid):
        yield (
            f"the account {masked(sid)} is not an account SID, which is AC and 32 hexadecimal digits",
            "check CALLSTREAM_TWILIO_ACCOUNT_SID",
        )
    known = {sid, *(owner for owner, _ in settings.twilio_account_tokens)}
    known |= {key.rpartition("/")[0] for key, _ in settings.twilio_shared_keys}
    if any(account not in known for _, account in settings.twilio_subaccounts):
        yield (
            "a subaccount is under an account that has neither a token nor a shared key",
            "check CALLSTREAM_TWILIO_SUBACCOUNTS",
        )
    for owner, _ in settings.twilio_account_tokens:
        if not _ACCOUNT.fullmatch(owner):
            yield (
                "an account that has a token is not an account SID, which is AC and 32 hexadecimal digits",
                "check CALLSTREAM_TWILIO_ACCOUNT_TOKENS",
            )


def _telnyx(settings: Settings) -> Check:
    name = "telnyx callbacks"
    if not settings.telnyx_public_key:
        return Check(name, "ok", NOT_CONFIGURED)
    for text in settings.telnyx_public_key:
        try:
            public_key(text)
        except ValueError:
            return Check(
                name,
                "failed",
                "a public key is not an Ed25519 key",
                "set CALLSTREAM_TELNYX_PUBLIC_KEY to the one that Mission Control shows",
            )
    return Check(name, "ok", f"verified with {_count(len(settings.telnyx_public_key), 'public key')}")


def _unsigned(settings: Settings) -> Check:
    name = "unsigned callbacks"
    if settings.unsigned_callbacks == "refuse":
        return Check(name, "ok", "refused")
    return Check(
        name,
        "warning",
        "ACCEPTED: everybody who reaches the gateway can make up calls",
        "set CALLSTREAM_UNSIGNED_CALLBACKS=refuse as soon as there are accounts",
    )


def _public_url(settings: Settings) -> Check:
    name = "public URL"
    if settings.public_url:
        found = concerns(settings.public_url)
        if found:
            says = f"{settings.public_url}: {' '.join(found).removesuffix('.')}"
            return Check(name, "warning", says, "check CALLSTREAM_PUBLIC_URL")
        return Check(name, "ok", settings.public_url)
    if settings.twilio_auth_token or settings.twilio_account_tokens or settings.twilio_shared_keys:
        return Check(
            name,
            "warning",
            "not set: a request's Host header chooses the URL that Twilio's signature is checked against",
            "set CALLSTREAM_PUBLIC_URL to the URL that Twilio has, without /callbacks/…",
        )
    if settings.trusted_proxies:
        return Check(name, "ok", "as the trusted proxies say")
    return Check(
        name,
        "warning",
        "not set: taken from each request, which is wrong behind a proxy",
        "set CALLSTREAM_PUBLIC_URL to the URL that the providers have, without /callbacks/…",
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
