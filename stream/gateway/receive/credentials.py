"""What the gateway trusts: accounts and their tokens, Telnyx' public keys, proxies.

Secrets appear in no `repr` and in no error. A token signs for its own account only: the
holder of one account's token must not report another account's calls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from stream.gateway.receive.public_url import Network
from stream.gateway.receive.telnyx_signature import public_key
from stream.service.settings import GatewaySettings, SettingsError

ANY_ACCOUNT = ""
"""The account of tokens that were configured without one."""


class SharedKey(NamedTuple):
    """A key that signs in place of a token. Without a name, so that no error shows it."""

    account: str
    secret: str

    def __repr__(self) -> str:
        return "SharedKey(…)"


class Signer(NamedTuple):
    """The account that signed a batch of events.

    - `subaccounts`: configured under it; `others`: known too, but not under it.
    """

    account: str
    subaccounts: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    def speaks_for(self, account: str | None, parent: str | None) -> bool:
        """Whether an event of `account` is its subaccount's; `parent`: whose subaccount the event says it is.

        As with the Debugger's form, that is believed of accounts that are not configured.
        """
        if account in self.subaccounts:
            return True
        return account is not None and parent == self.account and account not in self.others


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayCredentials:
    """Who may sign what.

    - `twilio_tokens`: account to its tokens, the newest first.
    - `twilio_shared_keys`: by their ids.
    - `twilio_subaccounts`: subaccount to the account that may sign for it too.
    """

    public_url: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    twilio_tokens: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    twilio_shared_keys: Mapping[str, SharedKey] = field(default_factory=dict, repr=False)
    twilio_subaccounts: Mapping[str, str] = field(default_factory=dict)
    twilio_max_age_s: float = math.inf
    telnyx_keys: tuple[Ed25519PublicKey, ...] = field(default=(), repr=False)
    telnyx_tolerance_s: float = 300.0
    accept_unsigned: bool = False

    @classmethod
    def from_settings(cls, settings: GatewaySettings) -> GatewayCredentials:
        """Raises SettingsError on an unreadable key."""
        own = settings.twilio_account_sid or ANY_ACCOUNT
        tokens: dict[str, tuple[str, ...]] = {}
        for account, token in (
            *((own, token) for token in settings.twilio_auth_token),
            *settings.twilio_account_tokens,
        ):
            tokens[account] = tuple(dict.fromkeys((*tokens.get(account, ()), token)))
        shared_keys = {}
        for name, secret in settings.twilio_shared_keys:
            account, _, key = name.rpartition("/")
            shared_keys[key] = SharedKey(account or own, secret)
        try:
            telnyx_keys = tuple(map(public_key, settings.telnyx_public_key))
        except ValueError as error:
            raise SettingsError(f"CALLSTREAM_TELNYX_PUBLIC_KEY {error}") from None
        return cls(
            public_url=settings.public_url,
            trusted_proxies=settings.trusted_proxies,
            twilio_tokens=tokens,
            twilio_shared_keys=shared_keys,
            twilio_subaccounts=dict(settings.twilio_subaccounts),
            twilio_max_age_s=settings.twilio_max_age_s,
            telnyx_keys=telnyx_keys,
            telnyx_tolerance_s=settings.telnyx_tolerance_s,
            accept_unsigned=settings.unsigned_callbacks == "accept",
        )

    def may_sign_for(self, signer: str, account: str | None) -> bool:
        """Whether `signer` may sign a request that names `account`; None: it names none."""
        return account is None or signer in (account, ANY_ACCOUNT, self.twilio_subaccounts.get(account))

    def signer(self, account: str) -> Signer:
        known = {**dict.fromkeys(self.twilio_tokens), **self.twilio_subaccounts}
        subaccounts = frozenset(one for one, parent in known.items() if parent == account)
        return Signer(account, subaccounts, frozenset(known) - subaccounts)
