"""Resources are read from a provider on a real socket: page by page, each landed as it was said."""

from __future__ import annotations

import asyncio
import gzip

import orjson
import pytest

from stream.poller.pages.paged_read import WINDOW_LIMITS, ReadResult
from stream.poller.pages.records import PageRecords
from stream.poller.resources import RESOURCES
from tests.poller.accounts import ACCOUNT_SID, CALL_SID, LEG, telnyx, twilio
from tests.poller.pages.read_fixture import EVENTS, FIRST, World, page, row
from tests.poller.provider import Beach, Said, silent


async def test_a_resource_is_read_page_by_page_each_landed_before_the_next_is_asked(world: World) -> None:
    asked_when_landed = []

    class Watching(Beach):
        async def write(self, page: PageRecords) -> None:
            await super().write(page)
            asked_when_landed.append(len(world.provider.seen))

    world.beach = Watching()
    world.provider.at(FIRST, page(row(1), row(2), onwards=f"{EVENTS}?Page=1&PageToken=PA%2F1"))
    world.provider.at(
        f"{EVENTS}?Page=1&PageToken=PA%2F1", page(row(1), onwards=f"{world.provider.url}{EVENTS}?Page=2")
    )
    world.provider.at(f"{EVENTS}?Page=2", page(row(3)))
    came = await world.events()
    assert came == ReadResult("success", 4, False, came.content, 3, "", provider_us=came.provider_us)
    assert came.content is not None
    assert world.bodies == [row(1), row(2), row(1), row(3)]
    assert world.ordinals == [0, 0, 1, 0]
    assert {one.key for one in world.beach.rows} == {f"twilio:{CALL_SID}".encode()}
    assert {orjson.loads(one.value)["endpoint"] for one in world.beach.rows} == {EVENTS}
    assert asked_when_landed == [1, 2, 3]
    assert world.told.requests == [("twilio_call_event", "success")] * 3
    assert world.limiter.told == [("terminal", "twilio_call_event", "success", None)] * 3


async def test_rows_about_no_call_are_counted_and_do_not_land(world: World) -> None:
    account = telnyx(f"{world.provider.url}/v2")
    about_a_call = b'{"id":"d1","webhook":{"event_type":"call.hangup","payload":{"call_leg_id":"c3"}}}'
    a_message = b'{"id":"d2","webhook":{"event_type":"message.received","payload":{"text":"hello"}}}'
    world.provider.otherwise = Said(200, b'{"data":[' + about_a_call + b"," + a_message + b"]}")
    resource = RESOURCES["telnyx_webhook_delivery"]
    came = await world.read(resource, account, f"{account.api_url}/webhook_deliveries", WINDOW_LIMITS)
    assert (came.outcome, world.bodies, world.beach.dead_letters) == ("success", [about_a_call], [])
    assert world.told.left_outs == [("telnyx_webhook_delivery", 1)]


async def test_two_reads_of_the_same_are_equal_and_another_row_makes_them_differ(world: World) -> None:
    world.provider.at(FIRST, page(row(1)), page(row(1)), page(row(1), row(2)))
    first, second, third = [await world.events() for _ in range(3)]
    assert first == second
    assert first.content != third.content


async def test_nothing_is_there_is_an_answer(world: World) -> None:
    world.provider.at(FIRST, page())
    came = await world.events()
    assert came == ReadResult("empty", 0, False, came.content, 1, provider_us=came.provider_us)
    assert came.content is not None
    assert world.told.requests == [("twilio_call_event", "empty")]


@pytest.mark.parametrize(("price", "complete"), [(b'"-0.0140"', True), (b"null", False)])
async def test_a_call_says_itself_whether_it_is_complete(world: World, price: bytes, complete: bool) -> None:
    body = b'{"sid":"%s","status":"completed","duration":"49","price":%s}' % (CALL_SID.encode(), price)
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{CALL_SID}.json"
    world.provider.at(path, Said(200, body))
    account = twilio(world.provider.url)
    came = await world.read(RESOURCES["twilio_call"], account, world.provider.url + path)
    assert (came.outcome, came.rows, came.complete) == ("success", 1, complete)
    assert world.bodies == [body]


