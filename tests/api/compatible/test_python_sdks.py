"""Twilio's and Telnyx' Python SDKs read from callstream what they read from the simulated providers.

What is tried is in `python_queries`. The SDKs block, or have their own event loop; the servers have another.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import telnyx
from telnyx import AsyncTelnyx, Telnyx
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tests.api.compatible import python_queries as queries
from tests.api.compatible.sdk_servers import SdkServers, sdk_servers
from tests.simulator.rest.resource_fakes import TELNYX_KEY, TOKEN
from tests.tree import ROOT

pytestmark = [
    pytest.mark.sdk,
    # Of aiohttp, to Twilio's asynchronous client.
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning"),
]


AnyTelnyx = TypeVar("AnyTelnyx", Telnyx, AsyncTelnyx)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkServers]:
    with sdk_servers(tmp_path_factory.mktemp("archive")) as found:
        yield found


@contextmanager
def twilio(base: str, user: str, token: str = TOKEN) -> Iterator[Client]:
    http = TwilioHttpClient(timeout=10)
    client = Client(user, token, http_client=http)
    client.api.base_url = client.insights.base_url = base
    try:
        yield client
    finally:
        http.session.close()


@asynccontextmanager
async def twilio_async(base: str, user: str) -> AsyncIterator[Client]:
    async with AsyncTwilioHttpClient(timeout=10) as http:
        client = Client(user, TOKEN, http_client=http)
        client.api.base_url = client.insights.base_url = base
        yield client


def bases(servers: SdkServers) -> tuple[str, str]:
    return servers.provider, servers.callstream


def same(theirs: list[Any], ours: list[Any]) -> bool:
    """Rows of one second have no order."""
    return sorted(theirs, key=str) == sorted(ours, key=str)


@pytest.mark.parametrize("method", queries.LIST_METHODS)
@pytest.mark.parametrize("resource", queries.TWILIO_LISTS)
def test_twilio_lists(servers: SdkServers, resource: str, method: str) -> None:
    of, filters_of, plain = queries.TWILIO_LISTS[resource]
    found = 0
    for filters in filters_of(servers.about):
        answers = []
        for base in bases(servers):
            with twilio(base, servers.about.account) as client:
                rows = queries.LIST_METHODS[method](of(client, servers.about), filters)
                answers.append([plain(one) for one in rows])
        assert same(*answers), filters
        found += len(answers[0])
    assert found


@pytest.mark.parametrize("method", queries.LIST_METHODS_ASYNC)
@pytest.mark.parametrize("resource", queries.TWILIO_LISTS)
async def test_twilio_lists_async(servers: SdkServers, resource: str, method: str) -> None:
    of, filters_of, plain = queries.TWILIO_LISTS[resource]
    for filters in filters_of(servers.about):
        answers = []
        for base in bases(servers):
            async with twilio_async(base, servers.about.account) as client:
                rows = await queries.LIST_METHODS_ASYNC[method](of(client, servers.about), filters)
                answers.append([plain(one) for one in rows])
        assert same(*answers), filters


def test_a_limit_is_kept(servers: SdkServers) -> None:
    with twilio(servers.callstream, servers.about.account) as client:
        assert len(client.calls.list(limit=3)) == 3
        assert len(client.calls.list(limit=9, page_size=4)) == 9


@pytest.mark.parametrize("resource", queries.TWILIO_FETCHES)
def test_twilio_fetches(servers: SdkServers, resource: str) -> None:
    of, all_filters, plain = queries.TWILIO_FETCHES[resource]
    for filters in all_filters:
        answers = []
        for base in bases(servers):
            with twilio(base, servers.about.account) as client:
                one = of(client, servers.about)
                answers.append(plain(one.fetch(**filters)))
                answers.append(plain(one.fetch_with_http_info(**filters).data))
        assert [answers[0]] * 4 == answers


@pytest.mark.parametrize("resource", queries.TWILIO_FETCHES)
async def test_twilio_fetches_async(servers: SdkServers, resource: str) -> None:
    of, all_filters, plain = queries.TWILIO_FETCHES[resource]
    for filters in all_filters:
        answers = []
        for base in bases(servers):
            async with twilio_async(base, servers.about.account) as client:
                one = of(client, servers.about)
                answers.append(plain(await one.fetch_async(**filters)))
                answers.append(plain((await one.fetch_with_http_info_async(**filters)).data))
        assert [answers[0]] * 4 == answers


def test_what_is_still_expected_is_a_header(servers: SdkServers) -> None:
    with twilio(servers.callstream, servers.about.account) as client:
        headers = client.calls(servers.about.call["sid"]).fetch_with_http_info().headers
    assert {name.lower(): said for name, said in headers.items()}["x-callstream-completeness"] == "complete"


def test_twilio_s_errors_are_the_sdk_s_own(servers: SdkServers) -> None:
    for base in bases(servers):
        with twilio(base, servers.about.account, "wrong") as client:
            with pytest.raises(TwilioException, match="Unable to fetch page"):
                client.calls.list()
            with pytest.raises(TwilioRestException) as refused:
                client.calls(servers.about.call["sid"]).fetch()
            assert (refused.value.status, refused.value.code) == (401, 20003)
        with twilio(base, servers.about.account) as client:
            with pytest.raises(TwilioRestException) as missing:
                client.calls("CA" + "0" * 32).fetch()
            assert (missing.value.status, missing.value.code) == (404, 20404)
            with pytest.raises(TwilioException) as wrong:
                client.calls.list(status="initiated")
            assert wrong.value.args[1].status_code == 400


def telnyx_clients(servers: SdkServers, kind: type[AnyTelnyx]) -> list[AnyTelnyx]:
    """One a server: each reads a file of certificates, which takes longer than a page."""
    return [kind(api_key=TELNYX_KEY, base_url=f"{base}/v2", max_retries=0) for base in bases(servers)]


def test_telnyx_log(servers: SdkServers) -> None:
    provider, callstream = telnyx_clients(servers, Telnyx)
    found = 0
    with provider, callstream:
        for filters in queries.log_filters(servers.about):
            for more in ({}, {"page_size": 9}, {"page_size": 9, "page_number": 2}):
                answers = []
                for client in (provider, callstream):
                    arguments = {"filter": filters, **more} if filters else more
                    answers.append([queries.a_row(one) for one in client.call_events.list(**arguments)])
                    page = client.call_events.with_raw_response.list(**arguments).parse()
                    answers[-1].append((page.meta.total_results, page.meta.total_pages))
                assert answers[0] == answers[1], (filters, more)
                found += len(answers[0])
    assert found > 300


async def test_telnyx_log_async(servers: SdkServers) -> None:
    provider, callstream = telnyx_clients(servers, AsyncTelnyx)
    async with provider, callstream:
        for filters in queries.log_filters(servers.about):
            answers = []
            for client in (provider, callstream):
                rows = client.call_events.list(filter=filters, page_size=50)
                answers.append([queries.a_row(one) async for one in rows])
            assert answers[0] == answers[1], filters


def test_telnyx_errors_are_the_sdk_s_own(servers: SdkServers) -> None:
    for base in bases(servers):
        with (
            Telnyx(api_key="wrong", base_url=f"{base}/v2", max_retries=0) as client,
            pytest.raises(telnyx.AuthenticationError),
        ):
            client.call_events.list()
        between: Any = {"occurred_at": {"gte": "2026-03-02T09:59:57Z", "lt": "2026-03-02T09:59:58Z"}}
        with (
            Telnyx(api_key=TELNYX_KEY, base_url=f"{base}/v2", max_retries=0) as client,
            pytest.raises(telnyx.BadRequestError),
        ):
            client.call_events.list(filter=between)


async def test_the_examples_of_the_documentation_run(servers: SdkServers) -> None:
    """Each block of Python, with callstream's address here and the names that it uses."""
    page = Path(ROOT / "docs" / "provider-api.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        told: list[Any] = []
        names = {
            "ACCOUNT_SID": servers.about.account,
            "TOKEN": TELNYX_KEY if "telnyx" in block else TOKEN,
            "LEG_ID": servers.about.row["call_leg_id"],
            "print": lambda *said, told=told: told.append(said),
        }
        code = block.replace("http://127.0.0.1:8087", servers.callstream).replace("2026-11-01", "2020-01-01")
        await asyncio.to_thread(exec, code, names)  # the page's own example
        assert told
