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
    - `page_rows`: rows of a page, whatever larger size is requested.
    """

    rate: float | None = None
    in_flight: int | None = None
    latency_s: float = 0.0
    error_rate: float = 0.0
    page_rows: int | None = None
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
        self.requests[request.provider, request.route] += 1
        self.refused[request.provider] += request.status == 429
        self.latest.append(request)


class Throttle:
    """Admits the requests of one provider. Each `enter` is followed by a `leave`, refused or not.

    Its tokens fill up by `rate` a second, up to one second's worth and at least one.
    """

    def __init__(
        self,
        provider: str,
        limit: ProviderLimit,
        stats: RequestStats,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self._provider = provider
        self._stats = stats
        self._clock = clock
        self._random = random.Random(limit.seed)
        self._in_flight = 0
        self._tokens = self._most = max(1.0, limit.rate or 0.0)
        self._filled_s = clock()

    def enter(self) -> int:
        """A request has come: 0 if it is admitted, else the whole seconds after which it may be retried."""
        self._in_flight += 1
        most = self._stats.most_in_flight
        most[self._provider] = max(most[self._provider], self._in_flight)
        if self.limit.in_flight is not None and self._in_flight > self.limit.in_flight:
            return 1
        if self.limit.rate is None:
            return 0
        wait_s = self._wait_s(self.limit.rate)
        if wait_s == 0:
            self._tokens -= 1.0
        return wait_s

    def _wait_s(self, rate: float) -> int:
        """Whole seconds until the next token."""
        now_s = self._clock()
        self._tokens = min(self._most, self._tokens + (now_s - self._filled_s) * rate)
        self._filled_s = now_s
        return math.ceil(max(0.0, (1.0 - self._tokens) / rate))

    def leave(self) -> None:
        self._in_flight -= 1

    def fails(self) -> bool:
        """Whether this request gets a 500."""
        return self.limit.error_rate > 0 and self._random.random() < self.limit.error_rate

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Telnyx' headers of each response: the limit, what is left of it, seconds until the next request."""
        if self.limit.rate is None:
            return ()
        wait_s = self._wait_s(self.limit.rate)
        return (
            ("x-ratelimit-limit", f"{self.limit.rate:g}"),
            ("x-ratelimit-remaining", str(int(self._tokens))),
            ("x-ratelimit-reset", str(wait_s)),
        )
