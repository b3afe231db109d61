"""When a call's resources are read: after its end, each on its own retry schedule, and while it is overdue.

The plan is part of the call's state: what is due at one second is requested together. Ticks and the results
of pollers drive it, so a restart forgets nothing; no clock is read. An awaited read is not requested again:
the request stays in Kafka until a poller answers.
(Twilio: "Call Events", "Voice Insights Events", "Call Summary".)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from stream.core.call.deadlines import due_second, next_due
from stream.core.call.lifecycle import Lifecycle, end_time, lifecycle_of, numbers_of, terminal_entries
from stream.core.call.state import Call, Fetch
from stream.core.effects import FetchAnswered
from stream.core.fetches import (
    ANSWERED,
    PRIORITIES,
    FetchRead,
    FetchRequest,
    FetchResult,
    ReadOutcome,
    request_id,
)
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
from stream.core.timestamps import SECOND_US, utc

NO_EDGE = -1
PRICED_STEP = 2
"""The step of `twilio_call` from which the price may be present."""

OVERDUE = RetrySchedule((0, 300, 1800, 7200, 21_600, 43_200), "complete", "heal")

UNANSWERED_S, UNANSWERED_LIMIT_S = 60.0, 600.0
"""The first and the longest pause before a failed read is requested again. The pause doubles; the step of the
retry schedule stays, because a failed read says nothing about the call.
"""

_NUMBER: dict[str, int] = {source: number for number, source in enumerate(FETCHED_SOURCES)}
_CALLS = _NUMBER[TWILIO_CALL]
_BY_FIRST_ATTEMPT = sorted(RETRY_SCHEDULES, key=lambda source: RETRY_SCHEDULES[source].after_s)
"""In the order in which the providers have the rows; a request names what is due in this order."""


# -- the plan


class PlannedRead(NamedTuple):
    """The first read of a resource: source, edge and step as in `Fetch`, and how long after the end."""

    source: int
    edge: int
    step: int
    after_us: int


@lru_cache(maxsize=1024)
def _first_reads(
    provider: str, policy: CallPolicy, edges: tuple[str, ...], answered: bool, end_was_read: bool
) -> tuple[PlannedRead, ...]:
    """What is read of an ended call: one plan for all calls of a kind."""
    found: list[PlannedRead] = []
    for source in _BY_FIRST_ATTEMPT:
        about = SOURCE_BY_NAME[source]
        if source not in policy.polled or about.provider != provider or (about.only_failures and answered):
            continue
        step = _step(source, 0, end_was_read)
        at_edges = [EDGES.index(edge) for edge in edges] if source == TWILIO_INSIGHTS_EVENT else [NO_EDGE]
        after_us = int(RETRY_SCHEDULES[source].after_s[step] / policy.time_factor * SECOND_US)
        found += [PlannedRead(_NUMBER[source], edge, step, after_us) for edge in at_edges]
    return tuple(found)


def plan_ended(call: Call, lifecycle: Lifecycle, now_us: int, policy: CallPolicy, effects: list[Any]) -> None:
    """The call has ended: plan all its reads, and request those that are due."""
    call.fetches = []
    if call.is_texml:
        return
    facts = call.facts.get
    edges = edges_of(facts("direction_detail"), facts("from"), facts("to"))
    answered = lifecycle.end is not None and lifecycle.end.outcome == "answered"
    began_us, now_s = _started_us(lifecycle.ended[0], now_us), now_us // SECOND_US
    planned = _first_reads(call.provider, policy, edges, answered, _end_was_read(call))
    # An overdue step is due now.
    call.fetches = [
        Fetch(source, edge, max(-(-(began_us + after_us) // SECOND_US), now_s), step)
        for source, edge, step, after_us in planned
    ]
    request_due(call, now_us, policy, effects)


def _started_us(ended_us: int | None, received_us: int) -> int:
    """When the retry schedule starts: the call's end, but not after it was received (clocks are skewed)."""
    return min(ended_us, received_us) if ended_us is not None else received_us


def _step(source: str, step: int, end_was_read: bool) -> int:
    """The next step. If a Calls row has reported the end already, only the price is left to read."""
    return max(step, PRICED_STEP) if source == TWILIO_CALL and end_was_read else step


def _end_was_read(call: Call) -> bool:
    bit = SOURCE_BIT[TWILIO_CALL]
    return bool(call.sources & bit) and any(entry.sources & bit for entry in terminal_entries(call))


def plan_overdue(call: Call, now_us: int, policy: CallPolicy, effects: list[Any]) -> None:
    """No end was received in time: read the resource that knows it."""
    provider = PROVIDERS[call.provider]
    if provider.heals not in policy.polled or call.is_texml:
        return
    overdue_us = call.arrival.first_us + int(policy.overdue_s * SECOND_US)
    call.fetches = [Fetch(_NUMBER[provider.heals], NO_EDGE, _due_s(overdue_us, 0, policy), overdue=True)]
    request_due(call, now_us, policy, effects)


