"""The providers' own libraries read from the box: that is what proves its shape.

They block, so each conversation is held in a thread of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import pytest
import telnyx
from telnyx import Telnyx
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from stream.simulator.rest.server import serving
from stream.simulator.rest.throttle import ProviderLimit, ProviderLimits
from tests.simulator.rest.resource_fakes import (
    ACCOUNT,
    KEY,
    KEYS,
    NOW_US,
    SECRET,
    TELNYX_KEY,
    TOKEN,
    FakeResources,
    call,
    command,
    delivery,
    insight,
    leg,
    logged,
    sid,
    telnyx_event,
)

pytestmark = pytest.mark.sdk

T = TypeVar("T")


def resources() -> FakeResources:
    rows = [
        call(number, -60 * number, start_s=5 - 60 * number, end_s=50 - 60 * number) for number in range(2, 12)
    ]
    return FakeResources(
        rows=[call(0, 10), call(1, 0, end_s=20, status="busy", to="client:zoë"), *rows],
        logs={sid(2): [logged(number) for number in range(5)]},
        events={
            sid(2): [insight(number, "sdk_edge" if number % 3 else "carrier_edge") for number in range(9)]
        },
        summaries={
            sid(2): {
                "call_sid": sid(2),
                "account_sid": ACCOUNT,
                "call_state": "completed",
                "processing_state": "partial",
                "start_time": "2026-03-02T09:58:05Z",
                "duration": 50,
                "connect_duration": 45,
            }
        },
        telnyx=[
            *(telnyx_event(number, -number) for number in range(1, 30)),
            command(30, -30),
            {**telnyx_event(31, -31), "metadata": {**telnyx_event(31, -31)["metadata"], "status": "failed"}},
            telnyx_event(32, -200_000),
        ],
        deliveries=[
            delivery(number, -number, status="failed" if number == 3 else "delivered") for number in range(7)
        ],
    )


class OneHost(TwilioHttpClient):
    """Takes every request for *.twilio.com to one address."""

    def __init__(self, base: str) -> None:
        super().__init__(timeout=10)
        self._base = urlsplit(base)

    def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        parts = urlsplit(url)
        url = urlunsplit((self._base.scheme, self._base.netloc, parts.path, parts.query, ""))
        return super().request(method, url, *args, **more)


@contextmanager
def one_host(base: str, user: str = ACCOUNT, secret: str = TOKEN) -> Iterator[Client]:
    """The library as it is, with its requests taken here."""
    http = OneHost(base)
    try:
        yield Client(user, secret, account_sid=ACCOUNT, http_client=http)
    finally:
        http.session.close()


@contextmanager
def base_urls(base: str, user: str = ACCOUNT, secret: str = TOKEN) -> Iterator[Client]:
    """The library with its domains' addresses replaced: it follows links of Voice Insights as they are."""
    http = TwilioHttpClient(timeout=10)
    client = Client(user, secret, account_sid=ACCOUNT, http_client=http)
    client.api.base_url = client.insights.base_url = base
    try:
        yield client
    finally:
        http.session.close()


Opens = Callable[..., Any]
both = pytest.mark.parametrize("opens", [one_host, base_urls])


@asynccontextmanager
async def box(limits: ProviderLimits | None = None) -> AsyncIterator[str]:
    async with serving(
        resources(), KEYS, "127.0.0.1:0", limits=limits or ProviderLimits(), now_us=lambda: NOW_US
    ) as base:
        yield base


async def twilio(
    opens: Opens, talk: Callable[[Client], T], *key: str, limits: ProviderLimits | None = None
) -> T:
    """What comes of a conversation with Twilio's library."""

    def conversation(base: str) -> T:
        with opens(base, *key) as client:
            return talk(client)

    async with box(limits) as base:
        return await asyncio.to_thread(conversation, base)


async def telnyx_says(
    talk: Callable[[Telnyx], T], key: str = TELNYX_KEY, limits: ProviderLimits | None = None
) -> T:
    """What comes of a conversation with Telnyx' library."""

    def conversation(base: str) -> T:
        with Telnyx(api_key=key, base_url=f"{base}/v2", max_retries=0, timeout=10) as client:
            return talk(client)

    async with box(limits) as base:
        return await asyncio.to_thread(conversation, base)


@both
async def test_all_calls_come_page_by_page_in_order(opens: Opens) -> None:
    found = await twilio(opens, lambda client: [one.sid for one in client.calls.stream(page_size=5)])
    assert found == [sid(number) for number in range(12)]


