"""What a provider sends and callstream never passes on: card and bank data, tokens, passwords in URLs.

Names are compared without case, underscores and hyphens: the same parameter has three spellings.
Phone numbers and addresses are not withheld here but masked later, as the privacy setting says.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from stream.sources import urls

_NAMES = frozenset(
    {
        # Call tokens and passports (RFC 8225): whoever has them can act for the caller.
        "calltoken",
        "stirpassporttoken",
        "passporttoken",
        "authtoken",
        "accesstoken",
        "authorization",
        "proxyauthorization",
        "password",
        # The customer's own, for their eyes alone.
        "clientstate",
        # Twilio <Pay> and Telnyx payments.
        "paymenttoken",
        "paymentcardnumber",
        "paymentcardtype",
        "paymentcardpostalcode",
        "cardnumber",
        "cardtype",
        "securitycode",
        "cvv",
        "cvc",
        "expirationdate",
        "bankaccountnumber",
        "bankaccounttype",
        "bankroutingnumber",
        "accountnumber",
        "routingnumber",
        "postalcode",
    }
)
_LONGEST = 64
"""Characters of a name beyond which it is none of these; the cache stays small."""

_HEADERS = frozenset({"identity", "authorization", "proxyauthorization", "cookie"})
"""Headers, sent as `{"name": …, "value": …}`, whose value is a credential (Identity: RFC 8224)."""


def spelled(name: str) -> str:
    """A parameter's name without what its three spellings differ in."""
    return name.replace("_", "").replace("-", "").lower()


def is_withheld(name: str) -> bool:
    return len(name) <= _LONGEST and _is_withheld(name)


@lru_cache(maxsize=4096)
def _is_withheld(name: str) -> bool:
    return spelled(name) in _NAMES


def passed_on(value: Any) -> Any:
    """A copy of a JSON value without what is withheld. The value's depth is bounded by then."""
    if type(value) is str:
        return (urls.bare(value) or value) if "://" in value[:8] else value
    if type(value) is dict:
        if _is_secret_header(value):
            return {"name": value["name"]}
        return {name: passed_on(inner) for name, inner in value.items() if not is_withheld(name)}
    if type(value) is list:
        return [passed_on(inner) for inner in value]
    return value


def _is_secret_header(value: dict[str, Any]) -> bool:
    name = value.get("name")
    return type(name) is str and set(value) == {"name", "value"} and spelled(name) in _HEADERS
