"""One GET on a real socket: its headers, its response, its limits, and where credentials are never sent."""

from __future__ import annotations

import asyncio
import gzip
import time
import traceback
import zlib
from collections.abc import AsyncIterator
from importlib.metadata import version

import pytest
from aiohttp import web

from stream.poller.pages.client import InsecureUrlError, NoResponse, PageClient, PageResponse, check_url
from stream.service.http.client import retry_after_s
from tests.poller.accounts import ACCOUNT_SID, KEY, SECRETS, telnyx, twilio
from tests.poller.fake_provider import FakeProvider, Reply, endless, fake_provider, hung_up, silent

NOW_S = 1_772_445_600.0  # Mon, 02 Mar 2026 10:00:00 GMT


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as provider:
        yield provider


def client(**bounds: float) -> PageClient:
    return PageClient(now_s=lambda: NOW_S, **bounds)  # type: ignore[arg-type]


async def got(provider: FakeProvider, path: str = "/x", **bounds: float) -> PageResponse:
    async with client(**bounds) as asking:
        return await asking.get(twilio(provider.url, ""), provider.url + path)


async def unanswered(provider: FakeProvider, path: str = "/x", **bounds: float) -> NoResponse:
    with pytest.raises(NoResponse) as raised:
        await got(provider, path, **bounds)
    error = raised.value
    text = repr(error) + str(error) + "".join(traceback.format_exception(error))
    assert not [secret for secret in (*SECRETS, "PageToken", "Authorization") if secret in text]
    assert (error.__cause__, error.__context__) == (None, None)
    return error


async def test_a_page_is_requested_at_its_exact_url_with_the_accounts_credentials(
    provider: FakeProvider,
) -> None:
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json?EndTime%3E=2026-03-02T10%3A00%3A00Z&a[b]=%7E"
    provider.at(path, Reply(200, b'{"calls":[]}'))
    answer = await got(provider, path)
    assert answer._replace(date_s=None) == PageResponse(200, None, b'{"calls":[]}')
    assert provider.seen == [(path, twilio().authorization)]
    sent = provider.headers[0]
    assert {name: sent[name] for name in ("Accept", "Accept-Encoding", "User-Agent")} == {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": f"callstream/{version('callstream')}",
    }


async def test_telnyx_requests_have_its_key(provider: FakeProvider) -> None:
    async with client() as asking:
        await asking.get(telnyx(f"{provider.url}/v2"), f"{provider.url}/v2/call_events")
    assert provider.seen == [("/v2/call_events", f"Bearer {KEY}")]


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
async def test_a_compressed_page_is_decompressed(provider: FakeProvider, encoding: str, pack: object) -> None:
    body = b'{"events":[' + b"1," * 200_000 + b"1]}"
    provider.otherwise = Reply(200, pack(body), {"Content-Encoding": encoding})  # type: ignore[operator]
    assert (await got(provider)).body == body


async def test_a_page_is_bounded_compressed_or_not(provider: FakeProvider) -> None:
    provider.at("/fits", Reply(200, b"x" * 100_000))
    provider.at("/plain", Reply(200, b"x" * 100_001))
    provider.at("/bomb", Reply(200, gzip.compress(b"\0" * (8 << 20)), {"Content-Encoding": "gzip"}))
    provider.at("/endless", endless)
    assert len((await got(provider, "/fits", max_page_bytes=100_000)).body) == 100_000
    for path in ("/plain", "/bomb", "/endless"):
        error = await unanswered(provider, path, max_page_bytes=100_000)
        assert (error.kind, error.detail, len(error.beginning)) == (
            "too_large",
            "more than 100000 bytes",
            100_000,
        )


async def test_a_page_that_does_not_end_in_time_is_a_network_error(provider: FakeProvider) -> None:
    provider.otherwise = silent
    error = await unanswered(provider, timeout_s=0.1)
    assert (error.kind, error.detail, error.beginning) == (
        "network_error",
        "no whole response within 0.1 s",
        b"",
    )


async def test_a_closed_connection_and_an_unreachable_host_are_network_errors(provider: FakeProvider) -> None:
    provider.otherwise = hung_up
    assert (await unanswered(provider, "/x?PageToken=PA1")).kind == "network_error"
    assert provider.paths == ["/x?PageToken=PA1"], "aiohttp does not retry it"
    provider.port = 1
    assert (await unanswered(provider, "/x?PageToken=PA1")).detail == "ClientConnectorError"


async def test_a_truncated_page_is_a_network_error(provider: FakeProvider) -> None:
    async def cut_off(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b'{"events":[]}')
        assert request.transport is not None
        request.transport.close()
        return answer

    provider.at("/plain", cut_off)
    half = gzip.compress(b'{"events":[]}' * 100)[:-9]
    provider.at("/packed", Reply(200, half, {"Content-Encoding": "gzip"}))
    assert (await unanswered(provider, "/plain")).kind == "network_error"
    assert (await unanswered(provider, "/packed")).detail == "the compressed response is truncated"