@both
async def test_pages_lead_on_and_back(opens: Opens) -> None:
    def talk(client: Client) -> list[list[str]]:
        first = client.calls.page(page_size=5)
        second = first.next_page()
        pages = [list(first), list(second), list(second.previous_page())]
        return [[one.sid for one in page] for page in pages]

    numbers = [range(5), range(5, 10), range(5)]
    assert await twilio(opens, talk) == [[sid(number) for number in some] for some in numbers]


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({"status": "busy"}, [1]),
        ({"to": "client:zoë"}, [1]),
        ({"from_": "+15005550006", "limit": 3}, [0, 1, 2]),
        ({"start_time_after": datetime(2026, 3, 2, 9, 56, 5, tzinfo=UTC)}, [2, 3, 4]),
        ({"start_time_after": "2026-03-02T09:56:05Z", "start_time_before": "2026-03-02T09:57:30Z"}, [3, 4]),
        ({"end_time_after": "2026-03-02T09:57:50Z", "page_size": 1}, [1, 2, 3]),
        ({"end_time": "2026-03-01"}, []),
    ],
)
async def test_filters_are_understood_as_the_library_writes_them(
    filters: dict[str, Any], numbers: list[int]
) -> None:
    found = await twilio(one_host, lambda client: client.calls.list(**filters))
    assert [one.sid for one in found] == [sid(number) for number in numbers]


@both
async def test_one_call_is_fetched_with_its_times(opens: Opens) -> None:
    one = await twilio(opens, lambda client: client.calls(sid(2)).fetch())
    assert (one.sid, one.status, one.duration) == (sid(2), "completed", "45")
    assert one.start_time == datetime(2026, 3, 2, 9, 58, 5, tzinfo=UTC)


@both
async def test_the_request_log_is_read_to_its_end(opens: Opens) -> None:
    found = await twilio(opens, lambda client: client.calls(sid(2)).events.list(page_size=2))
    assert [{"request": one.request, "response": one.response} for one in found] == resources().logs[sid(2)]


@both
async def test_the_events_of_an_edge_are_read_to_their_end(opens: Opens) -> None:
    def talk(client: Client) -> list[Any]:
        return list(client.insights.v1.calls(sid(2)).events.stream(edge="sdk_edge", page_size=4))

    found = await twilio(opens, talk)
    expected = [row for row in resources().events[sid(2)] if row["edge"] == "sdk_edge"]
    assert [(one.timestamp, one.edge, one.level) for one in found] == [
        (row["timestamp"], "sdk_edge", "INFO") for row in expected
    ]


@both
async def test_a_summary_is_partial_before_it_is_complete(opens: Opens) -> None:
    def talk(client: Client) -> Any:
        summary = client.insights.v1.calls(sid(2)).summary()
        with pytest.raises(TwilioRestException) as refusal:
            summary.fetch(processing_state="complete")
        return refusal.value.status, refusal.value.code, summary.fetch(processing_state="partial")

    status, code, one = await twilio(opens, talk)
    assert (status, code) == (404, 20404)
    assert (one.call_state, one.processing_state, one.connect_duration) == ("completed", "partial", 45)
    assert one.start_time == datetime(2026, 3, 2, 9, 58, 5, tzinfo=UTC)


async def test_an_api_key_is_taken() -> None:
    found = await twilio(base_urls, lambda client: client.calls.list(limit=1), KEY, SECRET)
    assert [one.sid for one in found] == [sid(0)]


async def test_a_wrong_token_is_the_library_s_own_error() -> None:
    def talk(client: Client) -> Any:
        with pytest.raises(TwilioException, match="Unable to fetch page") as listed:
            client.calls.list()
        with pytest.raises(TwilioRestException) as fetched:
            client.calls(sid(2)).fetch()
        return listed.value.args[1].status_code, fetched.value

    status, refusal = await twilio(one_host, talk, ACCOUNT, "wrong")
    assert status == 401
    assert (refusal.status, refusal.code, refusal.msg) == (401, 20003, "Unable to fetch record: Authenticate")


async def test_a_call_that_there_is_not_is_the_library_s_own_error() -> None:
    def talk(client: Client) -> TwilioRestException:
        with pytest.raises(TwilioRestException) as fetched:
            client.calls(sid(99)).fetch()
        return fetched.value

    refusal = await twilio(one_host, talk)
    assert (refusal.status, refusal.code) == (404, 20404)


