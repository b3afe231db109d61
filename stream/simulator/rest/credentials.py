"""The credentials that the simulated providers accept.

A credential is compared here and nowhere else, and no `repr` shows one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCredentials:
    """The accepted credentials: Twilio's auth tokens and API keys (`SK…` to secret), Telnyx' API keys.

    Without any, every request is refused.
    """

    twilio_tokens: tuple[str, ...] = field(default=(), repr=False)
    twilio_api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    telnyx: tuple[str, ...] = field(default=(), repr=False)

    def twilio_admits(self, authorization: str, account: str) -> bool:
        scheme, _, pair = authorization.partition(" ")
        try:
            user, _, secret = base64.b64decode(pair.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        if scheme.lower() != "basic":
            return False
        if user == account:
            return _one_of(secret, self.twilio_tokens)
        return user in self.twilio_api_keys and _one_of(secret, (self.twilio_api_keys[user],))

    def telnyx_admits(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        return scheme.lower() == "bearer" and _one_of(key.strip(), self.telnyx)


def _one_of(secret: str, known: Iterable[str]) -> bool:
    given = secret.encode(errors="surrogateescape")
    return bool(secret) and any(hmac.compare_digest(given, one.encode()) for one in known)
