"""A malicious provider: its links lead to no other host, to no other call, and not on without end."""

from __future__ import annotations

import pytest

from stream.poller.pages.paged_read import CALL_LIMITS, WINDOW_LIMITS, ReadLimits, ReadResult
from tests.poller.accounts import CALL_SID
from tests.poller.pages.read_fixture import EVENTS, FIRST, World, page, row
from tests.poller.provider import Said, serving


async def test_a_page_on_another_host_is_not_asked_and_hears_nothing(world: World) -> None:
    async with serving() as other:
        world.provider.at(FIRST, page(row(1), onwards=f"{other.url}{EVENTS}?Page=1"))
        came = await world.events()
        assert came == ReadResult(
            "rubbish", 1, False, None, 1, "the next page is on another host, which is not requested"
        )
        assert (other.seen, world.bodies, world.provider.paths) == ([], [row(1)], [FIRST])
        assert world.reasons == [("invalid_field", came.problem)]
        assert str(other.port) not in came.problem


async def test_a_redirect_is_not_followed_anywhere(world: World) -> None:
    async with serving() as other:
        for target in (f"{other.url}/stolen", "/elsewhere"):
            world.provider.at(FIRST, Said(302, b"", {"Location": target}))
            assert (await world.events()).outcome == "client_error"
        assert (other.seen, set(world.provider.paths)) == ([], {FIRST})


async def test_pages_in_a_circle_are_asked_once_each(world: World) -> None:
    world.provider.at(FIRST, page(row(1), onwards="/2"))
    world.provider.at("/2", page(row(2), onwards=FIRST))
    came = await world.events()
    assert came == ReadResult("rubbish", 2, False, None, 2, "the pages form a loop")
    assert (world.provider.paths, world.reasons) == ([FIRST, "/2"], [("invalid_field", came.problem)])


async def test_the_same_rows_at_ever_new_links_end_and_make_no_events(world: World) -> None:
    async def again(request: object) -> object:
        return await page(row(1), row(2), onwards=f"/page{len(world.provider.seen)}")(request)  # type: ignore[arg-type]

    world.provider.otherwise = again  # type: ignore[assignment]
    came = await world.events()
    assert came == ReadResult("rubbish", 2, False, None, 1, "the pages repeat the same rows")
    assert (len(world.provider.seen), world.bodies) == (3, [row(1), row(2)])


async def test_a_last_page_that_leads_to_the_first_by_another_name_makes_no_events(world: World) -> None:
    world.provider.at(FIRST, page(row(1), onwards="/2"))
    world.provider.at("/2", page(row(2), onwards="/1"))
    world.provider.at("/1", page(row(1), onwards="/2"))
    came = await world.events()
    assert came == ReadResult("rubbish", 2, False, None, 2, "the pages form a loop")
    assert (world.bodies, world.ordinals) == ([row(1), row(2)], [0, 0])


async def test_pages_that_go_round_at_ever_new_links_make_no_events(world: World) -> None:
    async def again(request: object) -> object:
        seen = len(world.provider.seen)
        return await page(row(seen % 3), onwards=f"/page{seen}")(request)  # type: ignore[arg-type]

    world.provider.otherwise = again  # type: ignore[assignment]
    came = await world.events()
    assert came == ReadResult("rubbish", 3, False, None, 3, "the pages repeat the same rows")
    assert (world.bodies, world.ordinals) == ([row(1), row(2), row(0)], [0, 0, 0])


@pytest.mark.parametrize("limits", [CALL_LIMITS, WINDOW_LIMITS])
async def test_pages_without_end_have_an_end(world: World, limits: ReadLimits) -> None:
    async def another(request: object) -> object:
        seen = len(world.provider.seen)
        return await page(row(seen), onwards=f"/page{seen}")(request)  # type: ignore[arg-type]

    world.provider.otherwise = another  # type: ignore[assignment]
    limits = limits._replace(max_pages=limits.max_pages // 20)
    came = await world.events(limits)
    assert came == ReadResult(
        "rubbish",
        limits.max_pages,
        False,
        None,
        limits.max_pages,
        f"there are more than {limits.max_pages} pages",
    )
    assert len(world.provider.seen) == limits.max_pages


def test_a_window_may_be_longer_than_a_call() -> None:
    assert ReadLimits("not_ready", 200) == CALL_LIMITS
    assert ReadLimits("not_found", 20_000) == WINDOW_LIMITS


async def test_a_link_cannot_move_rows_to_another_call(world: World) -> None:
    other = EVENTS.replace(CALL_SID, "CA0f000000000000000000000000000666")
    world.provider.at(FIRST, page(onwards=other))
    world.provider.at(other, page(row(1)))
    await world.events()
    assert [one.key for one in world.beach.rows] == [f"twilio:{CALL_SID}".encode()]


async def test_a_link_cannot_smuggle_a_request(world: World) -> None:
    world.provider.at(FIRST, page(row(1), onwards="/x HTTP/1.1\r\nHost: evil\r\n\r\nGET /y"))
    came = await world.events()
    assert (came.outcome, came.problem, world.provider.paths) == (
        "rubbish",
        "the next page's link is not a URL",
        [FIRST],
    )
