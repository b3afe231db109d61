"""The budget of one account: which waiting request may be sent, and when.

Pure: time and chance are arguments. In no second are more requests sent than `rate` (rounded up), however
late the event loop is. Requests are spaced evenly, because providers answer bursts with 429s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

from stream.core.fetches import OUTCOMES
from stream.poller.limiter.circuit_breaker import CircuitBreaker
from stream.poller.limiter.fair_queue import FairPriorityQueue

RETRY_AFTER_S = 1.0
"""The pause after a 429 without `Retry-After`."""

RETRY_AFTER_LIMIT_S = 3600.0
"""A longer `Retry-After` counts as this."""

JITTER = 0.1
"""A pause is longer by up to this share, so that several clients do not come back at once."""

DECREASE = 0.8
"""What a 429 multiplies the learned limits by."""

INCREASE_PER_S = 1 / 250
"""What each second with answers adds to them: from the floor to the full limits in about 4 minutes."""

LONGEST_STEP_S = 10.0
"""One answer counts for the time since the one before it, but at most for the interval of the lowest rate."""

LOWEST_RATE = 0.1
LOWEST_SHARE = 0.01
"""The floor is the larger of one request in 10 s and this share of the configured rate."""

LATE_S = 0.01
"""Up to this much scheduling delay is recovered by the next request."""

FAIL_FAST_AFTER_S = 30.0
"""An impatient request fails when a 429 closes the account for longer than this."""

ACCOUNT_TROUBLE = {
    "refused": "the provider refuses the credentials",
    "unreachable": "the provider does not answer",
}
"""By the state of a budget."""

UNANSWERED = frozenset({"server_error", "network_error", "auth_error", "deferred", "no_account"})
"""Outcomes that show nothing about the provider's limits."""

T = TypeVar("T")


class AdaptiveLimit:
    """The share of the configured limits that the provider accepts, learned from 429s by AIMD.

    It applies to rate and concurrency alike, because a 429 does not say which limit the provider means.
    """

    def __init__(self) -> None:
        self.share = 1.0
        self._increased_at_s = 0.0

    def decrease(self, floor: float, until_s: float) -> None:
        """A 429. The share does not fall below `floor`, and does not rise before `until_s`."""
        self.share = max(min(floor, self.share), self.share * DECREASE)
        self._increased_at_s = until_s

    def increase(self, now_s: float) -> None:
        """An answer that is not a 429."""
        step_s = min(max(0.0, now_s - self._increased_at_s), LONGEST_STEP_S)
        self._increased_at_s = max(now_s, self._increased_at_s)
        self.share = min(1.0, self.share + INCREASE_PER_S * step_s)


@dataclass(frozen=True, slots=True, eq=False)
class Grant:
    """A request that was granted at `at_s`; the one before it at `before_s`. `probe`: of the breaker."""

    at_s: float
    before_s: float
    probe: int