async def test_insights_are_read_over_their_absolute_links(world: World) -> None:
    base = f"{world.provider.url}/insights"
    path = f"/insights/v1/Voice/{CALL_SID}/Events"
    event = b'{"timestamp":"2026-03-02T10:00:00Z","edge":null,"name":"ringing"}'
    for at, onwards in (("?Edge=sdk_edge&PageSize=1000", f"{base}/v1/next?Page=1"), (None, None)):
        said = b'{"meta":{"key":"events","next_page_url":%s},"events":[%s]}' % (orjson.dumps(onwards), event)
        world.provider.at(path + at if at else "/insights/v1/next?Page=1", Said(200, said))
    account = twilio(world.provider.url, base)
    url = RESOURCES["twilio_insights_event"].url_of_call(account, CALL_SID, "sdk_edge")
    came = await world.read(RESOURCES["twilio_insights_event"], account, url)
    assert (came.outcome, came.rows, world.ordinals) == ("success", 2, [0, 1])
    assert {one.key for one in world.beach.rows} == {f"twilio:{CALL_SID}".encode()}


async def test_rows_that_move_while_one_pages_land_once(world: World) -> None:
    def numbered(number: int, total: int, *rows: int) -> None:
        said = ",".join(f'{{"call_leg_id":"{LEG}","name":"{one}"}}' for one in rows)
        meta = f'{{"page_number":{number},"total_pages":2,"total_results":{total}}}'
        path = f"/v2/call_events?filter%5Bleg_id%5D={LEG}&page%5Bnumber%5D={number}&page%5Bsize%5D=250"
        world.provider.at(path, Said(200, f'{{"data":[{said}],"meta":{meta}}}'.encode()))

    numbered(1, 3, 1, 2)
    numbered(2, 4, 2, 3)
    came = await world.leg_events()
    assert (came.rows, came.pages) == (3, 2)
    assert [(orjson.loads(body)["name"]) for body in world.bodies] == ["1", "2", "3"]
    assert world.ordinals == [0, 0, 0]


@pytest.mark.parametrize("twice", [1, 2])
async def test_a_page_of_twins_of_the_one_before_lands_too(world: World, twice: int) -> None:
    world.provider.at(FIRST, page(row(1), onwards="/2"))
    world.provider.at("/2", page(row(1), onwards="/3" if twice == 2 else None))
    world.provider.at("/3", page(row(2)))
    assert (await world.events()).rows == 1 + twice
    assert world.ordinals == [0, 1, 0][: 1 + twice]


async def test_the_providers_time_is_the_date_of_the_first_page(world: World) -> None:
    first = Said(200, page(row(1), onwards="/2").body, {"Date": "Mon, 02 Mar 2026 10:00:05 GMT"})
    world.provider.at(FIRST, Said(503, b"", {"Date": "Mon, 02 Mar 2026 10:00:00 GMT"}), first)
    world.provider.at("/2", Said(200, page(row(2)).body, {"Date": "Mon, 02 Mar 2026 10:00:09 GMT"}))
    assert (await world.events()).provider_us == 1_772_445_605_000_000


@pytest.mark.parametrize("date", ["", "soon", "Mon, 99 Mar 2026 10:00:05 GMT"])
async def test_without_a_date_the_providers_time_is_unknown(world: World, date: str) -> None:
    world.provider.at(FIRST, Said(200, page(row(1)).body, {"Date": date}))
    came = await world.events()
    assert (came.outcome, came.provider_us) == ("success", None)


async def test_a_packed_page_lands_as_the_bytes_that_were_packed(world: World) -> None:
    world.provider.at(FIRST, Said(200, gzip.compress(page(row(1)).body), {"Content-Encoding": "gzip"}))
    assert (await world.events()).rows == 1
    assert world.bodies == [row(1)]


async def test_whoever_stops_reading_leaves_the_turn(world: World) -> None:
    world.provider.otherwise = silent
    reading = asyncio.create_task(world.events())
    while not world.provider.seen:
        await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert world.limiter.inside == 0
