"""Resources are read page by page from a provider on a real socket, and written unchanged."""

from __future__ import annotations

import asyncio
import gzip
import random
import threading
from collections import defaultdict
from typing import Any

import orjson
import pytest

from stream.poller.pages import client, paging, records
from stream.poller.pages.paged_read import THREAD_BYTES, WINDOW_LIMITS, ReadResult
from stream.poller.pages.records import PageRecords
from stream.poller.resources import RESOURCES
from tests.poller.accounts import ACCOUNT_SID, CALL_SID, LEG, telnyx, twilio
from tests.poller.fake_provider import RecordingWriter, Reply, silent
from tests.poller.pages.read_fixture import EVENTS, FIRST, ReadSetup, page, row

CALLS = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"


async def test_a_resource_is_read_page_by_page_each_written_before_the_next_request(setup: ReadSetup) -> None:
    requests_when_written = []

    class Counting(RecordingWriter):
        async def write(self, page: PageRecords) -> None:
            await super().write(page)
            requests_when_written.append(len(setup.provider.seen))

    setup.writer = Counting()
    setup.provider.at(FIRST, page(row(1), row(2), onwards=f"{EVENTS}?Page=1&PageToken=PA%2F1"))
    setup.provider.at(
        f"{EVENTS}?Page=1&PageToken=PA%2F1", page(row(1), onwards=f"{setup.provider.url}{EVENTS}?Page=2")
    )
    setup.provider.at(f"{EVENTS}?Page=2", page(row(3)))
    came = await setup.events()
    assert came == ReadResult("success", 4, False, came.content, 3, provider_us=came.provider_us, received=4)
    assert came.content is not None
    assert setup.bodies == [row(1), row(2), row(1), row(3)]
    assert setup.ordinals == [0, 0, 1, 0]
    assert {one.key for one in setup.writer.rows} == {f"twilio:{CALL_SID}".encode()}
    assert {orjson.loads(one.value)["endpoint"] for one in setup.writer.rows} == {EVENTS}
    assert requests_when_written == [1, 2, 3]
    assert setup.metrics.requests == [("twilio_call_event", "success")] * 3
    assert setup.limiter.answers == [("terminal", "twilio_call_event", "success", None)] * 3


async def test_a_page_that_has_what_the_last_read_had_is_not_written_again(setup: ReadSetup) -> None:
    setup.provider.at(FIRST, page(row(1), row(2)))
    before = await setup.events()
    setup.known = before.content
    setup.provider.at(FIRST, page(row(2), row(1)))
    again = await setup.events()
    assert again == before._replace(rows=0, provider_us=again.provider_us)
    assert setup.bodies == [row(1), row(2)]
    setup.provider.at(FIRST, page(row(1), row(2), row(3)))
    assert ((await setup.events()).rows, setup.bodies[2:]) == (3, [row(1), row(2), row(3)])


async def test_of_several_pages_all_are_written_again(setup: ReadSetup) -> None:
    """A page is written before the next one is requested."""
    setup.provider.at(FIRST, page(row(1), onwards=f"{EVENTS}?Page=2"))
    setup.provider.at(f"{EVENTS}?Page=2", page(row(2)))
    setup.known = (await setup.events()).content
    assert ((await setup.events()).rows, setup.bodies) == (2, [row(1), row(2)] * 2)
    setup.provider.at(f"{EVENTS}?Page=2", page())
    setup.provider.at(FIRST, page(row(1), row(2), onwards=f"{EVENTS}?Page=2"))
    assert (await setup.events()).rows == 2


async def test_rows_that_are_not_about_a_call_are_counted_and_not_written(setup: ReadSetup) -> None:
    account = telnyx(f"{setup.provider.url}/v2")
    about_a_call = b'{"id":"d1","webhook":{"event_type":"call.hangup","payload":{"call_leg_id":"c3"}}}'
    a_message = b'{"id":"d2","webhook":{"event_type":"message.received","payload":{"text":"hello"}}}'
    setup.provider.otherwise = Reply(200, b'{"data":[' + about_a_call + b"," + a_message + b"]}")
    resource = RESOURCES["telnyx_webhook_delivery"]
    came = await setup.read(resource, account, f"{account.api_url}/webhook_deliveries", WINDOW_LIMITS)
    assert (came.outcome, setup.bodies, setup.writer.dead_letters) == ("success", [about_a_call], [])
    assert setup.metrics.left_outs == [("telnyx_webhook_delivery", 1)]


