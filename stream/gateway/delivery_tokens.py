"""Twilio's idempotency tokens: those of a delivery and of its retries are equal, and their content is, too.

No signature covers a token, so it identifies nothing: the same one on two calls or contents is two events.
But something on the way, a proxy or an application that forwards webhooks, gives them one token, and may
drop one of them. Memory is bounded, and one gateway knows only its own requests.
"""

from __future__ import annotations

from hashlib import blake2b

TOKENS = 10_000
"""How many are remembered: a retry comes within minutes."""


class DeliveryTokens:
    """The last tokens that came, and what with."""

    def __init__(self, kept: int = TOKENS) -> None:
        self._kept = kept
        self._content: dict[bytes, bytes] = {}

    def is_reused(self, token: str | None, content: bytes) -> bool:
        """Whether a token came before, with something else."""
        if not token:
            return False
        name, said = _digest(token.encode(errors="replace")), _digest(content)
        known = self._content.setdefault(name, said)
        if len(self._content) > self._kept:
            del self._content[next(iter(self._content))]  # the oldest
        return known != said


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=16).digest()
