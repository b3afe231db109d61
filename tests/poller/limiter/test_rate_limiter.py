"""Waiting for a turn on a real event loop: no slot is lost, nobody is forgotten, nobody spins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.poller.limiter.budget import Budget
from stream.poller.limiter.rate_limiter import (
    HANDOVER_S,
    LimiterState,
    RateLimiter,
    RateLimiters,
    RefusedError,
    Waiter,
)
from stream.poller.resources.account import Account

NOBODY = {"heal": 0, "terminal": 0, "freshness": 0, "backfill": 0}
FAST = 10_000.0
SOON_S = 10.0
"""Far longer than anything here takes: reached only where something hangs."""


class Noted:
    """Metrics that are kept in a list."""

    def __init__(self) -> None:
        self.waits: list[tuple[str, float]] = []

    def waited(self, source: str, seconds: float) -> None:
        self.waits.append((source, seconds))

    def requested(self, source: str, outcome: str, seconds: float) -> None: ...
    def landed(self, source: str, rows: int) -> None: ...
    def left_out(self, source: str, rows: int) -> None: ...
    def window(self, source: str, alias: str, read_at_s: float, watermark_s: float) -> None: ...
    def dead_letter(self, source: str, reason: str) -> None: ...
    def pending(self, source: str, change: int) -> None: ...


class Clock:
    """A clock that stands, and is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def door(
    rate: float = FAST, concurrency: int = 2, now: Callable[[], float] | None = None
) -> tuple[RateLimiter, Noted]:
    noted = Noted()
    budget: Budget[Waiter] = Budget(rate, concurrency)
    more = {} if now is None else {"now": now}
    return RateLimiter(budget, "twilio/main", noted, random=lambda: 0.0, **more), noted


async def hold(limiter: RateLimiter, priority: str, held: asyncio.Event, free: asyncio.Event) -> None:
    async with limiter.permit(priority, "twilio_call") as permit:
        held.set()
        await free.wait()
        permit.answered("success")


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def ask(limiter: RateLimiter, outcome: str = "success", retry_after_s: float | None = None) -> None:
    async with limiter.permit("terminal", "twilio_call") as permit:
        permit.answered(outcome, retry_after_s)


async def test_a_turn_has_a_slot_until_it_is_answered() -> None:
    limiter, noted = door()
    assert limiter.state() == LimiterState("running", FAST, 2, 0, NOBODY, 0.0)
    async with limiter.permit("heal", "twilio_call") as permit:
        assert limiter.state().in_flight == 1
        permit.answered("success")
        assert limiter.state().in_flight == 0
        with pytest.raises(RuntimeError):
            permit.answered("success")
    assert noted.waits == []


async def test_a_block_that_fails_or_says_nothing_gives_its_slot_back() -> None:
    limiter, _ = door(concurrency=1)
    with pytest.raises(ZeroDivisionError):
        async with limiter.permit("heal", "twilio_call"):
            raise ZeroDivisionError
    async with limiter.permit("heal", "twilio_call"):
        pass
    async with limiter.permit("heal", "twilio_call") as permit:
        with pytest.raises(ValueError):
            permit.answered("fine")
    assert limiter.state() == LimiterState("running", FAST, 1, 0, NOBODY, 0.0)


async def test_whoever_waits_for_a_slot_gets_the_one_that_is_given_back_by_priority() -> None:
    limiter, noted = door(concurrency=1)
    order: list[str] = []

    async def go(priority: str) -> None:
        async with limiter.permit(priority, f"of {priority}") as permit:
            order.append(priority)
            permit.answered("success")

    async with limiter.permit("backfill", "twilio_call"):
        tasks = [asyncio.create_task(go(priority)) for priority in reversed(NOBODY)]
        await settle()
        assert limiter.state().waiting == dict.fromkeys(NOBODY, 1)
    async with asyncio.timeout(SOON_S):
        await asyncio.gather(*tasks)
    assert order == ["heal", "terminal", "freshness", "backfill"]
    assert [source for source, seconds in noted.waits if seconds >= 0] == [f"of {name}" for name in order]


async def test_whoever_is_cancelled_while_waiting_waits_no_more_and_holds_nothing() -> None:
    limiter, _ = door(concurrency=1)
    async with limiter.permit("heal", "twilio_call"):
        waiting = [asyncio.create_task(ask(limiter)) for _ in range(3)]
        await settle()
        waiting[1].cancel()
        await settle()
        assert limiter.state().waiting == {**NOBODY, "terminal": 2}
    async with asyncio.timeout(SOON_S):
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]
    assert limiter.state() == LimiterState("running", FAST, 1, 0, NOBODY, 0.0)


