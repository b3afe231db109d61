"""An error ends a read at once; a transient one is retried a few times with backoff."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.core.fetches import OUTCOMES
from stream.poller.pages.paged_read import CALL_LIMITS, WINDOW_LIMITS, ReadLimits, ReadResult
from stream.poller.resources import RESOURCES
from tests.poller.accounts import twilio
from tests.poller.fake_provider import Reply, hung_up
from tests.poller.pages.read_fixture import EVENTS_OF_A_CALL, FIRST, ReadSetup, page, read_setup, row


@pytest.mark.parametrize(
    ("status", "limits", "outcome", "problem"),
    [
        (401, CALL_LIMITS, "auth_error", "answered 401: the credentials are not accepted"),
        (404, CALL_LIMITS, "not_ready", "answered 404"),
        (404, WINDOW_LIMITS, "not_found", "answered 404"),
        (400, CALL_LIMITS, "client_error", "answered 400"),
        (410, WINDOW_LIMITS, "client_error", "answered 410"),
        (204, CALL_LIMITS, "client_error", "answered 204"),
        (301, CALL_LIMITS, "client_error", "answered 301: a redirect, which is not followed"),
        (307, CALL_LIMITS, "client_error", "answered 307: a redirect, which is not followed"),
    ],
)
async def test_an_error_status_ends_the_read_at_once(
    setup: ReadSetup, status: int, limits: ReadLimits, outcome: str, problem: str
) -> None:
    setup.provider.at(FIRST, Reply(status, b'{"code":1}' if status != 204 else b"", {"Location": "/stolen"}))
    assert await setup.events(limits) == ReadResult(outcome, problem=problem)
    assert (setup.provider.paths, setup.pauses, setup.writer.pages) == ([FIRST], [], [])
    assert setup.metrics.requests == [("twilio_call_event", outcome)]
    assert setup.limiter.answers == [("terminal", "twilio_call_event", outcome, None)]
    assert outcome in OUTCOMES


async def test_a_403_concerns_the_resource_and_not_the_account(setup: ReadSetup) -> None:
    setup.provider.at(FIRST, Reply(403, b"{}"))
    problem = "answered 403: the credentials may not read this"
    assert await setup.events(WINDOW_LIMITS) == ReadResult("auth_error", problem=problem, forbidden=True)
    assert setup.metrics.requests == [("twilio_call_event", "auth_error")]
    assert setup.limiter.answers == [("terminal", "twilio_call_event", "client_error", None)]


@pytest.mark.parametrize(
    ("status", "outcome", "why"),
    [
        (401, "auth_error", "the credentials are not accepted"),
        (404, "not_found", "the account does not have this"),
        (410, "not_found", "the account does not have this"),
    ],
)
async def test_a_resource_on_a_host_of_its_own_is_refused_without_a_word_about_the_account(
    setup: ReadSetup, status: int, outcome: str, why: str
) -> None:
    setup.provider.at(FIRST, Reply(status, b"{}"))
    apart = replace(EVENTS_OF_A_CALL, refused_by=frozenset({401, 403, 404, 410}), on_own_host=True)
    came = await setup.events(resource=apart)
    assert came == ReadResult(outcome, problem=f"answered {status}: {why}", forbidden=True)
    assert setup.metrics.requests == [("twilio_call_event", outcome)]
    assert setup.limiter.answers == []


async def test_errors_of_a_host_of_its_own_do_not_count_for_the_account_and_throttling_does(
    setup: ReadSetup,
) -> None:
    setup.provider.at(FIRST, hung_up, Reply(503), Reply(429, b"", {"Retry-After": "7"}), page(row(1)))
    came = await setup.events(resource=replace(EVENTS_OF_A_CALL, on_own_host=True))
    assert (came.outcome, came.rows) == ("success", 1)
    assert [answer[2:] for answer in setup.limiter.answers] == [("throttled", 7.0), ("success", None)]


async def test_a_transient_error_is_retried_at_the_same_page(setup: ReadSetup) -> None:
    setup.provider.at(
        FIRST, hung_up, Reply(503), Reply(429, b"", {"Retry-After": "7"}), page(row(1), onwards="/2")
    )
    setup.provider.at("/2", Reply(500), Reply(500), Reply(500), Reply(500), page(row(2)))
    came = await setup.events()
    assert (came.outcome, came.rows, came.pages) == ("success", 2, 2)
    assert setup.provider.paths == [FIRST] * 4 + ["/2"] * 5
    assert setup.pauses == [0.25, 0.5, 7 + 1.0, 0.25, 0.5, 1.0, 2.0]
    assert setup.metrics.waits == [("twilio_call_event", 8.0)]
    outcomes = ["network_error", "server_error", "throttled", "success", *["server_error"] * 4, "success"]
    assert [outcome for _, outcome in setup.metrics.requests] == outcomes
    assert [answer[2:] for answer in setup.limiter.answers] == [
        (outcome, 7.0 if outcome == "throttled" else None) for outcome in outcomes
    ]


@pytest.mark.parametrize(
    ("answer", "outcome", "problem"),
    [
        (Reply(500), "server_error", "answered 500"),
        (Reply(429), "throttled", "answered 429: too many requests"),
        (hung_up, "network_error", "ServerDisconnectedError"),
    ],
)
async def test_after_five_attempts_the_read_fails_and_written_rows_stay(
    setup: ReadSetup, answer: Reply, outcome: str, problem: str
) -> None:
    setup.provider.at(FIRST, page(row(1), row(2), onwards="/2"))
    setup.provider.at("/2", answer)
    assert await setup.events() == ReadResult(outcome, 2, False, None, 1, problem)
    assert setup.provider.paths == [FIRST, *["/2"] * 5]
    assert setup.pauses == [0.25, 0.5, 1.0, 2.0]
    assert (setup.bodies, setup.writer.dead_letters) == ([row(1), row(2)], [])


async def test_an_unreachable_host_is_a_network_error(setup: ReadSetup) -> None:
    account = twilio("http://127.0.0.1:1")
    url = "http://127.0.0.1:1" + FIRST
    came = await setup.read(RESOURCES["twilio_call_event"], account, url)
    assert came == ReadResult("network_error", problem="ClientConnectorError")
    assert len(setup.metrics.requests) == 5


async def test_pauses_are_random_up_to_a_limit() -> None:
    for chance, pauses in ((0.0, [0, 0, 0, 0]), (1.0, [0.5, 1, 2, 4])):
        async with read_setup() as setup:
            setup.chance = chance
            setup.provider.at(FIRST, Reply(500))
            await setup.events()
            assert setup.pauses == pauses


@pytest.mark.parametrize("status", [429, 503])
async def test_a_long_retry_after_ends_the_read_as_throttled(setup: ReadSetup, status: int) -> None:
    setup.provider.at(FIRST, Reply(status, b"", {"Retry-After": "301"}))
    came = await setup.events()
    assert (came.outcome, setup.pauses, len(setup.provider.seen)) == ("throttled", [], 1)
    assert came.problem.endswith(": the provider asks to wait 301 s")


async def test_a_retry_after_of_five_minutes_is_waited_for(setup: ReadSetup) -> None:
    setup.provider.at(FIRST, Reply(503, b"", {"Retry-After": "300"}), page(row(1)))
    assert (await setup.events()).outcome == "success"
    assert (setup.pauses, setup.metrics.waits) == ([300.25], [])


async def test_the_permit_is_released_between_two_attempts(setup: ReadSetup) -> None:
    async def sleep(_: float) -> None:
        assert setup.limiter.inside == 0

    setup.sleep = sleep  # type: ignore[method-assign]
    setup.provider.at(FIRST, Reply(429), page(row(1), onwards="/2"))
    setup.provider.at("/2", page(row(2)))
    assert (await setup.events()).rows == 2
    assert (setup.limiter.most_inside, len(setup.limiter.answers)) == (1, 3)
