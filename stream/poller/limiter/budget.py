"""One budget for one account: who may send a request, and when.

The rule of this file: it decides and does nothing. Time and chance are arguments; whoever waits is a name in
a line. The ceilings are this poller's share of what the account may use, so that all pollers together keep
to them without asking each other.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from stream.core.fetches import OUTCOMES
from stream.poller.limiter.adaptive_limit import AdaptiveLimit
from stream.poller.limiter.circuit_breaker import CircuitBreaker
from stream.poller.limiter.fair_queue import FairPriorityQueue

STATES = ("running", "throttled", "refused", "unreachable", "standby")

RETRY_AFTER_S = 1.0
"""The pause after a 429 that names none."""

RETRY_AFTER_MOST_S = 3600.0
"""Whatever a 429 names, it is asked again after this."""

JITTER = 0.1
"""A pause is longer by up to this share, so that not all pollers come back at once."""

LEAST_RATE = 0.1
LEAST_RATE_SHARE = 0.01
"""The rate falls no lower than this share of its ceiling, nor below one request in 10 s."""

LATE_S = 0.01
"""How late a request may go (an event loop is never on time) without the next ones going later too."""

OF_LATE = 100
ENOUGH = 20
SELDOM = 0.1
"""Seldom: of the last OF_LATE answers at most such a share, where there are ENOUGH to say so."""

UNANSWERED = frozenset({"server_error", "network_error", "auth_error", "deferred", "no_account"})
"""Outcomes from which nothing about the limits is learned."""

W = TypeVar("W")


@dataclass(frozen=True, slots=True, eq=False)
class Grant:
    """A request on its way, and what was so when it went.

    - `paced`, `full`: it went as soon as the rate let it, it took the last slot.
    - `level`: how many were on their way with it; `lately`: how many had been sent within a second.
    - `episode`: how often the budget had been cut. `probe`: as `CircuitBreaker.sent` says.
    """

    paced: bool
    full: bool
    level: int
    lately: int
    episode: int
    probe: int


class Budget(Generic[W]):
    """The budget of an account: `rate` requests a second and `concurrency` at once, 0 for none at all.

    Requests are spaced evenly: in no second are there more than `rate` (rounded up), however late the event
    loop is. Of each delay up to LATE_S is made up for.
    """

    def __init__(self, rate: float, concurrency: int) -> None:
        self._rate_ceiling = rate
        self._slots_ceiling = concurrency
        self._rate = AdaptiveLimit()
        self._slots = AdaptiveLimit()
        self._breaker = CircuitBreaker()
        self._line: FairPriorityQueue[W] = FairPriorityQueue()
        self._in_flight: set[Grant] = set()
        self._levels: deque[int] = deque(maxlen=OF_LATE)
        self._sent_s: deque[float] = deque()
        self._last_s = -math.inf
        self._from_s = -math.inf
        self._paused_until_s = -math.inf
        self._episode = 0

    @property
    def allowed_rate(self) -> float:
        """Requests a second, as learned."""
        return self._rate_ceiling * self._rate.share

    @property
    def allowed_concurrency(self) -> int:
        """Requests at once, as learned: a part of one is a whole one, or a single one would be none."""
        return math.ceil(self._slots_ceiling * self._slots.share - 1e-9)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def waiting(self) -> dict[str, int]:
        """How many wait, by priority."""
        return self._line.waiting()

    def share(self, rate: float, concurrency: int, from_s: float = -math.inf) -> None:
        """New ceilings, at once. What was learned stays the same share of them.

        `from_s`: nothing goes before this.
        """
        self._rate_ceiling = rate
        self._slots_ceiling = concurrency
        self._from_s = from_s

    def ask(self, waiter: W, priority: str) -> None:
        """Wait for a turn. Raises KeyError for an unknown priority."""
        self._line.join(waiter, priority)

    def leave(self, waiter: W) -> None:
        """Wait no more."""
        self._line.leave(waiter)

    def serve(self, now_s: float) -> tuple[W, Grant] | None:
        """Who may send now, if anybody: they have a slot until `answered` or `given_back`."""
        ready_at_s = self.ready_at_s()
        if ready_at_s is None or now_s < ready_at_s:
            return None
        sent = self._send(now_s)
        return self._line.take(), sent

    def _send(self, now_s: float) -> Grant:
        due_s = self._next_s()
        level = len(self._in_flight) + 1
        sent = Grant(
            paced=now_s - due_s <= LATE_S,
            full=level >= self.allowed_concurrency,
            level=level,
            lately=self._count(now_s),
            episode=self._episode,
            probe=self._breaker.sent(),
        )
        self._last_s = max(due_s, now_s - LATE_S)
        self._in_flight.add(sent)
        return sent

    def _count(self, now_s: float) -> int:
        """One more is sent; how many it makes within a second."""
        self._sent_s.append(now_s)
        while self._sent_s[0] <= now_s - 1:
            self._sent_s.popleft()
        return len(self._sent_s)

    def _next_s(self) -> float:
        # What may be caught up is paid for beforehand, so that no second sees more than the rate.
        return self._last_s + (1 + LATE_S) / self.allowed_rate

    def ready_at_s(self) -> float | None:
        """When `serve` is to be asked again; None if no time, only something else that happens, helps."""
        if self._is_standby() or not len(self._line) or self._breaker.probe:
            return None
        if len(self._in_flight) >= self.allowed_concurrency:
            return None
        return max(self._next_s(), self._open_at_s())

    def _open_at_s(self) -> float:
        """The end of the pause, of the wait for a probe, and of that for a new share."""
        shut_until_s = max(self._paused_until_s, self._from_s)
        if self._breaker.state == "running":
            return shut_until_s
        return max(shut_until_s, self._breaker.probe_at_s)

    def given_back(self, sent: Grant) -> None:
        """A request that came to nothing: its slot is free, and nothing was learned. Once for each."""
        self._in_flight.remove(sent)
        self._breaker.given_back(sent.probe)

    def answered(
        self, sent: Grant, outcome: str, retry_after_s: float | None, now_s: float, jitter: float
    ) -> None:
        """A request came to one of OUTCOMES. `jitter`: from 0 to 1. Once for each request.

        Raises ValueError for another outcome, KeyError for a request that is not on its way.
        """
        if outcome not in OUTCOMES:
            raise ValueError(f"no outcome of a request: {outcome!r}")
        self._in_flight.remove(sent)
        self._breaker.answered(outcome, sent.probe, now_s)
        if outcome == "throttled":
            self._throttle(sent, retry_after_s, now_s, jitter)
        elif self._breaker.state == "running" and outcome not in UNANSWERED:
            self._learn(sent, now_s)

    def _throttle(self, sent: Grant, retry_after_s: float | None, now_s: float, jitter: float) -> None:
        pause_s = _pause_s(retry_after_s) * (1 + JITTER * jitter)
        self._paused_until_s = max(self._paused_until_s, now_s + pause_s)
        if sent.episode == self._episode:
            self._episode += 1
            self._fall(sent)

    def _fall(self, sent: Grant) -> None:
        until_s, slots = self._paused_until_s, max(1, self._slots_ceiling)
        crowded = self._is_crowded(sent.level)
        self._slots.throttled(
            suspected=crowded, used=(sent.level - 1) / slots, least=1 / slots, until_s=until_s
        )
        self._rate.throttled(
            suspected=sent.paced and not crowded,
            used=sent.lately / self._rate_ceiling if self._rate_ceiling else 1.0,
            least=self._least_rate_share(),
            until_s=until_s,
        )

    def _is_crowded(self, level: int) -> bool:
        """Whether a 429 is about how many were on their way: so many were seldom answered of late.

        A provider does not say which of its limits it means.
        """
        seen = len(self._levels)
        return seen >= ENOUGH and sum(answered >= level for answered in self._levels) <= SELDOM * seen

    def _learn(self, sent: Grant, now_s: float) -> None:
        self._levels.append(sent.level)
        if sent.episode == self._episode:
            self._rate.answered(now_s, used=sent.paced)
            self._slots.answered(now_s, used=sent.full)

    def _least_rate_share(self) -> float:
        ceiling = self._rate_ceiling
        return min(1.0, max(LEAST_RATE_SHARE, LEAST_RATE / ceiling)) if ceiling > 0 else 1.0

    def _is_standby(self) -> bool:
        return self._rate_ceiling <= 0 or self._slots_ceiling <= 0

    def state(self, now_s: float) -> str:
        """One of STATES."""
        if self._is_standby():
            return "standby"
        if self._breaker.state != "running":
            return self._breaker.state
        return "throttled" if now_s < self._paused_until_s else "running"

    def paused_s(self, now_s: float) -> float:
        """How long nothing will be sent, whoever asks; 0 on standby."""
        return 0.0 if self._is_standby() else max(0.0, self._open_at_s() - now_s)

    def refused(self, now_s: float) -> bool:
        """Whether the credentials are refused and another request would only wait.

        False for one that could be the probe: else nobody might ever find out that they are good again.
        """
        if self._breaker.state != "refused":
            return False
        return len(self._line) > 0 or not self._breaker.may_send(now_s)


def _pause_s(retry_after_s: float | None) -> float:
    if retry_after_s is None or not retry_after_s > 0:
        return RETRY_AFTER_S
    return min(retry_after_s, RETRY_AFTER_MOST_S)
