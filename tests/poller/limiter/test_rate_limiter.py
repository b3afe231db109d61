"""Waiting for a permit on a real event loop: no place is lost, nothing is forgotten, nothing spins."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.poller.limiter.budget import LATE_S
from stream.poller.limiter.rate_limiter import HANDOVER_S, NoPermitError, RateLimiters
from tests.poller.limiter.limiter_fakes import (
    ACCOUNT,
    FAST,
    NONE_WAITING,
    SOON_S,
    Clock,
    WaitMetrics,
    hold,
    limiter,
    send,
    settle,
    state,
)


async def test_a_request_is_in_flight_until_it_is_answered() -> None:
    one, metrics = limiter()
    assert one.state() == state()
    async with one.permit("heal", "twilio_call") as permit:
        assert one.state() == state(in_flight=1)
        permit.answered("success")
        assert one.state() == state()
        with pytest.raises(RuntimeError):
            permit.answered("success")
    assert metrics.waits == []


async def test_a_block_that_fails_or_has_no_outcome_frees_its_place() -> None:
    one, _ = limiter(concurrency=1)
    with pytest.raises(ZeroDivisionError):
        async with one.permit("heal", "twilio_call"):
            raise ZeroDivisionError
    async with one.permit("heal", "twilio_call"):
        pass
    async with one.permit("heal", "twilio_call") as permit:
        with pytest.raises(ValueError):
            permit.answered("fine")
    assert one.state() == state(concurrency=1)


async def test_the_place_that_becomes_free_goes_to_the_most_urgent_waiter() -> None:
    one, metrics = limiter(concurrency=1)
    order: list[str] = []

    async def request(priority: str) -> None:
        async with one.permit(priority, f"of {priority}") as permit:
            order.append(priority)
            permit.answered("success")

    async with one.permit("backfill", "twilio_call"):
        tasks = [asyncio.create_task(request(priority)) for priority in reversed(NONE_WAITING)]
        await settle()
        assert one.state().waiting == dict.fromkeys(NONE_WAITING, 1)
    async with asyncio.timeout(SOON_S):
        await asyncio.gather(*tasks)
    assert order == ["heal", "terminal", "freshness", "backfill"]
    assert [source for source, seconds in metrics.waits if seconds >= 0] == [f"of {name}" for name in order]


async def test_a_waiter_that_is_cancelled_waits_no_more_and_holds_nothing() -> None:
    one, _ = limiter(concurrency=1)
    async with one.permit("heal", "twilio_call"):
        waiting = [asyncio.create_task(send(one)) for _ in range(3)]
        await settle()
        waiting[1].cancel()
        await settle()
        assert one.state().waiting == {**NONE_WAITING, "terminal": 2}
    async with asyncio.timeout(SOON_S):
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]
    assert one.state() == state(concurrency=1)


async def test_a_waiter_that_is_cancelled_between_the_grant_and_its_use_hands_it_to_the_next() -> None:
    one, _ = limiter(concurrency=1)
    held, free = asyncio.Event(), asyncio.Event()
    holder = asyncio.create_task(hold(one, "heal", held, free))
    await held.wait()
    cancelled, following = asyncio.create_task(send(one)), asyncio.create_task(send(one))
    await settle()
    free.set()
    while one.state().waiting["terminal"] != 1:
        await asyncio.sleep(0)
    cancelled.cancel()  # it was granted, and has not run since
    async with asyncio.timeout(SOON_S):
        results = await asyncio.gather(holder, cancelled, following, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]
    assert one.state().in_flight == 0


async def test_a_permit_does_not_go_to_a_waiter_that_was_cancelled_a_moment_before() -> None:
    one, _ = limiter(concurrency=1)
    async with one.permit("heal", "twilio_call"):
        cancelled, following = asyncio.create_task(send(one)), asyncio.create_task(send(one))
        await settle()
        cancelled.cancel()
    async with asyncio.timeout(SOON_S):
        results = await asyncio.gather(cancelled, following, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, type(None)]
    assert one.state().in_flight == 0


async def test_a_request_that_is_cancelled_in_flight_frees_its_place() -> None:
    one, _ = limiter(concurrency=1)
    held = asyncio.Event()
    holder = asyncio.create_task(hold(one, "heal", held, asyncio.Event()))
    await held.wait()
    holder.cancel()
    async with asyncio.timeout(SOON_S):
        await send(one)
    assert one.state().in_flight == 0


async def test_one_timer_wakes_those_who_wait_for_the_rate() -> None:
    calls = count()

    def now() -> float:
        next(calls)
        return asyncio.get_running_loop().time()

    one, metrics = limiter(rate=50.0, concurrency=10, now=now)
    began_s = asyncio.get_running_loop().time()
    async with asyncio.timeout(SOON_S):
        await asyncio.gather(*(send(one) for _ in range(10)))
    assert len(metrics.waits) == 9
    assert asyncio.get_running_loop().time() - began_s >= 9 / 50 - LATE_S
    # Each request looks at the clock a few times: a loop that spins does so thousands of times in its 0.2 s.
    assert next(calls) < 300


async def test_a_429_holds_everything_back_for_what_it_names() -> None:
    one, metrics = limiter(concurrency=4)
    began_s = asyncio.get_running_loop().time()
    async with asyncio.timeout(SOON_S):
        await send(one, "throttled", 0.2)
        await asyncio.gather(*(send(one) for _ in range(3)))
    assert asyncio.get_running_loop().time() - began_s >= 0.2
    assert len(metrics.waits) == 3


async def test_its_state_says_what_was_learned() -> None:
    one, _ = limiter(now=Clock(), concurrency=5)
    await send(one, "throttled", 7.0)
    assert one.state() == state("throttled", FAST * 0.8, 4)


async def test_what_waits_for_an_account_of_another_poller_waits_until_it_is_owned() -> None:
    one, _ = limiter()
    one.disown()
    waiting = asyncio.create_task(send(one))
    await settle()
    assert one.state() == state("standby", 0.0, 0, terminal=1)
    one.own(after_s=0.0)
    async with asyncio.timeout(SOON_S):
        await waiting


ACCOUNTS = [
    replace(ACCOUNT, rate=12.0, concurrency=5),
    replace(ACCOUNT, id="AC2", rate=2.5, concurrency=2),
    replace(ACCOUNT, id="", provider="telnyx", rate=6.0, concurrency=3),
]


async def test_every_account_has_its_own_limits_and_only_those_that_are_owned_are_used() -> None:
    limiters = RateLimiters(ACCOUNTS, WaitMetrics())
    assert {one.state().state for one in limiters} == {"standby"}
    limiters.own(lambda account: account.provider == "twilio")
    assert [(one.state().state, one.state().rate, one.state().concurrency) for one in limiters] == [
        ("running", 12.0, 5),
        ("running", 2.5, 2),
        ("standby", 0.0, 0),
    ]
    assert limiters.of(ACCOUNTS[1]).state().rate == 2.5
    limiters.own(lambda account: account.provider == "telnyx")
    assert [one.state().state for one in limiters] == ["standby", "standby", "running"]


async def test_a_new_owner_sends_its_first_request_after_a_second() -> None:
    clock = Clock()
    limiters = RateLimiters(ACCOUNTS, WaitMetrics(), now=clock)
    limiters.own(lambda _: True)
    waiting = asyncio.create_task(send(limiters.of(ACCOUNTS[0])))
    clock.now_s += HANDOVER_S - 0.01
    await settle()
    assert not waiting.done()
    clock.now_s += 0.01
    async with asyncio.timeout(SOON_S):
        await waiting


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["patient", "impatient", "cancel", "answer", "fail", "run"]), st.integers(0, 99)
    )
)


@given(STEPS, st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_whatever_is_sent_cancelled_and_answered_all_places_come_back(
    steps: list[tuple[str, int]], concurrency: int
) -> None:
    asyncio.run(through(steps, concurrency))


async def through(steps: list[tuple[str, int]], concurrency: int) -> None:
    """Take the steps; then answer all that is left, and see that every task has ended and nothing is held."""
    one, _ = limiter(rate=1e6, concurrency=concurrency)
    inside: list[asyncio.Future[str]] = []
    tasks: list[asyncio.Task[None]] = []

    async def request(impatient: bool, priority: str) -> None:
        async with one.permit(priority, "twilio_call", impatient=impatient) as permit:
            word: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            inside.append(word)
            assert len(inside) <= concurrency
            try:
                permit.answered(await word)
            finally:
                inside.remove(word)

    for step, pick in steps:
        words = [word for word in inside if not word.done()]
        if step in ("patient", "impatient"):
            tasks.append(asyncio.create_task(request(step == "impatient", list(NONE_WAITING)[pick % 4])))
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
            if one.state().state == "refused" and not inside:
                for task in tasks:
                    task.cancel()
            await asyncio.sleep(0)
    expected = asyncio.CancelledError | NoPermitError | ZeroDivisionError
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert result is None or isinstance(result, expected)
    assert (one.state().in_flight, one.state().waiting, inside) == (0, NONE_WAITING, [])
