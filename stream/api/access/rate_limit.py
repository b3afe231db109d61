"""How many requests a token may send: a bucket for each token, which fills steadily.

Time is an argument, in seconds of one monotonic clock.
"""

from __future__ import annotations

BURST_S = 5.0
"""A token that was silent may send as many requests at once as come in that many seconds."""


class RequestLimit:
    """`rate`: requests a second of each token."""

    def __init__(self, rate: float, burst_s: float = BURST_S) -> None:
        self._rate = rate
        self._most = max(1.0, rate * burst_s)
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, name: str, now_s: float) -> float:
        """0 if a request of this token is allowed, which it then has used; else how long it must wait.

        There are as many buckets as tokens are configured.
        """
        left, at_s = self._buckets.get(name, (self._most, now_s))
        left = min(self._most, left + (now_s - at_s) * self._rate)
        allowed = left >= 1.0
        self._buckets[name] = (left - 1.0 if allowed else left, now_s)
        return 0.0 if allowed else (1.0 - left) / self._rate