async def test_whoever_is_cancelled_when_the_turn_has_come_hands_it_to_the_next() -> None:
    limiter, _ = door(concurrency=1)
    held, free = asyncio.Event(), asyncio.Event()
    holder = asyncio.create_task(hold(limiter, "heal", held, free))
    await held.wait()
    cancelled, following = asyncio.create_task(ask(limiter)), asyncio.create_task(ask(limiter))
    await settle()
    free.set()
    while limiter.state().waiting["terminal"] != 1:
        await asyncio.sleep(0)
    cancelled.cancel()  # Its turn has come, and it has not run since.
    async with asyncio.timeout(SOON_S):
        results = await asyncio.gather(holder, cancelled, following, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]
    assert limiter.state().in_flight == 0


async def test_a_turn_does_not_go_to_one_who_was_cancelled_a_moment_before() -> None:
    limiter, _ = door(concurrency=1)
    async with limiter.permit("heal", "twilio_call"):
        cancelled, following = asyncio.create_task(ask(limiter)), asyncio.create_task(ask(limiter))
        await settle()
        cancelled.cancel()
    async with asyncio.timeout(SOON_S):
        results = await asyncio.gather(cancelled, following, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, type(None)]
    assert limiter.state().in_flight == 0


async def test_a_turn_whose_owner_is_cancelled_in_its_block_is_given_back() -> None:
    limiter, _ = door(concurrency=1)
    held = asyncio.Event()
    holder = asyncio.create_task(hold(limiter, "heal", held, asyncio.Event()))
    await held.wait()
    holder.cancel()
    async with asyncio.timeout(SOON_S):
        await ask(limiter)
    assert limiter.state().in_flight == 0


async def test_one_timer_wakes_those_who_wait_for_the_rate() -> None:
    calls = count()

    def now() -> float:
        next(calls)
        return asyncio.get_running_loop().time()

    limiter, noted = door(rate=50.0, concurrency=10, now=now)
    async with asyncio.timeout(SOON_S):
        await asyncio.gather(*(ask(limiter) for _ in range(10)))
    assert len(noted.waits) == 9
    assert sum(seconds for _, seconds in noted.waits) > sum(range(1, 10)) / 50 * 0.9
    # Each turn looks at the clock a few times: a loop that spins does so thousands of times in its 0.2 s.
    assert next(calls) < 300


async def test_a_429_holds_everybody_back_for_what_it_names() -> None:
    limiter, noted = door(concurrency=4)
    began_s = asyncio.get_running_loop().time()
    async with asyncio.timeout(SOON_S):
        await ask(limiter, "throttled", 0.2)
        await asyncio.gather(*(ask(limiter) for _ in range(3)))
    assert asyncio.get_running_loop().time() - began_s >= 0.2
    assert len(noted.waits) == 3


async def test_the_state_of_a_door_says_how_long_it_is_closed_and_what_is_left_of_its_ceilings() -> None:
    limiter, _ = door(now=Clock(), concurrency=5)
    await ask(limiter, "throttled", 7.0)
    assert limiter.state() == LimiterState("throttled", FAST * 0.8, 4, 0, NOBODY, 7.0)


async def test_a_share_of_nothing_holds_everybody_back_until_there_is_one() -> None:
    limiter, _ = door()
    limiter.share(0.0, 0)
    waiting = asyncio.create_task(ask(limiter))
    await settle()
    assert limiter.state() == LimiterState("standby", 0.0, 0, 0, {**NOBODY, "terminal": 1}, 0.0)
    limiter.share(FAST, 1)
    async with asyncio.timeout(SOON_S):
        await waiting


async def test_it_is_idle_when_what_was_on_its_way_has_ended() -> None:
    limiter, _ = door()
    held, free = asyncio.Event(), asyncio.Event()
    assert await limiter.idle(0.0)
    holder = asyncio.create_task(hold(limiter, "heal", held, free))
    await held.wait()
    assert not await limiter.idle(0.01)
    waiting = asyncio.create_task(limiter.idle(SOON_S))
    await settle()
    free.set()
    assert await waiting
    await holder


async def test_of_refused_credentials_the_patient_wait_and_the_hasty_hear_at_once() -> None:
    clock = Clock()
    limiter, _ = door(concurrency=1, now=clock)

    async def hasty() -> None:
        async with limiter.fail_fast().permit("heal", "twilio_call") as permit:
            permit.answered("auth_error")

    held, free = asyncio.Event(), asyncio.Event()
    holder = asyncio.create_task(hold(limiter, "heal", held, free))
    await held.wait()
    waiting = [asyncio.create_task(ask(limiter)), asyncio.create_task(hasty()), asyncio.create_task(hasty())]
    await settle()
    holder.cancel()
    async with asyncio.timeout(SOON_S):
        with pytest.raises(RefusedError, match="twilio/main"):
            await waiting[2]
        await waiting[1]
        assert limiter.refused()
        with pytest.raises(RefusedError):
            await hasty()
    assert limiter.state().waiting == {**NOBODY, "terminal": 1}
    waiting[0].cancel()
    await settle()
    assert limiter.state().paused_s == 30.0