async def test_two_reads_of_the_same_rows_are_equal_and_another_row_makes_them_differ(
    setup: ReadSetup,
) -> None:
    setup.provider.at(FIRST, page(row(1)), page(row(1)), page(row(1), row(2)))
    first, second, third = [await setup.events() for _ in range(3)]
    assert first == second
    assert first.content != third.content


async def test_an_empty_page_is_an_answer(setup: ReadSetup) -> None:
    setup.provider.at(FIRST, page())
    came = await setup.events()
    assert came == ReadResult("empty", 0, False, came.content, 1, provider_us=came.provider_us)
    assert came.content is not None
    assert setup.metrics.requests == [("twilio_call_event", "empty")]


@pytest.mark.parametrize(("price", "complete"), [(b'"-0.0140"', True), (b"null", False)])
async def test_the_row_of_a_call_shows_whether_it_is_complete(
    setup: ReadSetup, price: bytes, complete: bool
) -> None:
    body = b'{"sid":"%s","status":"completed","duration":"49","price":%s}' % (CALL_SID.encode(), price)
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{CALL_SID}.json"
    setup.provider.at(path, Reply(200, body))
    account = twilio(setup.provider.url)
    came = await setup.read(RESOURCES["twilio_call"], account, setup.provider.url + path)
    assert (came.outcome, came.rows, came.complete) == ("success", 1, complete)
    assert setup.bodies == [body]


@pytest.mark.parametrize(
    ("statuses", "complete"),
    [("ringing | busy", False), ("busy ringing | busy", False), ("busy busy | busy", True)],
)
async def test_a_read_is_complete_only_if_each_of_its_rows_is(
    setup: ReadSetup, statuses: str, complete: bool
) -> None:
    first, second = (
        b",".join(b'{"sid":"%s","status":"%s"}' % (CALL_SID.encode(), one.encode()) for one in page.split())
        for page in statuses.split("|")
    )
    setup.provider.at(f"{CALLS}?Page=0", Reply(200, b'{"calls":[%s],"next_page_uri":"?Page=1"}' % first))
    setup.provider.at(f"{CALLS}?Page=1", Reply(200, b'{"calls":[%s]}' % second))
    account = twilio(setup.provider.url)
    came = await setup.read(RESOURCES["twilio_call"], account, f"{setup.provider.url}{CALLS}?Page=0")
    assert (came.outcome, came.pages, came.complete) == ("success", 2, complete)


async def test_insights_are_read_over_their_absolute_links(setup: ReadSetup) -> None:
    base = f"{setup.provider.url}/insights"
    path = f"/insights/v1/Voice/{CALL_SID}/Events"
    event = b'{"timestamp":"2026-03-02T10:00:00Z","edge":null,"name":"ringing"}'
    for at, onwards in (("?Edge=sdk_edge&PageSize=1000", f"{base}/v1/next?Page=1"), (None, None)):
        body = b'{"meta":{"key":"events","next_page_url":%s},"events":[%s]}' % (orjson.dumps(onwards), event)
        setup.provider.at(path + at if at else "/insights/v1/next?Page=1", Reply(200, body))
    account = twilio(setup.provider.url, base)
    url = RESOURCES["twilio_insights_event"].url_of_call(account, CALL_SID, "sdk_edge")
    came = await setup.read(RESOURCES["twilio_insights_event"], account, url)
    assert (came.outcome, came.rows, setup.ordinals) == ("success", 2, [0, 1])
    assert {one.key for one in setup.writer.rows} == {f"twilio:{CALL_SID}".encode()}


async def test_rows_that_move_between_pages_are_written_once(setup: ReadSetup) -> None:
    def numbered(number: int, total: int, *rows: int) -> None:
        rows_json = ",".join(f'{{"call_leg_id":"{LEG}","name":"{one}"}}' for one in rows)
        meta = f'{{"page_number":{number},"total_pages":2,"total_results":{total}}}'
        path = f"/v2/call_events?filter%5Bleg_id%5D={LEG}&page%5Bnumber%5D={number}&page%5Bsize%5D=250"
        setup.provider.at(path, Reply(200, f'{{"data":[{rows_json}],"meta":{meta}}}'.encode()))

    numbered(1, 3, 1, 2)
    numbered(2, 4, 2, 3)
    came = await setup.leg_events()
    assert (came.rows, came.pages) == (3, 2)
    assert [(orjson.loads(body)["name"]) for body in setup.bodies] == ["1", "2", "3"]
    assert setup.ordinals == [0, 0, 0]


