"""The masked form of a number, an address and a URL.

Masking is idempotent: a masked value and a hash stay as they are.
"""

from __future__ import annotations

import re

from stream.core.privacy.free_text import bare_url, without_persons
from stream.core.privacy.phone_numbers import Show, replaced

HASH = re.compile(r"h:[0-9a-f]{16}")
_SCHEMES = frozenset(
    {"sip", "sips", "tel", "client", "sim", "whatsapp", "messenger", "conference", "queue", "app"}
)


def masked_number(text: str) -> str:
    """A number or the user part of an address: its first three characters and its last two."""
    if HASH.fullmatch(text) or not any(c.isalnum() for c in text):
        return text
    if len(text) < 8:
        return text[:1] + "*" * (len(text) - 1)
    return text[:3] + "*" * (len(text) - 5) + text[-2:]


def masked_address(text: str) -> str:
    """An address as the mode `masked` shows it."""
    return shown_address(text, masked_number)


def masked_url(url: str) -> str:
    """A URL as the mode `masked` shows it. Kafka keys contain this form in every mode."""
    return without_persons(replaced(bare_url(url), masked_number))


def shown_address(text: str, show: Show) -> str:
    """The value of an address field: a number, an address with a scheme, or a user name."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in _SCHEMES:
        if scheme.lower() in ("sip", "sips", "tel", "client"):
            return replaced(text, show)
        user, at, host = rest.partition("@")
        return f"{scheme}:{show(user)}{at}{replaced(host, show)}" if user else text
    return show(text)