class Budget(Generic[T]):
    """`rate` requests a second and `concurrency` at once, while this poller owns the account.

    `leased_until_s`: from then on another poller may own it, although this one has not heard of that.
    """

    def __init__(self, rate: float, concurrency: int) -> None:
        self.queue: FairPriorityQueue[T] = FairPriorityQueue()
        self.in_flight: set[Grant] = set()
        self.leased_until_s = math.inf
        self._rate = rate
        self._concurrency = concurrency
        self._limit = AdaptiveLimit()
        self._breaker = CircuitBreaker()
        self._owned_from_s: float | None = None
        self._granted: Grant | None = None
        self._paced_s = -math.inf
        self._paused_until_s = -math.inf
        self._decreased_at_s = -math.inf

    def own(self, from_s: float | None) -> None:
        """From when on this poller owns the account, None for not at all. What was learned is kept."""
        self._owned_from_s = from_s

    @property
    def allowed_rate(self) -> float:
        """Requests a second, as learned; 0 on standby."""
        return 0.0 if self._owned_from_s is None else self._rate * self._limit.share

    @property
    def allowed_concurrency(self) -> int:
        """Requests at once, as learned, at least 1; 0 on standby."""
        return 0 if self._owned_from_s is None else math.ceil(self._concurrency * self._limit.share - 1e-9)

    # -- what may be sent

    def ready_at_s(self) -> float | None:
        """When `take` is to be called again. None: not before something else happens."""
        if self._owned_from_s is None or not self.queue:
            return None
        if self._breaker.is_probing or len(self.in_flight) >= self.allowed_concurrency:
            return None
        retry_at_s = self._breaker.retry_at_s if self._breaker.reason else -math.inf
        ready_at_s = max(self._owned_from_s, self._paused_until_s, retry_at_s, self._next_s())
        return ready_at_s if ready_at_s < self.leased_until_s else None

    def take(self, now_s: float) -> tuple[T, Grant] | None:
        """The next of the queue if one may be sent now. It is in flight until `answered` or `released`."""
        ready_at_s = self.ready_at_s()
        if ready_at_s is None or not ready_at_s <= now_s < self.leased_until_s:
            return None
        grant = self._granted = Grant(now_s, self._paced_s, self._breaker.sent())
        self._paced_s = max(self._next_s(), now_s - LATE_S)
        self.in_flight.add(grant)
        return self.queue.take(), grant

    def _next_s(self) -> float:
        # The delay that may be recovered is added beforehand, so that no second has more than the rate.
        return self._paced_s + (1 + LATE_S) / (self._rate * self._limit.share)

    # -- what became of it

    def released(self, grant: Grant, *, unsent: bool = False) -> None:
        """A request ended without an outcome. `unsent`: it was not made, so the next need not wait for it."""
        self.in_flight.remove(grant)
        self._breaker.released(grant.probe)
        if unsent and grant is self._granted:
            self._paced_s = grant.before_s

    def answered(
        self, grant: Grant, outcome: str, retry_after_s: float | None, now_s: float, jitter: float
    ) -> None:
        """A request came to one of OUTCOMES; `jitter` is from 0 to 1.

        Raises ValueError for another outcome, KeyError for a grant that is not in flight.
        """
        if outcome not in OUTCOMES:
            raise ValueError(f"not an outcome of a request: {outcome!r}")
        self.in_flight.remove(grant)
        self._breaker.answered(outcome, grant.probe, now_s)
        # An answer to what was sent before the last decrease is about the limits before it.
        is_current = grant.at_s > self._decreased_at_s
        if outcome == "throttled":
            pause_s = _pause_s(retry_after_s) * (1 + JITTER * jitter)
            self._paused_until_s = max(self._paused_until_s, now_s + pause_s)
            if is_current:
                self._decreased_at_s = now_s
                floor = min(1.0, max(LOWEST_SHARE, LOWEST_RATE / self._rate))
                self._limit.decrease(floor, self._paused_until_s)
        elif is_current and not self._breaker.reason and outcome not in UNANSWERED:
            self._limit.increase(now_s)

    # -- how the account stands

    def state(self, now_s: float) -> str:
        """One of POLL_STATES."""
        if self._owned_from_s is None:
            return "standby"
        return self._breaker.reason or ("throttled" if now_s < self._paused_until_s else "running")

    def failure(self, now_s: float) -> str | None:
        """The outcome of impatient requests that still wait now, None while they may wait.

        Refused credentials fail them at once, a 429 when its pause is long. An unreachable account is waited
        for: its next probe is a minute away at most, and may be any of them.
        """
        if self._owned_from_s is None:
            return None
        if self._breaker.reason == "refused":
            return "auth_error"
        return "throttled" if self._paused_until_s - now_s > FAIL_FAST_AFTER_S else None


def _pause_s(retry_after_s: float | None) -> float:
    if retry_after_s is None or not retry_after_s > 0:
        return RETRY_AFTER_S
    return min(retry_after_s, RETRY_AFTER_LIMIT_S)