@pytest.mark.parametrize("twice", [1, 2])
async def test_a_page_with_the_same_rows_as_the_one_before_is_written_too(
    setup: ReadSetup, twice: int
) -> None:
    setup.provider.at(FIRST, page(row(1), onwards="/2"))
    setup.provider.at("/2", page(row(1), onwards="/3" if twice == 2 else None))
    setup.provider.at("/3", page(row(2)))
    assert (await setup.events()).rows == 1 + twice
    assert setup.ordinals == [0, 1, 0][: 1 + twice]


async def test_the_providers_time_is_the_date_of_the_first_page(setup: ReadSetup) -> None:
    first = Reply(200, page(row(1), onwards="/2").body, {"Date": "Mon, 02 Mar 2026 10:00:05 GMT"})
    setup.provider.at(FIRST, Reply(503, b"", {"Date": "Mon, 02 Mar 2026 10:00:00 GMT"}), first)
    setup.provider.at("/2", Reply(200, page(row(2)).body, {"Date": "Mon, 02 Mar 2026 10:00:09 GMT"}))
    assert (await setup.events()).provider_us == 1_772_445_605_000_000


@pytest.mark.parametrize("date", ["", "soon", "Mon, 99 Mar 2026 10:00:05 GMT"])
async def test_without_a_date_the_providers_time_is_unknown(setup: ReadSetup, date: str) -> None:
    setup.provider.at(FIRST, Reply(200, page(row(1)).body, {"Date": date}))
    came = await setup.events()
    assert (came.outcome, came.provider_us) == ("success", None)


async def test_a_compressed_page_is_written_decompressed(setup: ReadSetup) -> None:
    setup.provider.at(FIRST, Reply(200, gzip.compress(page(row(1)).body), {"Content-Encoding": "gzip"}))
    assert (await setup.events()).rows == 1
    assert setup.bodies == [row(1)]


async def test_a_cancelled_read_releases_its_permit(setup: ReadSetup) -> None:
    setup.provider.otherwise = silent
    reading = asyncio.create_task(setup.events())
    while not setup.provider.seen:
        await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert setup.limiter.inside == 0


# -- large pages are processed in a thread, so that heartbeats do not wait for them

STEPS = ((records.RecordBuilder, "page"), (paging.PageTrail, "count_repeated"), (client.Decompressor, "feed"))


@pytest.fixture
def in_thread(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[bool]]:
    """For each processing step of a page, whether it ran in a thread."""
    seen: dict[str, set[bool]] = defaultdict(set)

    def watch(kind: Any, name: str) -> None:
        step = getattr(kind, name)

        def recorded(*arguments: Any, **named: Any) -> Any:
            seen[name].add(threading.current_thread() is not threading.main_thread())
            return step(*arguments, **named)

        monkeypatch.setattr(kind, name, recorded)

    for kind, name in STEPS:
        watch(kind, name)
    return seen


def rows(size: int) -> list[bytes]:
    """Rows of about `size` bytes in all, which do not compress well."""
    chance = random.Random(1)
    return [
        row(n)[:-1] + b',"padding":"%s"}' % chance.randbytes(500).hex().encode() for n in range(size // 1000)
    ]


def packed(*found: bytes) -> Reply:
    reply = page(*found)
    return Reply(200, gzip.compress(reply.body), {"Content-Encoding": "gzip"})


async def test_a_large_page_is_processed_outside_the_event_loop(
    setup: ReadSetup, in_thread: dict[str, set[bool]]
) -> None:
    found = rows(2 * THREAD_BYTES)
    setup.provider.at(FIRST, packed(*found))
    came = await setup.events()
    assert (came.outcome, came.rows, setup.bodies) == ("success", len(found), found)
    assert in_thread["page"] == in_thread["count_repeated"] == {True}
    assert True in in_thread["feed"]


async def test_a_small_page_is_processed_in_the_event_loop(
    setup: ReadSetup, in_thread: dict[str, set[bool]]
) -> None:
    setup.provider.at(FIRST, packed(row(1), row(2)))
    assert (await setup.events()).rows == 2
    assert in_thread == {"page": {False}, "count_repeated": {False}, "feed": {False}}
