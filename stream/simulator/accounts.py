"""The accounts that the simulator plays, taken from the settings: what it signs with, whom it serves, and the
environment in which the other roles trust it.

No secret is in a `repr` or an error.
"""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from stream.service.settings import SettingsError, SimulatorSettings
from stream.simulator.calls.options import SENT_SOURCES, Options
from stream.simulator.delivery.webhooks import SigningKeys
from stream.simulator.rest.credentials import ApiCredentials

SIMULATED = "simulated"
"""The alias of the simulator's accounts."""

NO_BUDGET: Mapping[str, int] = {}


def twilio_account(settings: SimulatorSettings) -> tuple[str, str | None]:
    """(id, token) of the Twilio account that the simulator plays: its own, else the gateway's.

    The id is empty if the token is valid for any account; the token is None if there is none.
    """
    if settings.simulate_twilio_account_token:
        return settings.simulate_twilio_account_token[0]
    if settings.twilio_auth_token:
        return settings.twilio_account_sid, settings.twilio_auth_token[0]
    return settings.twilio_account_tokens[0] if settings.twilio_account_tokens else ("", None)


def telnyx_account(settings: SimulatorSettings) -> tuple[str, str]:
    """(id, API key) of the Telnyx account whose resources are served; both empty if there is none."""
    if settings.simulate_telnyx_account_key:
        return settings.simulate_telnyx_account_key[0]
    return settings.telnyx_account_id, settings.telnyx_api_key


def signing_keys(settings: SimulatorSettings, options: Options) -> SigningKeys:
    """What a run needs to sign with. Raises SettingsError with the setting that is missing."""
    account, token = twilio_account(settings)
    key = settings.simulate_telnyx_private_key
    if settings.unsigned_callbacks != "accept":
        sends = any(source.startswith("twilio_") for source in options.sources & set(SENT_SOURCES))
        if token is None and options.telnyx < 1 and sends:
            raise SettingsError("CALLSTREAM_TWILIO_AUTH_TOKEN is needed to sign as Twilio")
        if not key and options.telnyx > 0 and "telnyx_webhook" in options.sources:
            raise SettingsError("CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY is needed to sign as Telnyx")
    return SigningKeys(
        twilio_account=account,
        twilio_token=token,
        telnyx_key=Ed25519PrivateKey.from_private_bytes(base64.b64decode(key)) if key else None,
    )


def served_accounts(settings: SimulatorSettings, options: Options) -> tuple[Options, ApiCredentials]:
    """The options with the accounts that are served, and the credentials that are accepted: those with which
    a poller of the same settings reads. Raises SettingsError with what is missing.
    """
    account, token = twilio_account(settings)
    id_, key = telnyx_account(settings)
    api_key = settings.twilio_api_key and settings.twilio_api_secret
    providers = {source.partition("_")[0] for source in options.polled}
    if "twilio" in providers and options.telnyx < 1 and not (account and (token or api_key)):
        raise SettingsError("CALLSTREAM_TWILIO_ACCOUNT_SID and a token are needed to answer as Twilio")
    if "telnyx" in providers and options.telnyx > 0 and not key:
        raise SettingsError("CALLSTREAM_TELNYX_API_KEY is needed to answer as Telnyx")
    return replace(options, twilio_account=account, telnyx_account=id_), ApiCredentials(
        twilio_tokens=(token,) if token else (),
        twilio_api_keys={settings.twilio_api_key: settings.twilio_api_secret} if api_key else {},
        telnyx=(key,) if key else (),
    )


def simulated_environment(
    settings: SimulatorSettings,
    environ: Mapping[str, str],
    *,
    rest_url: str | None = None,
    budget: Mapping[str, int] = NO_BUDGET,
) -> dict[str, str]:
    """An environment for roles that trust each other and the simulator, made from `environ`.

    The simulator gets an account, a token and a key of its own, new each time unless they are set. The
    gateway still trusts all that it trusted before. With `rest_url`, where the simulator serves its
    resources, a poller reads the simulated accounts there, and all other accounts where it did before.
    `budget`: `rate` and `concurrency` of the simulated accounts, if different from those of all others.
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
        made |= _poll_settings(settings, rest_url, account, token, budget)
    files = {f"{name}_FILE" for name in made}
    return {**{name: said for name, said in environ.items() if name not in files}, **made}


def _poll_settings(
    settings: SimulatorSettings, rest_url: str, account: str, token: str, budget: Mapping[str, int]
) -> dict[str, str]:
    """The simulated accounts as tables of their own, so that no real credentials go to the simulator."""
    id_, key = (
        settings.simulate_telnyx_account_key[0]
        if settings.simulate_telnyx_account_key
        else (str(uuid.uuid4()), f"KEY{secrets.token_hex(16)}")
    )
    simulated = {"alias": SIMULATED, "insights_url": rest_url, "monitor_url": rest_url, **budget}
    tables = [
        *(
            {**asdict(one), "secret_file": ""}
            for one in settings.poll_accounts
            if one.id not in (account, id_)
        ),
        {**simulated, "provider": "twilio", "id": account, "secret": token, "api_url": rest_url},
        {**simulated, "provider": "telnyx", "id": id_, "secret": key, "api_url": f"{rest_url}/v2"},
    ]
    return {
        "CALLSTREAM_SIMULATE_TELNYX_ACCOUNT_KEY": f"{id_}={key}",
        "CALLSTREAM_POLL_ACCOUNTS": json.dumps(tables),
    }


def new_private_key() -> str:
    """A new key for CALLSTREAM_SIMULATE_TELNYX_PRIVATE_KEY: base64 of 32 bytes."""
    key = Ed25519PrivateKey.generate()
    raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return base64.b64encode(raw).decode()


def public_key_of(private: str) -> str:
    """The public half, for CALLSTREAM_TELNYX_PUBLIC_KEY."""
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private)).public_key()
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
