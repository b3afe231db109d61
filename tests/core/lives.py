"""Runs a call from its deliveries to its eviction: one tick a second, each request answered by a function."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from stream.core.call.record import CallRecord
from stream.core.call.state import Call, dump, load
from stream.core.call.timers import answered, tick
from stream.core.fetches import FetchRead, FetchRequest, FetchResult, ReadOutcome
from stream.core.policy import CallPolicy
from stream.core.sources import POLLED_SOURCES
from stream.core.timestamps import utc
from tests.core.deliveries import START_US, Delivery
from tests.core.folding import tell

ALL = POLLED_SOURCES
POLICY = CallPolicy(polled=ALL)
END_S = 55
"""When `answered_call` ended, seconds after its start."""

Answer = Callable[[FetchRead, float], dict[str, Any] | None]


class Asked(NamedTuple):
    """A read of a request, seconds after the call's end."""

    after_s: float
    source: str
    edge: str | None
    reason: str
    attempt: int
    priority: str


class Life(NamedTuple):
    asked: list[Asked]
    effects: list[Any]
    call: Call | None

    def steps(self, source: str) -> list[float]:
        return [asked.after_s for asked in self.asked if asked.source == source]

    @property
    def records(self) -> list[CallRecord]:
        return [effect for effect in self.effects if type(effect) is CallRecord]


def success(read: FetchRead, after_s: float) -> dict[str, Any]:
    return {"outcome": "success", "rows": 1, "complete": True, "content": "0f"}


def live(
    deliveries: Iterable[Delivery],
    answer: Answer = success,
    *,
    policy: CallPolicy = POLICY,
    until_s: int = 9000,
    behind_s: int = 0,
) -> Life:
    """Run a call from its deliveries to its eviction, one tick a second, each request answered at once.
    The state is stored and loaded between any two steps. The poller's clock is `behind_s` behind.
    A delivery comes when it was received, but not before the one that precedes it in `deliveries`.
    """
    call: Call | None = None
    effects: list[Any] = []
    asked: list[Asked] = []
    fresh: list[Any] = []
    coming = deque(deliveries)
    now_s = _received_s(coming)
    end_s = START_US / 1e6 + until_s
    while (call is not None or coming) and now_s < end_s:
        while coming and _received_s(coming) <= now_s:
            told = tell([coming.popleft()], call=call, policy=policy)
            call, effects = told.call, effects + told.effects
            fresh += told.all_of(FetchRequest)
        if call is None:
            now_s = _received_s(coming)
            continue
        call = load(dump(call))
        after_s = round(now_s - START_US / 1e6 - END_S, 1)
        for request in fresh:
            asked += [
                Asked(after_s, read.source, read.edge, request.reason, request.attempt, request.priority)
                for read in request.reads
            ]
            came = [(read, answer(read, after_s)) for read in request.reads]
            outcomes = [outcome_of(read, **said) for read, said in came if said is not None]
            if outcomes:
                now_us = int((now_s - behind_s) * 1e6)
                effects += answered(call, result(request, outcomes), now_us, utc(now_us), policy)
        # Nothing is due or comes in the seconds between.
        now_s, fresh = min(max(int(now_s) + 1.0, call.due_s), _received_s(coming), end_s), []
        if call.due_s <= now_s == int(now_s):
            ticked = tick(call, int(now_s * 1e6), policy)
            call = ticked.call
            effects += ticked.effects
            fresh = [effect for effect in ticked.effects if type(effect) is FetchRequest]
    return Life(asked, effects, call)


def _received_s(coming: deque[Delivery]) -> float:
    return coming[0].envelope.received_us / 1e6 if coming else math.inf


def outcome_of(read: FetchRead, **came: Any) -> ReadOutcome:
    about = {"rows": 0, "complete": False, "content": None} | came
    return ReadOutcome(read.source, read.edge, **about)


def result(request: FetchRequest, outcomes: list[ReadOutcome] | None = None, **came: Any) -> FetchResult:
    """The result of a request; `came`: what each of its reads came to, if `outcomes` does not say."""
    return FetchResult(
        fetch_id=request.id,
        key=request.key,
        reason=request.reason,
        attempt=request.attempt,
        reads=outcomes or [outcome_of(read, **came) for read in request.reads],
    )
