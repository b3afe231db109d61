"""When a call's resources are read: after its end, each on its own retry schedule, and while it is overdue.

The plan is part of the call's state. Ticks and the results of pollers drive it, so a restart forgets nothing;
no clock is read. An awaited read is not requested again: the request stays in Kafka until a poller answers.
(Twilio: "Call Events", "Voice Insights Events", "Call Summary".)
"""

from __future__ import annotations

from typing import Any

from stream.core.call.deadlines import due_second, next_due
from stream.core.call.lifecycle import Lifecycle
from stream.core.call.state import Call, Fetch
from stream.core.effects import FetchAnswered
from stream.core.fetches import ANSWERED, FetchRequest, FetchResult, request_id
from stream.core.insights_edges import EDGES, edges_of
from stream.core.policy import CallPolicy
from stream.core.sources import (
    FETCHED_SOURCES,
    PROVIDERS,
    RETRY_SCHEDULES,
    SOURCE_BIT,
    SOURCE_BY_NAME,
    TWILIO_CALL,
    TWILIO_INSIGHTS_EVENT,
    RetrySchedule,
)
from stream.core.timestamps import utc

NO_EDGE = -1
PRICED_STEP = 2
"""The step of `twilio_call` from which the price may be present."""

OVERDUE = RetrySchedule((0, 300, 1800, 7200, 21_600, 43_200), "complete", "heal")

UNANSWERED_S, UNANSWERED_LIMIT_S = 60.0, 600.0
"""The first and the longest pause before a failed read is requested again. The pause doubles; the step of the
retry schedule stays, because a failed read says nothing about the call.
"""

_NUMBER: dict[str, int] = {source: number for number, source in enumerate(FETCHED_SOURCES)}
_BY_FIRST_ATTEMPT = sorted(RETRY_SCHEDULES, key=lambda source: RETRY_SCHEDULES[source].after_s)
"""In the order in which the providers have the rows; what is due at once is requested in this order."""


# -- the plan