@pytest.mark.parametrize("status", [204, 206, 301, 302, 307, 308, 400, 401, 403, 404, 429, 500, 503])
async def test_every_status_is_a_response_and_no_redirect_is_followed(
    provider: FakeProvider, status: int
) -> None:
    async with fake_provider() as other:
        provider.otherwise = Reply(status, b"", {"Location": f"{other.url}/stolen", "Set-Cookie": "a=b"})
        async with client() as asking:
            for _ in range(2):
                answer = await asking.get(twilio(provider.url, ""), f"{provider.url}/x")
                assert (answer.status, answer.body) == (status, b"")
        assert (provider.paths, other.seen) == (["/x", "/x"], [])
        assert not [sent for sent in provider.headers if "Cookie" in sent]


async def test_an_error_status_counts_even_if_its_body_never_ends(provider: FakeProvider) -> None:
    async def refusal(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=503, headers={"Retry-After": "7"})
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"<html>" * 10_000)
        except ConnectionError:
            return answer

    provider.otherwise = refusal
    async with asyncio.timeout(5):
        answer = await got(provider)
    assert answer._replace(date_s=None) == PageResponse(503, 7.0, b"")


async def test_a_proxy_of_the_environment_is_not_used(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fake_provider() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await got(provider)
        assert (len(provider.seen), proxy.seen) == (1, [])


RETRY_AFTER = [
    ("0", 0.0),
    (" 7 ", 7.0),
    ("1.5", 1.5),
    ("86400", 86_400.0),
    ("Mon, 02 Mar 2026 10:00:30 GMT", 30.0),
    ("Mon, 02 Mar 2026 09:00:00 GMT", 0.0),
    ("-1", None),
    ("1e9", None),
    ("9999999999", None),
    ("soon", None),
    ("", None),
    ("Mon, 99 Mar 2026 10:00:30 GMT", None),
]


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER)
def test_how_long_to_wait_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after_s(value, None, NOW_S) == seconds


def test_a_date_is_measured_by_the_providers_own_clock() -> None:
    assert retry_after_s("Mon, 02 Mar 2026 10:00:30 GMT", "Mon, 02 Mar 2026 10:00:10 GMT", NOW_S + 999) == 20
    assert retry_after_s("Mon, 02 Mar 2026 10:00:30 GMT", "rubbish", NOW_S) == 30


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_a_date_without_a_zone_is_utc_wherever_we_are(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as here:
        here.setenv("TZ", zone)
        time.tzset()
        for value in ("Mon Mar  2 10:00:30 2026", "Mon, 02 Mar 2026 10:00:30 -0000"):
            assert retry_after_s(value, "Mon, 02 Mar 2026 10:00:10 GMT", NOW_S) == 20
    time.tzset()


async def test_only_telnyx_has_a_header_of_its_own_for_it_and_only_when_it_throttles(
    provider: FakeProvider,
) -> None:
    async def retry_after(account: object, status: int, **headers: str) -> float | None:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        provider.otherwise = Reply(status, b"", named)
        async with client() as asking:
            return (await asking.get(account, f"{provider.url}/x")).retry_after_s  # type: ignore[arg-type]

    ours, theirs = telnyx(provider.url), twilio(provider.url, "")
    assert await retry_after(ours, 429, x_ratelimit_reset="12") == 12
    assert await retry_after(ours, 429, x_ratelimit_reset="12", Retry_After="3") == 3
    assert await retry_after(ours, 200, x_ratelimit_reset="12") is None
    assert await retry_after(theirs, 429, x_ratelimit_reset="12") is None
    assert await retry_after(theirs, 503, Retry_After="Mon, 02 Mar 2126 10:00:30 GMT") is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "http://api.twilio.com/x",
        "https://api.twilio.com:444/x",
        "https://api.twilio.com@evil.example/x",
        "https://u:p@api.twilio.com/x",
        "/x",
    ],
)
async def test_a_url_outside_the_accounts_base_urls_is_a_bug(url: str) -> None:
    async with client() as asking:
        with pytest.raises(ValueError):
            await asking.get(twilio(), url)


def test_all_base_urls_belong_to_the_account() -> None:
    check_url(twilio(), "https://insights.twilio.com/v1/x")
    check_url(twilio(), "https://monitor.twilio.com/v1/x")
    check_url(twilio(), "https://API.twilio.com:443/v1/x")
    check_url(telnyx(), "https://api.telnyx.com/v2/x")
    with pytest.raises(ValueError):
        check_url(telnyx(), "https://insights.twilio.com/v1/x")


@pytest.mark.parametrize(
    ("url", "is_fine"),
    [
        ("http://127.0.0.1:8083", True),
        ("http://127.9.9.9", True),
        ("http://localhost", True),
        ("http://[::1]:8083", True),
        ("https://10.0.0.1", True),
        ("http://10.0.0.1", False),
        ("http://api.twilio.com", False),
        ("http://localhost.evil.example", False),
        ("http://0.0.0.0", False),
        ("http://127.0.0.1.evil.example", False),
    ],
)
def test_credentials_do_not_go_over_the_network_in_clear(url: str, is_fine: bool) -> None:
    text = "fine"
    try:
        check_url(twilio(url), f"{url}/x?PageToken=1")
    except InsecureUrlError as error:
        text = str(error)
    assert text.startswith("fine" if is_fine else "twilio/main: ")
    assert not [secret for secret in (*SECRETS, "PageToken", ACCOUNT_SID) if secret in text]


async def test_a_cancelled_request_stops_at_once(provider: FakeProvider) -> None:
    provider.otherwise = silent
    asking = asyncio.create_task(got(provider))
    while not provider.seen:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
