"""Requests that are called back with a first permit, and callers that do not wait for a closed account."""

from __future__ import annotations

import asyncio

import pytest

from stream.poller.limiter.fair_queue import PutResult
from stream.poller.limiter.rate_limiter import AccountUnavailableError, RateLimiter
from tests.poller.limiter.limiter_fakes import (
    NONE_WAITING,
    SOON_S,
    Clock,
    RequestFake,
    hold,
    limiter,
    send,
    settle,
    state,
)


async def send_impatiently(one: RateLimiter, outcome: str = "success") -> None:
    async with one.fail_fast().permit("heal", "twilio_call") as permit:
        permit.answered(outcome)


async def test_a_submitted_request_gets_a_permit_as_soon_as_it_may_be_sent() -> None:
    clock = Clock()
    one, _ = limiter(rate=10.0, concurrency=1, now=clock)
    first, second, third = RequestFake(), RequestFake(), RequestFake()
    for key, request in enumerate((first, second, third)):
        assert one.submit(key, request, "terminal") == PutResult()
    assert (len(first.permits), len(second.permits)) == (1, 0)
    clock.now_s += 1.0
    first.permits[0].answered("success")
    assert (len(second.permits), len(third.permits)) == (1, 0)
    assert one.withdraw() == [third]
    assert one.state() == state(rate=10.0, concurrency=1, in_flight=1)


async def test_a_first_permit_is_used_by_the_first_request_of_the_read() -> None:
    one, metrics = limiter()
    request = RequestFake()
    one.submit("key", request, "heal")
    read = one.fail_fast(request.permits[0])
    async with read.permit("heal", "twilio_call") as permit:
        assert (permit, one.state().in_flight) == (request.permits[0], 1)
        permit.answered("success")
    async with read.permit("heal", "twilio_call") as permit:
        assert (permit is request.permits[0], one.state().in_flight) == (False, 1)
    read.end()
    assert (one.state().in_flight, metrics.waits) == (0, [])


async def test_a_first_permit_that_is_not_used_is_free_again_and_costs_no_time() -> None:
    clock = Clock()
    one, _ = limiter(rate=1.0, now=clock)
    requests = [RequestFake(), RequestFake()]
    for key, request in enumerate(requests):
        one.submit(key, request, "heal")
    assert [len(request.permits) for request in requests] == [1, 0]
    one.fail_fast(requests[0].permits[0]).end()
    assert [len(request.permits) for request in requests] == [1, 1]


async def test_when_credentials_are_refused_impatient_callers_and_requests_fail_and_patient_ones_wait() -> (
    None
):
    clock = Clock()
    one, _ = limiter(concurrency=1, now=clock)
    held, free = asyncio.Event(), asyncio.Event()
    holder = asyncio.create_task(hold(one, "heal", held, free))
    await held.wait()
    patient = asyncio.create_task(send(one))
    impatient = [asyncio.create_task(send_impatiently(one, "auth_error")) for _ in range(2)]
    await settle()
    request = RequestFake()
    one.submit("key", request, "terminal")
    clock.now_s += 1.0
    holder.cancel()
    async with asyncio.timeout(SOON_S):
        with pytest.raises(AccountUnavailableError, match="twilio/main is closed for now"):
            await impatient[1]
        await impatient[0]
        with pytest.raises(AccountUnavailableError):
            await send_impatiently(one)
    late = RequestFake()
    one.submit("late", late, "heal")
    assert (request.outcomes, late.outcomes) == (["auth_error"], ["auth_error"])
    assert one.state() == state("refused", concurrency=1, terminal=1)
    patient.cancel()
    await settle()


async def test_one_impatient_caller_tries_the_credentials_when_it_is_time() -> None:
    clock = Clock()
    one, _ = limiter(now=clock)
    await send(one, "auth_error")
    clock.now_s += 30.0
    request, other = RequestFake(), RequestFake()
    one.submit("key", request, "terminal")
    one.submit("other", other, "terminal")
    assert (len(request.permits), other.outcomes) == (1, ["auth_error"])
    with pytest.raises(AccountUnavailableError):
        await send_impatiently(one)
    request.permits[0].answered("success")
    assert one.state() == state()


async def test_a_long_retry_after_fails_impatient_requests_and_a_short_one_does_not() -> None:
    clock = Clock()
    one, _ = limiter(now=clock)
    request = RequestFake()
    await send(one, "throttled", 20.0)
    one.submit("key", request, "terminal")
    assert request.outcomes == []
    clock.now_s += 20.0
    await send(one, "throttled", 600.0)
    assert (request.outcomes, one.state().waiting) == ([], NONE_WAITING), "it went when the pause was over"
    one.submit("key", request, "terminal")
    assert request.outcomes == ["throttled"]


async def test_requests_of_a_priority_that_is_not_admitted_wait_and_reads_in_progress_do_not() -> None:
    one, _ = limiter()
    request = RequestFake()
    one.admit("terminal", False)
    one.submit("key", request, "terminal")
    await send(one)
    assert (request.permits, one.state()) == ([], state(terminal=1))
    one.admit("terminal", True)
    assert len(request.permits) == 1
