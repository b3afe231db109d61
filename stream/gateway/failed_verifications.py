"""Failed verifications: how many an address may cause, and how much of the gateway's time they may take in
all.

Pure: the clock is an argument, in seconds that never go back. An address that has verified within the last
hour is never limited, so no flood from elsewhere keeps a provider out. A limited address may still be shared
with a provider: the handlers verify whatever is cheap to verify. Memory is bounded: the address that was not
seen for longest is forgotten first.
"""

from __future__ import annotations

import ipaddress
import math
from functools import lru_cache

BURST = 20
"""Failures of one address before it is limited: a wrong token shows itself in fewer."""

PER_S = 1.0
"""Failures per second that a limited address may continue with."""

TIME_SHARE = 0.25
"""The share of the gateway's time that all failures together may take."""

TIME_BURST_S = 1.0
LATELY_S = 3600.0
ADDRESSES = 4096

_LONGEST_S = 60


class FailedVerifications:
    """What is known about the addresses that requests come from.

    `""` stands for all clients whose address is unknown, of whom one must not shut out the others. Their
    failures are not counted for an address, and only take from the time of all.
    """

    def __init__(self) -> None:
        self._counts: dict[str, tuple[float, float]] = {}
        """Failures not yet forgiven, and when that was; the address not seen for longest comes first."""
        self._verified_s: dict[str, float] = {}
        self._time = (0.0, 0.0)

    def wait_s(self, address: str, now_s: float) -> int:
        """0 where the address may try, else the whole seconds until it may retry."""
        owner = network(address)
        if now_s - self._verified_s.get(owner, -math.inf) < LATELY_S:
            return 0
        own_s = (self._count(owner, now_s) - BURST + 1) / PER_S if owner else 0.0
        over = max(own_s, (self._spent_s(now_s) - TIME_BURST_S) / TIME_SHARE)
        return min(math.ceil(over), _LONGEST_S) if over > 0 else 0

    def record_failure(self, address: str, now_s: float, took_s: float) -> None:
        """`took_s`: the time that the failed verification cost."""
        owner = network(address)
        count = self._count(owner, now_s) + 1
        self._counts.pop(owner, None)
        self._counts[owner] = (min(count, BURST + _LONGEST_S * PER_S), now_s)
        if len(self._counts) > ADDRESSES:
            del self._counts[next(iter(self._counts))]
        self._time = (self._spent_s(now_s) + took_s, now_s)

    def record_success(self, address: str, now_s: float) -> None:
        owner = network(address)
        self._counts.pop(owner, None)
        self._verified_s.pop(owner, None)
        self._verified_s[owner] = now_s
        if len(self._verified_s) > ADDRESSES:
            del self._verified_s[next(iter(self._verified_s))]

    def has_verified(self, address: str, now_s: float) -> bool:
        """Whether the address has verified within the last hour."""
        return now_s - self._verified_s.get(network(address), -math.inf) < LATELY_S

    def _count(self, owner: str, now_s: float) -> float:
        count, at_s = self._counts.get(owner, (0.0, now_s))
        return max(0.0, count - (now_s - at_s) * PER_S)

    def _spent_s(self, now_s: float) -> float:
        spent_s, at_s = self._time
        return max(0.0, spent_s - (now_s - at_s) * TIME_SHARE)


@lru_cache(maxsize=ADDRESSES)
def network(address: str) -> str:
    """Who an address belongs to: itself, or its /64 for IPv6, the least that one customer has."""
    if ":" not in address:
        return address
    try:
        return ipaddress.IPv6Address(address).packed[:8].hex()
    except ValueError:
        return address