async def test_too_many_requests_are_the_library_s_own_error() -> None:
    def talk(client: Client) -> TwilioRestException:
        client.calls(sid(2)).fetch()
        with pytest.raises(TwilioRestException) as fetched:
            client.calls(sid(2)).fetch()
        return fetched.value

    refusal = await twilio(one_host, talk, limits=ProviderLimits(twilio=ProviderLimit(rate=0.01)))
    assert (refusal.status, refusal.code) == (429, 20429)


async def test_the_log_is_read_page_by_page_in_order() -> None:
    found = await telnyx_says(lambda client: list(client.call_events.list(page_size=10)))
    assert [one.to_dict() for one in found] == resources().telnyx[:-1]


@pytest.mark.parametrize(
    ("filters", "legs"),
    [
        ({"leg_id": leg(7)}, [7]),
        ({"leg_id": leg(32)}, [32]),
        ({"application_session_id": "session-4"}, [8, 9]),
        ({"type": "command"}, [30]),
        ({"failed": True}, [31]),
        ({"name": "dial"}, [30]),
        ({"occurred_at": {"gte": "2026-03-02T09:59:58Z"}}, [1, 2]),
        ({"occurred_at": {"lt": "2026-03-02T09:59:30Z"}, "product": "call_control", "type": "webhook"}, [31]),
        ({"from": "+15005550006", "occurred_at": {"gt": "2026-03-02T09:59:58Z"}}, [1]),
        ({"outbound_outbound_voice_profile_id": "9"}, []),
    ],
)
async def test_the_log_s_filters_are_understood_as_the_library_writes_them(
    filters: Any, legs: list[int]
) -> None:
    found = await telnyx_says(lambda client: list(client.call_events.list(filter=filters, page_size=2)))
    assert [one.call_leg_id for one in found] == [leg(number) for number in legs]


async def test_the_pages_tell_how_many_there_are() -> None:
    def talk(client: Telnyx) -> Any:
        page = client.call_events.list(page_number=4, page_size=10)
        return len(page.data), page.meta, page.has_next_page()

    count, meta, more = await telnyx_says(talk)
    assert (count, meta.page_number, meta.total_pages, more) == (1, 4, 4, False)


async def test_deliveries_are_read_with_their_filters() -> None:
    def talk(client: Telnyx) -> Any:
        everything = list(client.webhook_deliveries.list(page_size=3))
        since = {"started_at": {"gte": "2026-03-02T09:59:57Z"}, "event_type": "call.hangup,call.answered"}
        failed = list(client.webhook_deliveries.list(filter={"status": {"eq": "failed"}, **since}))
        return [one.id for one in everything], failed

    everything, (failed,) = await telnyx_says(talk)
    assert everything == [f"delivery-{number}" for number in range(7)]
    assert (failed.id, failed.status, failed.webhook.event_type) == ("delivery-3", "failed", "call.hangup")
    assert failed.started_at == datetime(2026, 3, 2, 9, 59, 57, tzinfo=UTC)
    assert failed.attempts[0].http.response.status == 204


async def test_a_wrong_key_is_telnyx_library_s_own_error() -> None:
    def talk(client: Telnyx) -> Any:
        with pytest.raises(telnyx.AuthenticationError) as refusal:
            client.call_events.list()
        return refusal.value

    refusal = await telnyx_says(talk, key="wrong")
    assert (refusal.status_code, refusal.body["errors"][0]["code"]) == (401, "10009")


async def test_two_operators_are_telnyx_library_s_own_error() -> None:
    def talk(client: Telnyx) -> Any:
        between = {"gte": "2026-03-02T09:59:57Z", "lt": "2026-03-02T09:59:58Z"}
        with pytest.raises(telnyx.BadRequestError) as refusal:
            client.call_events.list(filter={"occurred_at": between})
        return refusal.value

    refusal = await telnyx_says(talk)
    assert refusal.body["errors"][0]["source"] == {"parameter": "filter[occurred_at]"}


async def test_too_many_requests_are_telnyx_library_s_own_error() -> None:
    def talk(client: Telnyx) -> Any:
        client.call_events.list()
        with pytest.raises(telnyx.RateLimitError) as refusal:
            client.call_events.list()
        return refusal.value.response.headers

    headers = await telnyx_says(talk, limits=ProviderLimits(telnyx=ProviderLimit(rate=0.01)))
    assert (headers["Retry-After"], headers["x-ratelimit-remaining"]) == ("100", "0")