def plan_ended(call: Call, lifecycle: Lifecycle, now_us: int, policy: CallPolicy, effects: list[Any]) -> None:
    """The call has ended: plan all its reads, and request those that are due."""
    call.fetches = []
    provider = call.provider
    if call.is_texml:
        return
    began_us = _started_us(lifecycle, now_us)
    for source in _BY_FIRST_ATTEMPT:
        about = SOURCE_BY_NAME[source]
        if source not in policy.polled or about.provider != provider:
            continue
        if about.only_failures and lifecycle.end is not None and lifecycle.end.outcome == "answered":
            continue
        schedule, step = RETRY_SCHEDULES[source], _step(source, 0, lifecycle)
        # An overdue step is due now.
        due_s = max(_due_s(began_us, schedule.after_s[step], policy), now_us // 1_000_000)
        for edge in _edges(call, source):
            call.fetches.append(Fetch(_NUMBER[source], edge, due_s, step))
    request_due(call, lifecycle, now_us, policy, effects)


def _started_us(lifecycle: Lifecycle, received_us: int) -> int:
    """When the retry schedule starts: the call's end, but not after it was received (clocks are skewed)."""
    return min(lifecycle.ended[0], received_us) if lifecycle.ended[0] is not None else received_us


def _step(source: str, step: int, lifecycle: Lifecycle) -> int:
    """The next step. If a Calls row has reported the end already, only the price is left to read."""
    return max(step, PRICED_STEP) if source == TWILIO_CALL and _end_was_read(lifecycle) else step


def _end_was_read(lifecycle: Lifecycle) -> bool:
    bit = SOURCE_BIT[TWILIO_CALL]
    return any(entry.sources & bit for entry in lifecycle.terminal)


def _edges(call: Call, source: str) -> list[int]:
    if source != TWILIO_INSIGHTS_EVENT:
        return [NO_EDGE]
    facts = call.facts.get
    return [EDGES.index(edge) for edge in edges_of(facts("direction"), facts("from"), facts("to"))]


def plan_overdue(
    call: Call, lifecycle: Lifecycle, now_us: int, policy: CallPolicy, effects: list[Any]
) -> None:
    """No end was received in time: read the resource that knows it."""
    provider = PROVIDERS[call.provider]
    if provider.heals not in policy.polled or call.is_texml:
        return
    overdue_us = call.arrival.first_us + int(policy.overdue_s * 1_000_000)
    call.fetches = [Fetch(_NUMBER[provider.heals], NO_EDGE, _due_s(overdue_us, 0, policy), overdue=True)]
    request_due(call, lifecycle, now_us, policy, effects)


def plan_lost(call: Call, lifecycle: Lifecycle, now_us: int, policy: CallPolicy, effects: list[Any]) -> None:
    """A callback was not delivered: read at once what it would have told. An ended call is read anyway."""
    provider = PROVIDERS[call.provider]
    if call.ended or provider.heals not in policy.polled or call.is_texml:
        return
    attempt = max((fetch.attempt for fetch in call.fetches), default=0)
    due_s = max(1, now_us // 1_000_000)
    call.fetches = [Fetch(_NUMBER[provider.heals], NO_EDGE, due_s, attempt=attempt, overdue=True)]
    request_due(call, lifecycle, now_us, policy, effects)
    call.due_s = next_due(call, policy)


def _due_s(from_us: int, after_s: float, policy: CallPolicy) -> int:
    """The second from which a tick must request it. Never 0, which means awaited."""
    return max(1, due_second(from_us, after_s / policy.time_factor))


# -- requests


def request_due(
    call: Call, lifecycle: Lifecycle, now_us: int, policy: CallPolicy, effects: list[Any]
) -> None:
    """Request every read that is due and whose result is not known yet. Idempotent."""
    now_s = now_us // 1_000_000
    due = [fetch for fetch in call.fetches if fetch.due_s and fetch.due_s <= now_s]
    if not due:
        return
    past = _ended_long_ago(call, lifecycle, policy)
    for fetch in due:
        if _is_known(call, fetch, lifecycle):
            _finish(call, fetch, answered=True)
            continue
        due_us, fetch.due_s = fetch.due_s * 1_000_000, 0
        fetch.attempt, fetch.asked_s = fetch.attempt + 1, now_s
        source, reason, edge = FETCHED_SOURCES[fetch.source], _reason(call, fetch), _edge(fetch)
        effects.append(
            FetchRequest(
                id=request_id(call.key, source, edge, reason, fetch.attempt),
                key=call.key,
                account=call.account,
                source=source,
                edge=edge,
                reason=reason,
                due_at=utc(due_us),
                attempt=fetch.attempt,
                priority="backfill" if past else _schedule_of(fetch).priority,
            )
        )


def finish_known(call: Call, lifecycle: Lifecycle) -> None:
    """Finish the reads whose rows came with a window, also those whose answer is still awaited."""
    for fetch in [fetch for fetch in call.fetches if _is_known(call, fetch, lifecycle)]:
        _finish(call, fetch, answered=True)


def _is_known(call: Call, fetch: Fetch, lifecycle: Lifecycle) -> bool:
    """Whether a window has brought everything that the Calls resource can say of the call."""
    if fetch.overdue or FETCHED_SOURCES[fetch.source] != TWILIO_CALL:
        return False
    return _end_was_read(lifecycle) and ("price" in call.facts or not lifecycle.talk_s())


def _ended_long_ago(call: Call, lifecycle: Lifecycle, policy: CallPolicy) -> bool:
    """Whether the call ended long before it was received, as in a backfill: it gets a low priority."""
    ended_us = lifecycle.ended[0]
    if not call.ended or ended_us is None:
        return False
    return call.arrival.ended_us - ended_us > policy.settle_s * 1_000_000


def _reason(call: Call, fetch: Fetch) -> str:
    if not fetch.overdue:
        return "ended"
    return "overdue" if call.overdue else "gap"


def _edge(fetch: Fetch) -> str | None:
    return EDGES[fetch.edge] if fetch.edge != NO_EDGE else None


def _schedule_of(fetch: Fetch) -> RetrySchedule:
    return OVERDUE if fetch.overdue else RETRY_SCHEDULES[FETCHED_SOURCES[fetch.source]]


# -- results


def apply_result(
    call: Call,
    lifecycle: Lifecycle,
    result: FetchResult,
    now_us: int,
    policy: CallPolicy,
    effects: list[Any],
) -> bool:
    """Apply the result of a read. False if it is not awaited: a repetition, or the call was replanned."""
    fetch = _awaited(call, result)
    if fetch is None:
        return False
    effects.append(FetchAnswered(result.source, result.outcome))
    # A poller's clock may be behind: without this, every pause would be over at once.
    now_us = max(now_us, fetch.asked_s * 1_000_000)
    schedule = _schedule_of(fetch)
    if result.outcome not in ANSWERED:
        pause_s = min(UNANSWERED_S * 2**fetch.errors, UNANSWERED_LIMIT_S)
        if result.outcome == "no_account":
            pause_s = UNANSWERED_LIMIT_S
        fetch.errors = min(fetch.errors + 1, 10)
        fetch.due_s = _due_s(now_us, pause_s, policy)
        return True
    fetch.errors = 0
    last = fetch.step + 1 >= len(schedule.after_s)
    if last or _is_final(fetch, schedule, result):
        _finish(call, fetch, answered=result.outcome in ("success", "empty"))
        return True
    fetch.content = _content(result)
    before_s = schedule.after_s[fetch.step]
    if fetch.overdue:
        fetch.step += 1
        started_us = call.arrival.first_us + int(policy.overdue_s * 1_000_000)
    else:
        fetch.step = _step(result.source, fetch.step + 1, lifecycle)
        started_us = _started_us(lifecycle, call.arrival.ended_us)
    after_s = schedule.after_s[fetch.step]
    # The pause since the previous step is never shorter than scheduled.
    fetch.due_s = max(_due_s(started_us, after_s, policy), _due_s(now_us, after_s - before_s, policy))
    return True


def _awaited(call: Call, result: FetchResult) -> Fetch | None:
    awaited = (result.source, result.edge, result.reason, result.attempt)
    for fetch in call.fetches:
        asked = (FETCHED_SOURCES[fetch.source], _edge(fetch), _reason(call, fetch), fetch.attempt)
        if asked == awaited and not fetch.due_s:
            return fetch
    return None


def _is_final(fetch: Fetch, schedule: RetrySchedule, result: FetchResult) -> bool:
    if fetch.overdue:
        return False
    if schedule.final == "complete":
        return result.complete
    if result.outcome != "success":
        return False
    return schedule.final == "some" or fetch.content == _content(result)


def _content(result: FetchResult) -> int:
    return int(result.content or "0", 16)


def _finish(call: Call, fetch: Fetch, *, answered: bool) -> None:
    """End a read. A source is complete when all its reads have ended and each was answered in the end.

    One that reports only failures is not read of every call, so no call is incomplete without it.
    """
    call.fetches.remove(fetch)
    source = FETCHED_SOURCES[fetch.source]
    if fetch.overdue or SOURCE_BY_NAME[source].only_failures:
        return
    bit = SOURCE_BIT[source]
    if not answered:
        call.arrival.missed |= bit
    if not call.arrival.missed & bit and all(other.source != fetch.source for other in call.fetches):
        call.complete |= bit


def missed_first_read(call: Call, now_us: int) -> bool:
    """The first read of a resource came due while no worker was running."""
    now_s = now_us // 1_000_000
    return any(fetch.due_s and fetch.due_s <= now_s and not fetch.attempt for fetch in call.fetches)
