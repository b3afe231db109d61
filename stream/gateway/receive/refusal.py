"""Why a request is not taken: one word that is counted, and a sentence for who runs the gateway.

The rule of this file: neither holds anything that was sent. The sender gets the status alone: what is wrong
with a signature is nobody's business but ours.
"""

from __future__ import annotations

from dataclasses import dataclass

STATUSES = {
    "missing_signature": 403,
    "bad_signature": 403,
    "stale_timestamp": 403,
    "unknown_account": 403,
    "malformed": 400,
    "unsupported_media_type": 415,
    "too_large": 413,
}
"""The HTTP status of each reason."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is refused. `reason` is one of `STATUSES`, `detail` says it without what was sent."""

    reason: str
    detail: str

    @property
    def status(self) -> int:
        return STATUSES[self.reason]
