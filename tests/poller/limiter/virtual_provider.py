"""A provider and a poller's workers in virtual time: what a budget gets out of what a provider allows.

A run is a function of its arguments: delays come from one seeded generator.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from itertools import count
from typing import NamedTuple, Protocol

from stream.poller.limiter.budget import Budget, Grant

RETRY_AFTER_S = 1.0


class Limit(Protocol):
    """What a provider allows in time."""

    def take(self, at_s: float) -> bool:
        """Whether a request at this time is within it."""
        ...


class TokenBucket:
    """`rate` tokens a second, up to `capacity` of them; a request takes one."""

    def __init__(self, rate: float, capacity: float) -> None:
        self._rate, self._capacity, self._tokens, self._at_s = rate, capacity, capacity, 0.0

    def take(self, at_s: float) -> bool:
        self._tokens = min(self._capacity, self._tokens + (at_s - self._at_s) * self._rate)
        self._at_s = at_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class SlidingWindow:
    """At most `limit` requests in any `seconds`."""

    def __init__(self, limit: int, seconds: float = 1.0) -> None:
        self._limit, self._seconds, self._taken = limit, seconds, deque[float]()

    def take(self, at_s: float) -> bool:
        while self._taken and self._taken[0] <= at_s - self._seconds:
            self._taken.popleft()
        if len(self._taken) >= self._limit:
            return False
        self._taken.append(at_s)
        return True


class Ran(NamedTuple):
    """What came of a run. `most_at_once`: requests that the provider worked on at the same time."""

    taken: int
    throttled: int
    most_at_once: int


def run(
    budget: Budget[int],
    limit: Limit,
    *,
    at_once: int,
    seconds: float,
    from_s: float = 0.0,
    work_s: float = 0.1,
    network_s: float = 0.01,
    late_s: float = 0.001,
    workers: int = 40,
    seed: int = 1,
) -> Ran:
    """Workers who always want more, for `seconds`; counted is what is answered at `from_s` or later.

    A request takes `work_s` at the provider, which works on `at_once`, and `network_s` each way (from half of
    that to half as much again). The event loop is up to `late_s` late.
    """
    chance = random.Random(seed)
    order = count()
    events: list[tuple[float, int, str, int, Grant]] = []
    working = most = taken = throttled = 0

    def later(at_s: float, about_s: float, what: str, worker: int, sent: Grant) -> None:
        heapq.heappush(events, (at_s + about_s * (0.5 + chance.random()), next(order), what, worker, sent))

    for worker in range(workers):
        budget.queue.join(worker, "terminal")
    now_s = 0.0
    while now_s < seconds:
        while (turn := budget.take(now_s)) is not None:
            later(now_s, network_s, "arrived", *turn)
        ready_at_s = budget.ready_at_s()
        wake_s = max(now_s, ready_at_s) + late_s * chance.random() if ready_at_s is not None else seconds
        if not events or wake_s < events[0][0]:
            now_s = wake_s
            continue
        now_s, _, what, worker, sent = heapq.heappop(events)
        if what == "arrived":
            fits = working < at_once and limit.take(now_s)
            working += fits
            most = max(most, working)
            later(now_s, work_s if fits else network_s, "worked" if fits else "refused", worker, sent)
        elif what == "worked":
            working -= 1
            later(now_s, network_s, "answered", worker, sent)
        else:
            refused = what == "refused"
            budget.answered(
                sent,
                "throttled" if refused else "success",
                RETRY_AFTER_S if refused else None,
                now_s,
                chance.random(),
            )
            budget.queue.join(worker, "terminal")
            taken += not refused and now_s >= from_s
            throttled += refused and now_s >= from_s
    return Ran(taken, throttled, most)
