"""Failed verifications: how many an address may cause, and how much of the gateway's time all may take.

The rule of this file: pure; the clock is an argument, in seconds that never go back. Who has verified lately
is never limited, so that no flood from elsewhere keeps a provider out. Who is limited may be a provider all
the same, whose address somebody shares: the doors refuse it nothing that costs little to verify. Memory is
bounded: what has not been seen for longest is forgotten.
"""

from __future__ import annotations

import ipaddress
import math
from typing import TypeVar

BURST = 20
"""Failures of one address before it is limited: a wrong token shows itself in fewer."""

PER_S = 1.0
"""Failures a second that an address may go on with."""

TIME_SHARE = 0.25
"""Of the gateway's time, what the failures of all may take."""

TIME_BURST_S = 1.0
LATELY_S = 3600.0
ADDRESSES = 4096

_LONGEST_S = 60

_Value = TypeVar("_Value")


class FailedVerifications:
    """What is known of the addresses that requests come from.

    `""` is of those whose address nobody knows: many clients, of whom one must not shut out the others. So
    their failures are not counted, and only take from the time of all.
    """

    def __init__(self) -> None:
        self._counts: dict[str, tuple[float, float]] = {}
        """Failures that are not yet forgiven, and when that was so; the one not seen for longest first."""
        self._verified_s: dict[str, float] = {}
        self._time = (0.0, 0.0)

    def wait_s(self, address: str, now_s: float) -> int:
        """0 where the address may try, else in how many whole seconds it may come again."""
        owner = network(address)
        if self._verified_lately(owner, now_s):
            return 0
        own_s = (self._count(owner, now_s) - BURST + 1) / PER_S if owner else 0.0
        over = max(own_s, (self._spent_s(now_s) - TIME_BURST_S) / TIME_SHARE)
        return min(math.ceil(over), _LONGEST_S) if over > 0 else 0

    def failed(self, address: str, now_s: float, took_s: float) -> None:
        """A verification failed; `took_s`: the time that it cost."""
        owner = network(address)
        count = self._count(owner, now_s) + 1
        _keep(self._counts, owner, (min(count, BURST + _LONGEST_S * PER_S), now_s))
        self._time = (self._spent_s(now_s) + took_s, now_s)

    def verified(self, address: str, now_s: float) -> None:
        """A verification succeeded."""
        owner = network(address)
        self._counts.pop(owner, None)
        _keep(self._verified_s, owner, now_s)

    def has_verified(self, address: str, now_s: float) -> bool:
        """Whether the address has verified lately."""
        return self._verified_lately(network(address), now_s)

    def _verified_lately(self, owner: str, now_s: float) -> bool:
        verified_s = self._verified_s.get(owner)
        return verified_s is not None and now_s - verified_s < LATELY_S

    def _count(self, owner: str, now_s: float) -> float:
        count, at_s = self._counts.get(owner, (0.0, now_s))
        return max(0.0, count - (now_s - at_s) * PER_S)

    def _spent_s(self, now_s: float) -> float:
        spent_s, at_s = self._time
        return max(0.0, spent_s - (now_s - at_s) * TIME_SHARE)


def _keep(known: dict[str, _Value], owner: str, value: _Value) -> None:
    known.pop(owner, None)
    known[owner] = value
    if len(known) > ADDRESSES:
        del known[next(iter(known))]


def network(address: str) -> str:
    """Who an address belongs to: itself, of IPv6 its /64, which is what one customer has at least."""
    if ":" not in address:
        return address
    try:
        return ipaddress.IPv6Address(address).packed[:8].hex()
    except ValueError:
        return address
