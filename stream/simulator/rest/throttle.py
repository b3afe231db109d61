"""How much a provider takes: so many requests a second, so many at once. Above that: come later.

The rule of this file: what is refused costs nothing of the budget, and everything that came is counted.
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
    """Of one provider. None: any number.

    - `rate`: requests a second, with bursts as large; `in_flight`: requests at once.
    - `latency_s`: how long each answer takes; `error_rate`: share that fails with 500, by a random number
      that begins with `seed`.
    """

    rate: float | None = None
    in_flight: int | None = None
    latency_s: float = 0.0
    error_rate: float = 0.0
    seed: int = 1


class ProviderLimits(NamedTuple):
    """Each provider's own: what one has taken says nothing of the other."""

    twilio: ProviderLimit = ProviderLimit()
    telnyx: ProviderLimit = ProviderLimit()


class AnsweredRequest(NamedTuple):
    """One that was answered: when (monotonic seconds), which, about which call, and with what status."""

    at_s: float
    provider: str
    route: str
    about: str
    status: int


class RequestStats:
    """What came, for tests and demos.

    - `most_in_flight`: by provider, the refused ones too: what the clients asked at once.
    - `refused`: 429s by provider; `requests`: by (provider, route), however they were answered.
    - `latest`: the last requests in the order of their answers.
    """

    def __init__(self, keep: int = 100_000) -> None:
        self.most_in_flight: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.requests: Counter[tuple[str, str]] = Counter()
        self.latest: deque[AnsweredRequest] = deque(maxlen=keep)

    def answered(self, request: AnsweredRequest) -> None:
        """A request has its answer."""
        self.requests[request.provider, request.route] += 1
        self.refused[request.provider] += request.status == 429
        self.latest.append(request)


class TokenBucket:
    """Requests that may still come: fills up by `rate` a second, to one second's worth and at least one."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._most = max(1.0, rate)
        self._left = self._most
        self._clock = clock
        self._at_s = clock()

    @property
    def left(self) -> float:
        """How many may come now."""
        now_s = self._clock()
        self._left = min(self._most, self._left + (now_s - self._at_s) * self.rate)
        self._at_s = now_s
        return self._left

    @property
    def wait_s(self) -> float:
        """How long until one may come: 0 if it may now."""
        return max(0.0, (1.0 - self.left) / self.rate)

    def take(self) -> None:
        """One has come."""
        self._left -= 1.0


class Throttle:
    """The door of one provider. Whoever comes goes, refused or not."""

    def __init__(
        self,
        provider: str,
        limit: ProviderLimit,
        seen: RequestStats,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.provider = provider
        self.limit = limit
        self.bucket = TokenBucket(limit.rate, clock) if limit.rate is not None else None
        self._seen = seen
        self._random = random.Random(limit.seed)
        self._in_flight = 0

    def come(self) -> int:
        """A request comes: 0 if it is let in, else how many whole seconds later it may come again."""
        self._in_flight += 1
        most = self._seen.most_in_flight
        most[self.provider] = max(most[self.provider], self._in_flight)
        if self.limit.in_flight is not None and self._in_flight > self.limit.in_flight:
            return 1
        if self.bucket is None:
            return 0
        if self.bucket.wait_s > 0:
            return math.ceil(self.bucket.wait_s)
        self.bucket.take()
        return 0

    def go(self) -> None:
        """The request is answered."""
        self._in_flight -= 1

    def fails(self) -> bool:
        """Whether this one is to fail."""
        return self.limit.error_rate > 0 and self._random.random() < self.limit.error_rate

    def headers(self) -> tuple[tuple[str, str], ...]:
        """What Telnyx says of its limit with each answer: how many, how many left, seconds until the next."""
        if self.bucket is None:
            return ()
        return (
            ("x-ratelimit-limit", f"{self.bucket.rate:g}"),
            ("x-ratelimit-remaining", str(int(self.bucket.left))),
            ("x-ratelimit-reset", str(math.ceil(self.bucket.wait_s))),
        )
