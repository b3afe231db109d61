"""A refusal ends a read at once; what may pass is tried again, a few times and ever more slowly."""

from __future__ import annotations

import pytest

from stream.core.fetches import OUTCOMES
from stream.poller.pages.paged_read import CALL_LIMITS, WINDOW_LIMITS, ReadLimits, ReadResult
from stream.poller.resources import RESOURCES
from tests.poller.accounts import twilio
from tests.poller.pages.read_fixture import FIRST, World, a_world, page, row
from tests.poller.provider import Said, hung_up


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
async def test_a_refusal_ends_the_read_at_once(
    world: World, status: int, limits: ReadLimits, outcome: str, problem: str
) -> None:
    world.provider.at(FIRST, Said(status, b'{"code":1}' if status != 204 else b"", {"Location": "/stolen"}))
    assert await world.events(limits) == ReadResult(outcome, problem=problem)
    assert (world.provider.paths, world.pauses, world.beach.pages) == ([FIRST], [], [])
    assert world.told.requests == [("twilio_call_event", outcome)]
    assert world.limiter.told == [("terminal", "twilio_call_event", outcome, None)]
    assert outcome in OUTCOMES


async def test_a_403_is_of_the_resource_and_not_of_the_account(world: World) -> None:
    world.provider.at(FIRST, Said(403, b"{}"))
    problem = "answered 403: the credentials may not read this"
    assert await world.events(WINDOW_LIMITS) == ReadResult("auth_error", problem=problem, forbidden=True)
    assert world.told.requests == [("twilio_call_event", "auth_error")]
    assert world.limiter.told == [("terminal", "twilio_call_event", "client_error", None)]


async def test_what_may_pass_is_tried_again_at_the_same_page(world: World) -> None:
    world.provider.at(
        FIRST, hung_up, Said(503), Said(429, b"", {"Retry-After": "7"}), page(row(1), onwards="/2")
    )
    world.provider.at("/2", Said(500), Said(500), Said(500), Said(500), page(row(2)))
    came = await world.events()
    assert (came.outcome, came.rows, came.pages) == ("success", 2, 2)
    assert world.provider.paths == [FIRST] * 4 + ["/2"] * 5
    assert world.pauses == [0.25, 0.5, 7 + 1.0, 0.25, 0.5, 1.0, 2.0]
    assert world.told.waits == [("twilio_call_event", 8.0)]
    outcomes = ["network_error", "server_error", "throttled", "success", *["server_error"] * 4, "success"]
    assert [outcome for _, outcome in world.told.requests] == outcomes
    assert [told[2:] for told in world.limiter.told] == [
        (outcome, 7.0 if outcome == "throttled" else None) for outcome in outcomes
    ]


@pytest.mark.parametrize(
    ("answer", "outcome", "problem"),
    [
        (Said(500), "server_error", "answered 500"),
        (Said(429), "throttled", "answered 429: too many requests"),
        (hung_up, "network_error", "ServerDisconnectedError"),
    ],
)
async def test_after_five_tries_it_is_given_up_and_what_was_landed_stays(
    world: World, answer: Said, outcome: str, problem: str
) -> None:
    world.provider.at(FIRST, page(row(1), row(2), onwards="/2"))
    world.provider.at("/2", answer)
    assert await world.events() == ReadResult(outcome, 2, False, None, 1, problem)
    assert world.provider.paths == [FIRST, *["/2"] * 5]
    assert world.pauses == [0.25, 0.5, 1.0, 2.0]
    assert (world.bodies, world.beach.dead_letters) == ([row(1), row(2)], [])


async def test_nobody_there_is_a_network_error(world: World) -> None:
    account = twilio("http://127.0.0.1:1")
    url = "http://127.0.0.1:1" + FIRST
    came = await world.read(RESOURCES["twilio_call_event"], account, url)
    assert came == ReadResult("network_error", problem="ClientConnectorError")
    assert len(world.told.requests) == 5


async def test_chance_spreads_the_pauses_and_the_longest_has_a_bound() -> None:
    for chance, pauses in ((0.0, [0, 0, 0, 0]), (1.0, [0.5, 1, 2, 4])):
        async with a_world() as world:
            world.chance = chance
            world.provider.at(FIRST, Said(500))
            await world.events()
            assert world.pauses == pauses


@pytest.mark.parametrize("status", [429, 503])
async def test_who_is_asked_to_wait_for_long_comes_back_another_time(world: World, status: int) -> None:
    world.provider.at(FIRST, Said(status, b"", {"Retry-After": "301"}))
    came = await world.events()
    assert (came.outcome, world.pauses, len(world.provider.seen)) == ("throttled", [], 1)
    assert came.problem.endswith(": the provider asks to wait 301 s")


async def test_five_minutes_are_waited_for(world: World) -> None:
    world.provider.at(FIRST, Said(503, b"", {"Retry-After": "300"}), page(row(1)))
    assert (await world.events()).outcome == "success"
    assert (world.pauses, world.told.waits) == ([300.25], [])


async def test_between_two_attempts_others_have_their_turn(world: World) -> None:
    async def sleep(_: float) -> None:
        assert world.limiter.inside == 0

    world._sleep = sleep  # type: ignore[method-assign]
    world.provider.at(FIRST, Said(429), page(row(1), onwards="/2"))
    world.provider.at("/2", page(row(2)))
    assert (await world.events()).rows == 2
    assert (world.limiter.most_inside, len(world.limiter.told)) == (1, 3)
