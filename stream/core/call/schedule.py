"""When a call's resources are read: at its end and after it, each on its own ladder; and while it is overdue.

The rule of this file: the schedule is a part of the call's state. It is driven by ticks and by the results
that pollers land, so a restart forgets nothing, and it reads no clock. What is awaited is not asked again: a
request lies in Kafka until a poller has answered it.
(Twilio: "Call Events", "Voice Insights Events", "Call Summary".)
"""

from __future__ import annotations

from typing import Any

from stream.core.call.lifecycle import Survey, survey
from stream.core.call.state import Call, Fetch
from stream.core.effects import FetchAnswered
from stream.core.fetches import ANSWERED, FetchRequest, FetchResult, request_id
from stream.core.insights_edges import EDGES, edges_of
from stream.core.policy import Policy
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
"""From which step of `twilio_call` on its price may be there."""

OVERDUE = RetrySchedule((0, 300, 1800, 7200, 21_600, 43_200), "complete", "heal")

UNANSWERED_S, UNANSWERED_LIMIT_S = 60.0, 600.0
"""A fetch that failed is asked again after so long, doubling up to the second: nothing is known then, so it
takes no step."""

_NUMBER: dict[str, int] = {source: number for number, source in enumerate(FETCHED_SOURCES)}
_BY_FIRST_ATTEMPT = sorted(RETRY_SCHEDULES, key=lambda source: RETRY_SCHEDULES[source].after_s)
"""In the order in which the providers have the rows; what is due at once is requested in this order."""


# -- what is planned


