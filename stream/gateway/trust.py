"""Whom the gateway believes: accounts and their tokens, Telnyx' keys, proxies.

The rule of this file: it holds secrets and shows none, in no `repr` and in no error. A token speaks for its
own account only: who has one account's token must not speak for another's calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from stream.gateway.public_url import Network
from stream.gateway.telnyx_signature import public_key
from stream.runtime.settings import Settings, SettingsError

ANY_ACCOUNT = ""
"""The account of tokens that were configured without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """`twilio_tokens`: account to its tokens, the newest first. `twilio_shared_keys`: id to secret."""

    public_url: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    twilio_tokens: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    twilio_shared_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    telnyx_keys: tuple[Ed25519PublicKey, ...] = field(default=(), repr=False)
    telnyx_tolerance_s: float = 300.0
    accept_unsigned: bool = False

    def tokens_of(self, account: str | None) -> list[tuple[str, str]]:
        """(account, token) of all that may sign for an account; of None, which names none: of all.

        Empty where the account is not configured.
        """
        if account is None:
            return [(owner, token) for owner, tokens in self.twilio_tokens.items() for token in tokens]
        return [
            (owner, token) for owner in (account, ANY_ACCOUNT) for token in self.twilio_tokens.get(owner, ())
        ]


def from_settings(settings: Settings) -> Trust:
    """Raises SettingsError on a key that is none."""
    return Trust(
        public_url=settings.public_url,
        trusted_proxies=settings.trusted_proxies,
        twilio_tokens=_tokens(settings),
        twilio_shared_keys=dict(settings.twilio_shared_keys),
        telnyx_keys=_keys(settings.telnyx_public_key),
        telnyx_tolerance_s=settings.telnyx_tolerance_s,
        accept_unsigned=settings.unsigned_callbacks == "accept",
    )


def _keys(texts: Iterable[str]) -> tuple[Ed25519PublicKey, ...]:
    try:
        return tuple(public_key(text) for text in texts)
    except ValueError as error:
        raise SettingsError(f"CALLSTREAM_TELNYX_PUBLIC_KEY {error}") from None


def _tokens(settings: Settings) -> dict[str, tuple[str, ...]]:
    own = ((settings.twilio_account_sid or ANY_ACCOUNT, token) for token in settings.twilio_auth_token)
    return _grouped([*own, *settings.twilio_account_tokens])


def _grouped(named: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, token in named:
        if token not in found.get(name, ()):
            found[name] = (*found.get(name, ()), token)
    return found
