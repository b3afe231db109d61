"""The rate limit of a simulated provider: requests a second and requests at once; 429 above that.

A refused request costs nothing of the budget. Every request is counted.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLimit:
    """The limit of one provider. None: no limit.

    - `rate`: requests a second, with bursts as large; `in_flight`: concurrent requests.
    - `latency_s`: delay of each response; `error_rate`: share of 500s, drawn with `seed`.
    """

    rate: float | None = None
    in_flight: int | None = None
    latency_s: float = 0.0
    error_rate: float = 0.0
    seed: int = 1


class ProviderLimits(NamedTuple):
    """The providers' limits are independent of each other."""

    twilio: ProviderLimit = ProviderLimit()
    telnyx: ProviderLimit = ProviderLimit()


class AnsweredRequest(NamedTuple):
    """A request that was answered: when (monotonic seconds), which, about which call, with what status."""

    at_s: float
    provider: str
    route: str
    about: str
    status: int


class RequestStats:
    """The requests so far, for tests and demos.

    - `most_in_flight`: by provider, refused requests included.
    - `refused`: 429s by provider; `requests`: by (provider, route), whatever their status.
    - `latest`: the last requests in the order of their responses.
    """

    def __init__(self, keep: int = 100_000) -> None:
        self.most_in_flight: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.requests: Counter[tuple[str, str]] = Counter()
        self.latest: deque[AnsweredRequest] = deque(maxlen=keep)

    def answered(self, request: AnsweredRequest) -> None:
        """Count a request that was answered."""
        self.requests[request.provider, request.route] += 1
        self.refused[request.provider] += request.status == 429
        self.latest.append(request)


class TokenBucket:
    """Fills by `rate` tokens a second, up to one second's worth and at least one."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._most = max(1.0, rate)
        self._left = self._most
        self._clock = clock
        self._at_s = clock()

    @property
    def left(self) -> float:
        """Tokens that can be taken now."""
        now_s = self._clock()
        self._left = min(self._most, self._left + (now_s - self._at_s) * self.rate)
        self._at_s = now_s
        return self._left

    @property
    def wait_s(self) -> float:
        """Seconds until a token can be taken; 0 if now."""
        return max(0.0, (1.0 - self.left) / self.rate)

    def take(self) -> None:
        """Take a token."""
        self._left -= 1.0


class Throttle:
    """Admits the requests of one provider. Each `enter` is followed by a `leave`, refused or not."""

    def __init__(
        self,
        provider: str,
        limit: ProviderLimit,
        stats: RequestStats,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.provider = provider
        self.limit = limit
        self.bucket = TokenBucket(limit.rate, clock) if limit.rate is not None else None
        self._stats = stats
        self._random = random.Random(limit.seed)
        self._in_flight = 0

    def enter(self) -> int:
        """A request has come: 0 if it is admitted, else the whole seconds after which it may be retried."""
        self._in_flight += 1
        most = self._stats.most_in_flight
        most[self.provider] = max(most[self.provider], self._in_flight)
        if self.limit.in_flight is not None and self._in_flight > self.limit.in_flight:
            return 1
        if self.bucket is None:
            return 0
        if self.bucket.wait_s > 0:
            return math.ceil(self.bucket.wait_s)
        self.bucket.take()
        return 0

    def leave(self) -> None:
        """The request was answered."""
        self._in_flight -= 1

    def fails(self) -> bool:
        """Whether this request gets a 500."""
        return self.limit.error_rate > 0 and self._random.random() < self.limit.error_rate

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Telnyx' headers of each response: the limit, what is left of it, seconds until the next request."""
        if self.bucket is None:
            return ()
        return (
            ("x-ratelimit-limit", f"{self.bucket.rate:g}"),
            ("x-ratelimit-remaining", str(int(self.bucket.left))),
            ("x-ratelimit-reset", str(math.ceil(self.bucket.wait_s))),
        )
