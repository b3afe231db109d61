"""An account of a provider: where its resources are, with what they are read, and how much of them may be.

The rule of this file: credentials leave it in one header and nowhere else; no `repr` shows them.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from stream.runtime.settings import Settings


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
    """The accounts whose credentials are configured."""
    found: list[Account] = []

    def twilio(id_: str, user: str, secret: str) -> None:
        if id_ not in {known.id for known in found}:
            found.append(
                Account(
                    provider="twilio",
                    id=id_,
                    alias=settings.account_alias,
                    api_url=settings.twilio_api_url.rstrip("/"),
                    insights_url=settings.twilio_insights_url.rstrip("/"),
                    user=user,
                    secret=secret,
                    rate=settings.poll_rate,
                    concurrency=settings.poll_concurrency,
                )
            )

    own = settings.twilio_account_sid
    if own and settings.twilio_api_key and settings.twilio_api_secret:
        twilio(own, settings.twilio_api_key, settings.twilio_api_secret)
    elif own and settings.twilio_auth_token:
        twilio(own, own, settings.twilio_auth_token[0])
    for id_, token in settings.twilio_account_tokens:
        twilio(id_, id_, token)
    if settings.telnyx_api_key:
        found.append(
            Account(
                provider="telnyx",
                id=settings.telnyx_account_id,
                alias=settings.account_alias,
                api_url=settings.telnyx_api_url.rstrip("/"),
                secret=settings.telnyx_api_key,
                rate=settings.poll_rate,
                concurrency=settings.poll_concurrency,
            )
        )
    return found
