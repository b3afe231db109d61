"""The resources on a real socket: what only HTTP has."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse, ClientSession
from yarl import URL

from stream.service.http.listening import ListenError
from stream.simulator.rest.server import serving
from stream.simulator.rest.throttle import ProviderLimit, ProviderLimits, RequestStats
from tests.simulator.rest.resource_fakes import (
    BEARER,
    CALLS,
    KEYS,
    NOW_US,
    FakeResources,
    Row,
    basic,
    call,
    insight,
    sid,
    telnyx_event,
)

LISTEN = "127.0.0.1:0"


async def said(answer: ClientResponse) -> Any:
    """The body, whether it came compressed or not."""
    body = await answer.read()
    return orjson.loads(gzip.decompress(body) if "Content-Encoding" in answer.headers else body)


class Reader:
    """Who asks: all paths with the right key, unless another is given."""

    def __init__(self, client: ClientSession, base: str, seen: RequestStats) -> None:
        self.client = client
        self.base = base
        self.seen = seen

    async def get(self, target: str, method: str = "GET", **headers: str) -> ClientResponse:
        usual = {"Authorization": BEARER if target.startswith("/v2/") else basic()}
        url = URL(self.base + target, encoded=True)
        answer = await self.client.request(method, url, headers=usual | headers)
        await answer.read()
        return answer


@asynccontextmanager
async def box(resources: FakeResources, limits: ProviderLimits | None = None) -> AsyncIterator[Reader]:
    seen = RequestStats()
    async with (
        serving(
            resources, KEYS, LISTEN, limits=limits or ProviderLimits(), now_us=lambda: NOW_US, stats=seen
        ) as base,
        ClientSession(auto_decompress=False) as client,
    ):
        yield Reader(client, base, seen)


def some() -> FakeResources:
    return FakeResources(
        rows=[call(number, -number) for number in range(30)],
        events={sid(1): [insight(number) for number in range(3)]},
        telnyx=[telnyx_event(number, -number) for number in range(30)],
    )


async def test_both_providers_are_served_on_one_address() -> None:
    resources = some()
    async with box(resources) as reader:
        twilio = await reader.get(f"{CALLS}/{sid(1)}.json")
        assert (twilio.status, twilio.headers["Content-Type"]) == (200, "application/json")
        assert (await said(twilio)) == resources.rows[1]
        telnyx = await reader.get("/v2/call_events?page[size]=2")
        assert (await said(telnyx))["data"] == resources.telnyx[:2]
        assert "Server" not in telnyx.headers
        assert "x-ratelimit-limit" not in telnyx.headers


async def test_a_client_that_takes_gzip_gets_it_and_no_other() -> None:
    async with box(some()) as reader:
        plain = await reader.get(f"{CALLS}.json", **{"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        packed = await reader.get(f"{CALLS}.json", **{"Accept-Encoding": "br, gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await packed.read()) == await plain.read()
        small = await reader.get(f"{CALLS}/{sid(99)}.json", **{"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in small.headers


async def test_a_large_page_is_the_same_compressed() -> None:
    resources = FakeResources(rows=[call(number, -number) for number in range(1000)])
    async with box(resources) as reader:
        packed = await reader.get(f"{CALLS}.json?PageSize=1000", **{"Accept-Encoding": "gzip"})
        assert orjson.loads(gzip.decompress(await packed.read()))["calls"] == resources.rows


async def test_absolute_links_lead_where_the_client_came() -> None:
    async with box(some()) as reader:
        url = f"/v1/Voice/{sid(1)}/Events?PageSize=2"
        meta = (await said(await reader.get(url)))["meta"]
        assert meta["next_page_url"].startswith(f"{reader.base}/v1/Voice/{sid(1)}/Events?PageSize=2&Page=1&")
        named = await reader.get(url, Host="insights.example.test")
        meta = (await said(named))["meta"]
        assert meta["url"].startswith("http://insights.example.test/v1/Voice/")


async def test_a_link_is_followed_as_it_is_written() -> None:
    resources = some()
    async with box(resources) as reader:
        met: list[Row] = []
        target = f"{CALLS}.json?PageSize=7&StartTime%3C=&To=%2B15005550009"
        while target:
            body = await said(await reader.get(target))
            met += body["calls"]
            target = body["next_page_uri"]
        assert met == resources.rows
        assert reader.seen.requests == {("twilio", "calls"): 5}


async def test_small_pages_lead_to_every_row_whatever_size_was_requested() -> None:
    resources, limit = some(), ProviderLimit(page_rows=7)
    async with box(resources, ProviderLimits(twilio=limit, telnyx=limit)) as reader:
        pages: list[list[Row]] = []
        target = f"{CALLS}.json?PageSize=1000"
        while target:
            body = await said(await reader.get(target))
            pages.append(body["calls"])
            target = body["next_page_uri"]
        assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
        assert list(chain(*pages)) == resources.rows
        assert len((await said(await reader.get(f"{CALLS}.json?PageSize=3")))["calls"]) == 3
        body = await said(await reader.get("/v2/call_events?page[size]=250&page[number]=5"))
        assert body["data"] == resources.telnyx[28:]
        assert body["meta"] == {"total_pages": 5, "total_results": 30, "page_number": 5, "page_size": 7}
        for refused in ("x", "1001"):
            assert (await reader.get(f"{CALLS}.json?PageSize={refused}")).status == 400


@pytest.mark.parametrize(
    ("target", "method", "status", "code"),
    [
        ("/2010-04-01/Accounts/AC1/Messages.json", "GET", 404, 20404),
        (f"{CALLS}/{sid(1)}/Recordings.json", "GET", 404, 20404),
        (f"{CALLS}.json", "POST", 405, 20004),
        (f"{CALLS}.json", "HEAD", 405, None),
        ("/", "GET", 404, 20404),
        ("/v2/calls", "GET", 404, "10005"),
        ("/v2/call_events", "POST", 405, "10015"),
    ],
)
async def test_what_there_is_not_is_said_in_the_provider_s_words(
    target: str, method: str, status: int, code: Any
) -> None:
    async with box(some()) as reader:
        answer = await reader.get(target, method)
        body = await answer.read()
        assert answer.status == status
        said = orjson.loads(body) if body else {"code": None}
        assert (said["errors"][0] if "errors" in said else said)["code"] == code


async def test_above_the_rate_one_is_told_when_to_come_again() -> None:
    limits = ProviderLimits(twilio=ProviderLimit(rate=0.01), telnyx=ProviderLimit(rate=0.01))
    async with box(some(), limits) as reader:
        assert (await reader.get(f"{CALLS}.json")).status == 200
        refused = await reader.get(f"/v1/Voice/{sid(1)}/Events")
        assert (refused.status, refused.headers["Retry-After"]) == (429, "100")
        assert (await said(refused))["code"] == 20429
        told = await reader.get("/v2/call_events")
        assert (told.status, told.headers["x-ratelimit-remaining"]) == (200, "0")
        refused = await reader.get("/v2/webhook_deliveries")
        assert (refused.status, refused.headers["Retry-After"]) == (429, "100")
        assert refused.headers["x-ratelimit-reset"] == "100"
        assert (await said(refused))["errors"][0]["code"] == "10011"
        assert reader.seen.refused == {"twilio": 1, "telnyx": 1}


async def test_more_at_once_than_may_be_are_refused_and_seen() -> None:
    limits = ProviderLimits(twilio=ProviderLimit(in_flight=2, latency_s=0.25))
    async with box(some(), limits) as reader:
        answers = await asyncio.gather(*(reader.get(f"{CALLS}.json") for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [200, 200, 429, 429, 429]
        assert reader.seen.most_in_flight["twilio"] == 3
        assert (await reader.get("/v2/call_events")).status == 200
        answers = await asyncio.gather(*(reader.get(f"{CALLS}.json") for _ in range(2)))
        assert [answer.status for answer in answers] == [200, 200]


async def test_a_wanted_failure_is_the_provider_s_500() -> None:
    limits = ProviderLimits(twilio=ProviderLimit(error_rate=1), telnyx=ProviderLimit(error_rate=1))
    async with box(some(), limits) as reader:
        twilio, telnyx = await reader.get(f"{CALLS}.json"), await reader.get("/v2/call_events")
        assert (twilio.status, (await said(twilio))["code"]) == (500, 20500)
        assert (telnyx.status, (await said(telnyx))["errors"][0]["code"]) == (500, "10007")


async def test_a_failure_of_our_own_is_a_500_and_tells_nobody_s_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(FakeResources):
        def call(self, sid: str, now_us: int) -> Row | None:
            raise KeyError("+15005550006")

    async with box(Broken(rows=some().rows)) as reader:
        with caplog.at_level(logging.INFO):
            assert (await reader.get(f"{CALLS}/{sid(1)}.json")).status == 500
            assert (await reader.get(f"{CALLS}.json")).status == 200
    assert "call failed: KeyError in " in caplog.text
    assert "+1500" not in caplog.text


async def test_what_came_is_kept_with_the_call_that_it_was_about() -> None:
    async with box(some()) as reader:
        await reader.get(f"{CALLS}/{sid(1)}.json")
        await reader.get(f"{CALLS}/{sid(77)}/Events.json")
        await reader.get("/v2/call_events?filter[leg_id]=leg-1")
        await reader.get("/v2/call_events", Authorization="Bearer wrong")
        assert [tuple(one[1:]) for one in reader.seen.latest] == [
            ("twilio", "call", sid(1), 200),
            ("twilio", "request_log", sid(77), 404),
            ("telnyx", "call_events", "leg-1", 200),
            ("telnyx", "call_events", "", 401),
        ]


async def test_a_wrong_address_names_the_setting() -> None:
    with pytest.raises(ListenError, match="CALLSTREAM_SIMULATE_LISTEN"):
        async with serving(some(), KEYS, "nowhere"):
            raise AssertionError("it serves")


async def test_the_shelf_is_asked_for_the_present_unless_another_time_is_given() -> None:
    asked_at: list[int] = []

    class Timed(FakeResources):
        def webhook_deliveries(self, now_us: int) -> list[Row]:
            asked_at.append(now_us)
            return []

    async with serving(Timed(), KEYS, LISTEN) as base, ClientSession() as client:
        await client.get(f"{base}/v2/webhook_deliveries", headers={"Authorization": BEARER})
    assert asked_at[0] > NOW_US
