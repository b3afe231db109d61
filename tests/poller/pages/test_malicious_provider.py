"""A malicious provider: its links never lead to another host or another call, or on without end."""

from __future__ import annotations

import pytest

from stream.poller.pages.paged_read import CALL_LIMITS, WINDOW_LIMITS, ReadLimits, ReadResult
from tests.poller.accounts import CALL_SID
from tests.poller.fake_provider import Reply, fake_provider
from tests.poller.pages.read_fixture import EVENTS, FIRST, ReadSetup, page, row


async def test_a_page_on_another_host_is_not_requested(setup: ReadSetup) -> None:
    async with fake_provider() as other:
        setup.provider.at(FIRST, page(row(1), onwards=f"{other.url}{EVENTS}?Page=1"))
        came = await setup.events()
        assert came == ReadResult(
            "rubbish", 1, False, None, 1, "the next page is on another host, which is not requested"
        )
        assert (other.seen, setup.bodies, setup.provider.paths) == ([], [row(1)], [FIRST])
        assert setup.reasons == [("invalid_field", came.problem)]
        assert str(other.port) not in came.problem


async def test_a_redirect_is_not_followed_anywhere(setup: ReadSetup) -> None:
    async with fake_provider() as other:
        for target in (f"{other.url}/stolen", "/elsewhere"):
            setup.provider.at(FIRST, Reply(302, b"", {"Location": target}))
            assert (await setup.events()).outcome == "client_error"
        assert (other.seen, set(setup.provider.paths)) == ([], {FIRST})


async def test_pages_in_a_loop_are_requested_once_each(setup: ReadSetup) -> None:
    setup.provider.at(FIRST, page(row(1), onwards="/2"))
    setup.provider.at("/2", page(row(2), onwards=FIRST))
    came = await setup.events()
    assert came == ReadResult("rubbish", 2, False, None, 2, "the pages form a loop")
    assert (setup.provider.paths, setup.reasons) == ([FIRST, "/2"], [("invalid_field", came.problem)])


async def test_the_same_rows_at_new_links_end_the_read_and_make_no_events(setup: ReadSetup) -> None:
    async def again(request: object) -> object:
        return await page(row(1), row(2), onwards=f"/page{len(setup.provider.seen)}")(request)  # type: ignore[arg-type]

    setup.provider.otherwise = again  # type: ignore[assignment]
    came = await setup.events()
    assert came == ReadResult("rubbish", 2, False, None, 1, "the pages repeat the same rows")
    assert (len(setup.provider.seen), setup.bodies) == (3, [row(1), row(2)])


async def test_a_last_page_that_links_to_the_first_by_another_url_makes_no_events(setup: ReadSetup) -> None:
    setup.provider.at(FIRST, page(row(1), onwards="/2"))
    setup.provider.at("/2", page(row(2), onwards="/1"))
    setup.provider.at("/1", page(row(1), onwards="/2"))
    came = await setup.events()
    assert came == ReadResult("rubbish", 2, False, None, 2, "the pages form a loop")
    assert (setup.bodies, setup.ordinals) == ([row(1), row(2)], [0, 0])


async def test_pages_that_repeat_at_new_links_make_no_events(setup: ReadSetup) -> None:
    async def again(request: object) -> object:
        seen = len(setup.provider.seen)
        return await page(row(seen % 3), onwards=f"/page{seen}")(request)  # type: ignore[arg-type]

    setup.provider.otherwise = again  # type: ignore[assignment]
    came = await setup.events()
    assert came == ReadResult("rubbish", 3, False, None, 3, "the pages repeat the same rows")
    assert (setup.bodies, setup.ordinals) == ([row(1), row(2), row(0)], [0, 0, 0])


@pytest.mark.parametrize("limits", [CALL_LIMITS, WINDOW_LIMITS])
async def test_endless_pages_end_at_the_limit(setup: ReadSetup, limits: ReadLimits) -> None:
    async def another(request: object) -> object:
        seen = len(setup.provider.seen)
        return await page(row(seen), onwards=f"/page{seen}")(request)  # type: ignore[arg-type]

    setup.provider.otherwise = another  # type: ignore[assignment]
    limits = limits._replace(max_pages=20)
    came = await setup.events(limits)
    assert came == ReadResult(
        "rubbish",
        limits.max_pages,
        False,
        None,
        limits.max_pages,
        f"there are more than {limits.max_pages} pages",
    )
    assert len(setup.provider.seen) == limits.max_pages


def test_a_window_may_be_longer_than_a_call() -> None:
    assert ReadLimits("not_ready", 200) == CALL_LIMITS
    assert ReadLimits("not_found", 20_000) == WINDOW_LIMITS


async def test_a_link_cannot_move_rows_to_another_call(setup: ReadSetup) -> None:
    other = EVENTS.replace(CALL_SID, "CA0f000000000000000000000000000666")
    setup.provider.at(FIRST, page(onwards=other))
    setup.provider.at(other, page(row(1)))
    await setup.events()
    assert [one.key for one in setup.writer.rows] == [f"twilio:{CALL_SID}".encode()]


async def test_a_link_cannot_inject_a_request(setup: ReadSetup) -> None:
    setup.provider.at(FIRST, page(row(1), onwards="/x HTTP/1.1\r\nHost: evil\r\n\r\nGET /y"))
    came = await setup.events()
    assert (came.outcome, came.problem, setup.provider.paths) == (
        "rubbish",
        "the next page's link is not a URL",
        [FIRST],
    )