async def test_without_anybody_patient_one_of_the_hasty_tries_the_credentials_when_it_is_time() -> None:
    clock = Clock()
    limiter, _ = door(now=clock)
    await ask(limiter, "auth_error")
    assert limiter.refused()
    clock.now_s += 30.0
    assert not limiter.refused()
    async with limiter.fail_fast().permit("terminal", "twilio_call") as permit:
        assert limiter.refused()
        with pytest.raises(RefusedError):
            async with limiter.fail_fast().permit("terminal", "twilio_call"):
                pass
        permit.answered("success")
    assert (limiter.refused(), limiter.state().state) == (False, "running")


async def test_a_share_is_used_when_no_second_has_requests_of_the_one_before() -> None:
    clock = Clock()
    limiters = RateLimiters(ACCOUNTS, Noted(), now=clock)
    limiters.share(0, 1)
    limiter = limiters.of(ACCOUNTS[0])
    waiting = asyncio.create_task(ask(limiter))
    await settle()
    assert (limiter.state().state, limiter.state().paused_s, waiting.done()) == ("running", HANDOVER_S, False)
    clock.now_s += HANDOVER_S
    async with asyncio.timeout(SOON_S):
        await waiting


ACCOUNTS = [
    Account(provider="twilio", id="AC1", alias="main", api_url="", secret="s", rate=12.0, concurrency=5),
    Account(provider="twilio", id="AC2", alias="main", api_url="", secret="s", rate=2.5, concurrency=2),
    Account(provider="telnyx", id="", alias="main", api_url="", secret="s", rate=6.0, concurrency=3),
]


def allowed(limiters: RateLimiters) -> list[tuple[str, float, int]]:
    return [
        (limiter.name, state.allowed_rate, state.allowed_concurrency)
        for limiter in limiters
        for state in [limiter.state()]
    ]


async def test_every_account_has_its_own_door_and_this_pollers_share_of_its_ceilings() -> None:
    limiters = RateLimiters(ACCOUNTS, Noted())
    assert {limiter.state().state for limiter in limiters} == {"standby"}
    limiters.share(0, 2)
    assert allowed(limiters) == [("twilio/main", 7.0, 3), ("twilio/main", 1.0, 1), ("telnyx/main", 4.0, 2)]
    limiters.share(1, 2)
    assert allowed(limiters) == [("twilio/main", 5.0, 2), ("twilio/main", 1.5, 1), ("telnyx/main", 2.0, 1)]
    assert limiters.of(ACCOUNTS[1]).state().allowed_rate == 1.5
    limiters.share(-1, 2)
    assert {limiter.state().state for limiter in limiters} == {"standby"}


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "hasty", "cancel", "answer", "fail", "run"]), st.integers(0, 99))
)


@given(STEPS, st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_whatever_is_asked_cancelled_and_answered_all_slots_come_back(
    steps: list[tuple[str, int]], concurrency: int
) -> None:
    asyncio.run(through(steps, concurrency))


async def through(steps: list[tuple[str, int]], concurrency: int) -> None:
    """Take the steps; then answer all that is left, and see that everybody has ended and nothing is held."""
    limiter, _ = door(rate=1e6, concurrency=concurrency)
    inside: list[asyncio.Future[str]] = []
    tasks: list[asyncio.Task[None]] = []

    async def request(patient: bool, priority: str) -> None:
        async with limiter.permit(priority, "twilio_call", patient=patient) as permit:
            word: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            inside.append(word)
            assert len(inside) <= concurrency
            try:
                permit.answered(await word)
            finally:
                inside.remove(word)

    for step, pick in steps:
        words = [word for word in inside if not word.done()]
        if step in ("ask", "hasty"):
            tasks.append(asyncio.create_task(request(step == "ask", list(NOBODY)[pick % 4])))
        elif step == "cancel" and tasks:
            tasks[pick % len(tasks)].cancel()
        elif step == "answer" and words:
            words[pick % len(words)].set_result(("success", "empty", "not_found", "auth_error")[pick % 4])
        elif step == "fail" and words:
            words[pick % len(words)].set_exception(ZeroDivisionError())
        else:
            await settle()
    async with asyncio.timeout(SOON_S):
        while not all(task.done() for task in tasks):
            for word in inside:
                if not word.done():
                    word.set_result("success")
            if limiter.state().state == "refused" and not inside:
                for task in tasks:
                    task.cancel()
            await asyncio.sleep(0)
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert result is None or isinstance(result, asyncio.CancelledError | RefusedError | ZeroDivisionError)
    state = limiter.state()
    assert (state.in_flight, state.waiting, inside) == (0, NOBODY, [])