def plan_lost(call: Call, now_us: int, policy: CallPolicy, effects: list[Any]) -> None:
    """A callback was not delivered: read at once what it would have told. An ended call is read anyway."""
    provider = PROVIDERS[call.provider]
    if call.ended or provider.heals not in policy.polled or call.is_texml:
        return
    attempt = max((fetch.attempt for fetch in call.fetches), default=0)
    due_s = max(1, now_us // SECOND_US)
    call.fetches = [Fetch(_NUMBER[provider.heals], NO_EDGE, due_s, attempt=attempt, overdue=True)]
    request_due(call, now_us, policy, effects)
    call.due_s = next_due(call, policy)


def _due_s(from_us: int, after_s: float, policy: CallPolicy) -> int:
    """The second from which a tick must request it. Never 0, which means awaited."""
    return max(1, due_second(from_us, after_s / policy.time_factor))


# -- requests


def request_due(call: Call, now_us: int, policy: CallPolicy, effects: list[Any]) -> None:
    """Request every read that is due and whose result is not known yet, all in one request. Idempotent."""
    now_s = now_us // SECOND_US
    due: list[Fetch] = []
    reads: list[FetchRead] = []
    due_s, attempt, urgent = now_s, 0, len(PRIORITIES) - 1
    for fetch in [fetch for fetch in call.fetches if 0 < fetch.due_s <= now_s]:
        if _is_known(call, fetch):
            _finish(call, fetch, answered=True)
            continue
        due.append(fetch)
        reads.append(_read(fetch))
        due_s = min(due_s, fetch.due_s)
        attempt = max(attempt, fetch.attempt)
        urgent = min(urgent, PRIORITIES.index(_schedule_of(fetch).priority))
    if not due:
        return
    due_at, reason = utc(due_s * SECOND_US), _reason(call, due[0])
    attempt += 1
    for fetch in due:
        fetch.due_s, fetch.attempt, fetch.asked_s = 0, attempt, now_s
    effects.append(
        FetchRequest(
            id=request_id(call.key, due_at, reason, attempt),
            key=call.key,
            account=call.account,
            reads=reads,
            reason=reason,
            due_at=due_at,
            attempt=attempt,
            priority="backfill" if _ended_long_ago(call, policy) else PRIORITIES[urgent],
        )
    )


def _read(fetch: Fetch) -> FetchRead:
    content = f"{fetch.content:016x}" if fetch.content else None
    return FetchRead(FETCHED_SOURCES[fetch.source], _edge(fetch), content)


def finish_known(call: Call) -> None:
    """Finish the reads whose rows came with a window, also those whose answer is still awaited."""
    for fetch in [fetch for fetch in call.fetches if _is_known(call, fetch)]:
        _finish(call, fetch, answered=True)


def _is_known(call: Call, fetch: Fetch) -> bool:
    """Whether a window has brought everything that the Calls resource can say of the call."""
    if fetch.overdue or fetch.source != _CALLS or not _end_was_read(call):
        return False
    return "price" in call.facts or not lifecycle_of(call).talk_s()


def _ended_long_ago(call: Call, policy: CallPolicy) -> bool:
    """Whether the call ended long before it was received, as in a backfill: it gets a low priority."""
    ended_us = end_time(terminal_entries(call))[0] if call.ended else None
    return ended_us is not None and call.arrival.ended_us - ended_us > policy.settle_s * SECOND_US


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
    call: Call, result: FetchResult, now_us: int, policy: CallPolicy, effects: list[Any]
) -> bool:
    """Apply the result of a request. False if none of its reads is awaited: it is a repetition, or the call
    was replanned.
    """
    awaited = False
    for read in result.reads:
        fetch = _awaited(call, result, read)
        if fetch is not None:
            awaited = True
            effects.append(FetchAnswered(read.source, read.outcome))
            # A poller's clock may be behind: without this, every pause would be over at once.
            _answered(call, fetch, read, max(now_us, fetch.asked_s * SECOND_US), policy)
    return awaited


def _answered(call: Call, fetch: Fetch, read: ReadOutcome, now_us: int, policy: CallPolicy) -> None:
    schedule = _schedule_of(fetch)
    if read.outcome not in ANSWERED:
        pause_s = min(UNANSWERED_S * 2**fetch.errors, UNANSWERED_LIMIT_S)
        if read.outcome == "no_account":
            pause_s = UNANSWERED_LIMIT_S
        fetch.errors = min(fetch.errors + 1, 10)
        fetch.due_s = _due_s(now_us, pause_s, policy)
        return
    fetch.errors = 0
    last = fetch.step + 1 >= len(schedule.after_s)
    if last or _is_final(call, fetch, schedule, read):
        _finish(call, fetch, answered=read.outcome in ("success", "empty"))
        return
    fetch.content = _content(read)
    before_s = schedule.after_s[fetch.step]
    if fetch.overdue:
        fetch.step += 1
        started_us = call.arrival.first_us + int(policy.overdue_s * SECOND_US)
    else:
        fetch.step = _step(read.source, fetch.step + 1, _end_was_read(call))
        started_us = _started_us(end_time(terminal_entries(call))[0], call.arrival.ended_us)
    after_s = schedule.after_s[fetch.step]
    # The pause since the previous step is never shorter than scheduled.
    fetch.due_s = max(_due_s(started_us, after_s, policy), _due_s(now_us, after_s - before_s, policy))


def _awaited(call: Call, result: FetchResult, read: ReadOutcome) -> Fetch | None:
    for fetch in call.fetches:
        if fetch.due_s or (fetch.attempt, _reason(call, fetch)) != (result.attempt, result.reason):
            continue
        if (FETCHED_SOURCES[fetch.source], _edge(fetch)) == (read.source, read.edge):
            return fetch
    return None


def _is_final(call: Call, fetch: Fetch, schedule: RetrySchedule, read: ReadOutcome) -> bool:
    if fetch.overdue:
        return False
    if schedule.final == "complete":
        return read.complete
    if read.outcome != "success":
        return False
    if schedule.final == "some":
        # The log may have only some rows yet: a gap that it neither fills nor explains is read for again.
        return not (call.arrival.gaps and numbers_of(call).missing())
    return fetch.content == _content(read)


def _content(read: ReadOutcome) -> int:
    return int(read.content or "0", 16)


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
    now_s = now_us // SECOND_US
    return any(fetch.due_s and fetch.due_s <= now_s and not fetch.attempt for fetch in call.fetches)
