"""Callers that do not wait for a closed account."""

from __future__ import annotations

import asyncio

import pytest

from stream.poller.limiter.rate_limiter import Impatient, NoPermitError, RateLimiter
from tests.poller.limiter.limiter_fakes import SOON_S, Clock, hold, limiter, send, settle, state


async def send_impatiently(one: RateLimiter, outcome: str = "success") -> None:
    async with Impatient(one).permit("heal", "twilio_call") as permit:
        permit.answered(outcome)


async def test_when_credentials_are_refused_impatient_callers_fail_and_patient_ones_wait() -> None:
    clock = Clock()
    one, _ = limiter(concurrency=1, now=clock)
    held, free = asyncio.Event(), asyncio.Event()
    holder = asyncio.create_task(hold(one, "heal", held, free))
    await held.wait()
    patient = asyncio.create_task(send(one))
    impatient = [asyncio.create_task(send_impatiently(one, "auth_error")) for _ in range(2)]
    await settle()
    clock.now_s += 1.0
    holder.cancel()
    async with asyncio.timeout(SOON_S):
        with pytest.raises(NoPermitError, match="twilio/main is closed for now"):
            await impatient[1]
        await impatient[0]
        with pytest.raises(NoPermitError):
            await send_impatiently(one)
    assert one.state() == state("refused", concurrency=1, terminal=1)
    patient.cancel()
    await settle()


async def test_one_impatient_caller_tries_the_credentials_when_it_is_time() -> None:
    clock = Clock()
    one, _ = limiter(now=clock)
    await send(one, "auth_error")
    clock.now_s += 30.0
    async with Impatient(one).permit("heal", "twilio_call") as permit:
        with pytest.raises(NoPermitError):
            await send_impatiently(one)
        permit.answered("success")
    assert one.state() == state()


async def test_a_long_retry_after_fails_impatient_callers_and_a_short_one_does_not() -> None:
    clock = Clock()
    one, _ = limiter(now=clock)
    await send(one, "throttled", 20.0)
    waiting = asyncio.create_task(send_impatiently(one))
    await settle()
    assert not waiting.done()
    clock.now_s += 20.0
    one.own(after_s=0.0)
    await waiting
    await send(one, "throttled", 600.0)
    with pytest.raises(NoPermitError):
        await send_impatiently(one)


async def test_a_poller_that_was_frozen_sends_nothing_until_the_group_confirms_it_again() -> None:
    clock = Clock()
    one, _ = limiter(now=clock)
    one.lease(clock.now_s + 10.0)
    clock.now_s += 9.9
    await send(one)
    clock.now_s += 0.1
    waiting = asyncio.create_task(send(one))
    await settle()
    assert not waiting.done()
    one.lease(clock.now_s + 10.0)
    await asyncio.wait_for(waiting, SOON_S)


async def test_a_request_that_waited_for_too_long_takes_no_turn_of_the_next() -> None:
    one, _ = limiter(rate=1, now=Clock())
    with pytest.raises(NoPermitError, match="waited for too long"):
        async with Impatient(one, lambda: True).permit("heal", "twilio_call"):
            pass
    await asyncio.wait_for(send(one), SOON_S)