def plan_ended(call: Call, seen: Survey, now_us: int, policy: Policy, effects: list[Any]) -> None:
    """The call has ended: all that is read of it from now on. Asks for what is due."""
    call.fetches = []
    provider = call.key.partition(":")[0]
    if call.is_texml:
        return
    began_us = _ended_us(seen, now_us)
    for source in _BY_FIRST_ATTEMPT:
        if source not in policy.polled or SOURCE_BY_NAME[source].provider != provider:
            continue
        ladder, step = RETRY_SCHEDULES[source], _step(source, 0, seen)
        # What is overdue is due now.
        due_s = max(_due_s(began_us, ladder.after_s[step], policy), now_us // 1_000_000)
        for edge in _edges(call, source):
            call.fetches.append(Fetch(_NUMBER[source], edge, due_s, step))
    ask(call, now_us, policy, effects, seen)


def _ended_us(seen: Survey, heard_us: int) -> int:
    """Where the ladder begins. A call has not ended after we heard of it, whatever a skewed clock says."""
    return min(seen.ended[0], heard_us) if seen.ended[0] is not None else heard_us


def _step(source: str, step: int, seen: Survey) -> int:
    """The step that comes; where a row of Calls told the end already, what is left to read is the price."""
    return max(step, PRICED_STEP) if source == TWILIO_CALL and _told_end(seen) else step


def _told_end(seen: Survey) -> bool:
    bit = SOURCE_BIT[TWILIO_CALL]
    return any(entry.sources & bit for entry in seen.terminal)


def _edges(call: Call, source: str) -> list[int]:
    if source != TWILIO_INSIGHTS_EVENT:
        return [NO_EDGE]
    facts = call.facts.get
    return [EDGES.index(edge) for edge in edges_of(facts("direction"), facts("from"), facts("to"))]


def plan_overdue(call: Call, now_us: int, policy: Policy, effects: list[Any]) -> None:
    """The call should have ended and nobody said so: ask the resource that knows."""
    provider = PROVIDERS.get(call.key.partition(":")[0])
    if provider is None or provider.heals not in policy.polled or call.is_texml:
        return
    overdue_us = call.arrival.first_us + int(policy.overdue_s * 1_000_000)
    call.fetches = [Fetch(_NUMBER[provider.heals], NO_EDGE, _due_s(overdue_us, 0, policy), overdue=True)]
    ask(call, now_us, policy, effects)


def _due_s(from_us: int, after_s: float, policy: Policy) -> int:
    """The second from which a tick must look: never too early, never 0, which means awaited."""
    return max(1, int(-((-from_us - int(after_s / policy.time_factor * 1_000_000)) // 1_000_000)))


# -- what is asked


def ask(call: Call, now_us: int, policy: Policy, effects: list[Any], seen: Survey | None = None) -> None:
    """A request for whatever is due and not known yet. Asking twice at the same time asks once.

    `seen`: the call's survey, where it is at hand.
    """
    now_s = now_us // 1_000_000
    due = [fetch for fetch in call.fetches if fetch.due_s and fetch.due_s <= now_s]
    if not due:
        return
    seen = seen or survey(call)
    past = _is_past(call, seen, policy)
    for fetch in due:
        if _is_known(call, fetch, seen):
            _finish(call, fetch, answered=True)
            continue
        due_us, fetch.due_s = fetch.due_s * 1_000_000, 0
        fetch.attempt, fetch.asked_s = fetch.attempt + 1, now_s
        effects.append(_request(call, fetch, due_us, "backfill" if past else _ladder(fetch).priority))


def take_known(call: Call, seen: Survey) -> None:
    """A call that leaves: what a window brought was read, also where an answer is still awaited."""
    for fetch in [fetch for fetch in call.fetches if _is_known(call, fetch, seen)]:
        _finish(call, fetch, answered=True)


def _is_known(call: Call, fetch: Fetch, seen: Survey) -> bool:
    """Did a window bring all that the Calls resource has to say of the call?"""
    if fetch.overdue or FETCHED_SOURCES[fetch.source] != TWILIO_CALL:
        return False
    return _told_end(seen) and ("price" in call.facts or not seen.talk_s())


def _is_past(call: Call, seen: Survey, policy: Policy) -> bool:
    """Whether it had ended long before anybody told us, as a backfill's calls have: others come first."""
    ended_us = seen.ended[0]
    if not call.ended or ended_us is None:
        return False
    return call.arrival.ended_us - ended_us > policy.settle_s * 1_000_000


def _request(call: Call, fetch: Fetch, due_us: int, priority: str) -> FetchRequest:
    source, reason, edge = FETCHED_SOURCES[fetch.source], _reason(fetch), _edge(fetch)
    return FetchRequest(
        id=request_id(call.key, source, edge, reason, fetch.attempt),
        key=call.key,
        account=call.account,
        source=source,
        edge=edge,
        reason=reason,
        due_at=utc(due_us),
        attempt=fetch.attempt,
        priority=priority,
    )


def _reason(fetch: Fetch) -> str:
    return "overdue" if fetch.overdue else "ended"


def _edge(fetch: Fetch) -> str | None:
    return EDGES[fetch.edge] if fetch.edge != NO_EDGE else None


def _ladder(fetch: Fetch) -> RetrySchedule:
    return OVERDUE if fetch.overdue else RETRY_SCHEDULES[FETCHED_SOURCES[fetch.source]]


# -- what was answered


def hear(call: Call, result: FetchResult, now_us: int, policy: Policy, effects: list[Any]) -> bool:
    """Take in what a fetch came to. False: nobody awaits it (it was read twice, or the call moved on)."""
    fetch = _awaited(call, result)
    if fetch is None:
        return False
    effects.append(FetchAnswered(result.source, result.outcome))
    # Stream time does not go back: with a poller's clock that is behind, every pause would be over at once.
    now_us = max(now_us, fetch.asked_s * 1_000_000)
    ladder = _ladder(fetch)
    if result.outcome not in ANSWERED:
        pause_s = min(UNANSWERED_S * 2**fetch.errors, UNANSWERED_LIMIT_S)
        if result.outcome == "no_account":
            pause_s = UNANSWERED_LIMIT_S
        fetch.errors = min(fetch.errors + 1, 10)
        fetch.due_s = _due_s(now_us, pause_s, policy)
        return True
    fetch.errors = 0
    last = fetch.step + 1 >= len(ladder.after_s)
    if _enough(fetch, ladder, result) or last:
        _finish(call, fetch, answered=result.outcome in ("success", "empty"))
        return True
    fetch.content = _content(result)
    _climb(call, fetch, ladder, now_us, policy)
    return True


def _climb(call: Call, fetch: Fetch, ladder: RetrySchedule, now_us: int, policy: Policy) -> None:
    """The next step is due at its time, and never sooner after the last one than the ladder says."""
    seen = survey(call)
    before = ladder.after_s[fetch.step]
    fetch.step += 1
    if not fetch.overdue:
        fetch.step = _step(FETCHED_SOURCES[fetch.source], fetch.step, seen)
    after_s = ladder.after_s[fetch.step]
    from_us = _base_us(call, fetch, seen, policy)
    fetch.due_s = max(_due_s(from_us, after_s, policy), _due_s(now_us, after_s - before, policy))


def _awaited(call: Call, result: FetchResult) -> Fetch | None:
    for fetch in call.fetches:
        if (
            FETCHED_SOURCES[fetch.source] == result.source
            and _edge(fetch) == result.edge
            and _reason(fetch) == result.reason
            and fetch.attempt == result.attempt
            and not fetch.due_s
        ):
            return fetch
    return None


def _enough(fetch: Fetch, ladder: RetrySchedule, result: FetchResult) -> bool:
    if fetch.overdue:
        return False
    if ladder.final == "complete":
        return result.complete
    if result.outcome != "success":
        return False
    return ladder.final == "some" or fetch.content == _content(result)


def _content(result: FetchResult) -> int:
    return int(result.content or "0", 16)


def _finish(call: Call, fetch: Fetch, *, answered: bool) -> None:
    """A fetch is over. A source is complete when all its fetches are, and each was answered in the end."""
    call.fetches.remove(fetch)
    if fetch.overdue:
        return
    bit = SOURCE_BIT[FETCHED_SOURCES[fetch.source]]
    if not answered:
        call.arrival.missed |= bit
    if not call.arrival.missed & bit and all(other.source != fetch.source for other in call.fetches):
        call.complete |= bit


def _base_us(call: Call, fetch: Fetch, seen: Survey, policy: Policy) -> int:
    """Where the ladder's seconds count from."""
    if fetch.overdue:
        return call.arrival.first_us + int(policy.overdue_s * 1_000_000)
    return _ended_us(seen, call.arrival.ended_us)


def was_left_alone(call: Call, now_us: int) -> bool:
    """Nobody looked at the call since something was to be asked for the first time: the worker was away."""
    now_s = now_us // 1_000_000
    return any(fetch.due_s and fetch.due_s <= now_s and not fetch.attempt for fetch in call.fetches)


def next_fetch_s(call: Call) -> int:
    """The second from which something is to be asked, 0 for never."""
    return min((fetch.due_s for fetch in call.fetches if fetch.due_s), default=0)
