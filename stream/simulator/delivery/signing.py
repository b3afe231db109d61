"""Whose calls the simulator makes and how they are signed: it holds the secrets that the providers hold.

The rule of this file: written from the providers' documents and not from the gateway's code, so that the two
check each other. No secret is in a `repr` or an error.
(Twilio: "Secure webhooks"; Telnyx: "Webhook fundamentals".)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from stream.service.account_setting import AccountSetting
from stream.service.settings import SettingsError, SimulatorSettings
from stream.simulator.calls.options import Options

SIMULATED = "simulated"
"""The alias of the simulator's accounts."""

NO_BUDGET: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """The simulator's side of the secrets; None where that provider's webhooks go unsigned.

    `twilio_account`: whose the token is; empty where it speaks for any account.
    """

    twilio_account: str = ""
    twilio_token: str | None = field(default=None, repr=False)
    telnyx_key: Ed25519PrivateKey | None = field(default=None, repr=False)


def from_settings(settings: SimulatorSettings, options: Options) -> SigningKeys:
    """What a run needs to sign with. Raises SettingsError with the setting that is missing.

    Twilio's is the simulator's own account, else the one that the gateway is set up with.
    """
    account, token = twilio_account(settings)
    key = settings.simulate_telnyx_private_key
    if settings.unsigned_callbacks != "accept":
        if token is None and options.telnyx < 1 and "twilio_status_callback" in options.sources:
            raise SettingsError("CALLSTREAM_TWILIO_AUTH_TOKEN is needed to sign as Twilio")
        if not key and options.telnyx > 0 and "telnyx_webhook" in options.sources:
            raise SettingsError("CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY is needed to sign as Telnyx")
    return SigningKeys(
        twilio_account=account,
        twilio_token=token,
        telnyx_key=Ed25519PrivateKey.from_private_bytes(base64.b64decode(key)) if key else None,
    )


def twilio_account(settings: SimulatorSettings) -> tuple[str, str | None]:
    """The account of Twilio that the simulator plays and its token: its own, else the gateway's.

    Empty where the token speaks for any account; None without a token.
    """
    if settings.simulate_twilio_account_token:
        return settings.simulate_twilio_account_token[0]
    if settings.twilio_auth_token:
        return settings.twilio_account_sid, settings.twilio_auth_token[0]
    return settings.twilio_account_tokens[0] if settings.twilio_account_tokens else ("", None)


def simulated_environment(
    settings: SimulatorSettings,
    environ: Mapping[str, str],
    *,
    rest_url: str | None = None,
    budget: Mapping[str, int] = NO_BUDGET,
) -> dict[str, str]:
    """An environment for roles that believe each other and the simulator, made from theirs.

    The simulator has an account, a token and a key of its own, new each time unless they are set. The gateway
    goes on believing whom it believed before. With `rest_url`, where the simulator serves its resources, a
    poller reads those of the simulated accounts there, and everybody else's where it read them before.
    `budget`: `rate` and `concurrency` of the simulated accounts, where not as for all others.
    """
    account, token = (
        settings.simulate_twilio_account_token[0]
        if settings.simulate_twilio_account_token
        else (f"AC{secrets.token_hex(16)}", secrets.token_hex(16))
    )
    private = settings.simulate_telnyx_private_key or new_private_key()
    accounts = [*settings.twilio_account_tokens, (account, token)]
    made = {
        "CALLSTREAM_SIMULATE_TWILIO_ACCOUNT_TOKEN": f"{account}={token}",
        "CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY": private,
        "CALLSTREAM_TWILIO_ACCOUNT_TOKENS": ",".join(f"{name}={said}" for name, said in accounts),
        "CALLSTREAM_TELNYX_PUBLIC_KEY": ",".join([*settings.telnyx_public_key, public_key_of(private)]),
    }
    if rest_url is not None:
        made |= _polling(settings, rest_url, account, token, budget)
    files = {f"{name}_FILE" for name in made}
    return {**{name: said for name, said in environ.items() if name not in files}, **made}


def telnyx_account(settings: SimulatorSettings) -> tuple[str, str]:
    """(id, API key) of the account whose resources are served; empty where there is none."""
    if settings.simulate_telnyx_account_key:
        return settings.simulate_telnyx_account_key[0]
    return settings.telnyx_account_id, settings.telnyx_api_key


def _polling(
    settings: SimulatorSettings, rest_url: str, account: str, token: str, budget: Mapping[str, int]
) -> dict[str, str]:
    """What a poller reads a simulator with: tables of their own, so that no real credentials go there."""
    id_, key = (
        settings.simulate_telnyx_account_key[0]
        if settings.simulate_telnyx_account_key
        else (str(uuid.uuid4()), f"KEY{secrets.token_hex(16)}")
    )
    simulated = {"alias": SIMULATED, "insights_url": rest_url, **budget}
    tables = [
        *(_table(one) for one in settings.poll_accounts if one.id not in (account, id_)),
        {**simulated, "provider": "twilio", "id": account, "secret": token, "api_url": rest_url},
        {**simulated, "provider": "telnyx", "id": id_, "secret": key, "api_url": f"{rest_url}/v2"},
    ]
    return {
        "CALLSTREAM_SIMULATE_TELNYX_ACCOUNT_KEY": f"{id_}={key}",
        "CALLSTREAM_POLL_ACCOUNTS": json.dumps(tables),
    }


def _table(one: AccountSetting) -> dict[str, Any]:
    said = {about.name: getattr(one, about.name) for about in fields(one)}
    return {**said, "secret_file": ""}


def new_private_key() -> str:
    """A key as CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY takes it: base64 of 32 bytes."""
    key = Ed25519PrivateKey.generate()
    raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return base64.b64encode(raw).decode()


def public_key_of(private: str) -> str:
    """The public half, as CALLSTREAM_TELNYX_PUBLIC_KEY takes it."""
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private)).public_key()
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def twilio_signature(token: str, url: str, parameters: Iterable[tuple[str, str]]) -> str:
    """X-Twilio-Signature of a form: the URL, then names and values in order. Voice leaves out https' port."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.port is not None:
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition(":")[0]))
    text = url + "".join(name + value for name, value in sorted(parameters))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def telnyx_signature(key: Ed25519PrivateKey, timestamp: str, body: bytes) -> str:
    """telnyx-signature-ed25519 of a body that is sent at a Unix time."""
    return base64.b64encode(key.sign(timestamp.encode() + b"|" + body)).decode()
