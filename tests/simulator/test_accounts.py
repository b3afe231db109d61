"""The simulator accepts the credentials of a poller's settings, and reports what is missing."""

from __future__ import annotations

import base64
from dataclasses import replace
from itertools import count
from typing import Any

import aiohttp
import orjson
import pytest
from yarl import URL

from stream.core.insights_edges import edges_of
from stream.poller.resources.account import accounts
from stream.service.settings import SettingsError, load
from stream.simulator.accounts import served_accounts, simulated_environment
from stream.simulator.calls.options import Options
from stream.simulator.rest.credentials import ApiCredentials
from stream.simulator.rest.server import serving
from stream.simulator.traffic import Traffic
from stream.simulator.twilio.call import TwilioCall
from tests.simulator.fake_poller import START_US, Clock, S

SERVED = Options(served=True)
SECRETS = {
    "CALLSTREAM_SIMULATE_TWILIO_ACCOUNT_TOKEN": "AC7=its-token",
    "CALLSTREAM_TELNYX_API_KEY": "KEY-mine",
}


def test_a_poller_of_a_local_stack_is_let_in_and_reads_the_simulators_accounts() -> None:
    settings = load(simulated_environment(load({}), {}, rest_url="http://127.0.0.1:8083"))
    served, keys = served_accounts(settings, SERVED)
    twilio, telnyx = accounts(settings)
    assert keys.twilio_admits(twilio.authorization, served.twilio_account)
    assert keys.telnyx_admits(telnyx.authorization)
    assert twilio.id == served.twilio_account == settings.simulate_twilio_account_token[0][0]
    assert telnyx.id == served.telnyx_account != ""
    assert (twilio.alias, telnyx.alias) == ("simulated", "simulated")
    assert (twilio.api_url, twilio.insights_url, twilio.monitor_url, telnyx.api_url) == (
        "http://127.0.0.1:8083",
        "http://127.0.0.1:8083",
        "http://127.0.0.1:8083",
        "http://127.0.0.1:8083/v2",
    )


def test_a_poller_with_an_api_key_is_let_in() -> None:
    own = {"CALLSTREAM_TWILIO_ACCOUNT_SID": "AC8", "CALLSTREAM_TWILIO_AUTH_TOKEN": "a-token"}
    key = {"CALLSTREAM_TWILIO_API_KEY": "SK1", "CALLSTREAM_TWILIO_API_SECRET": "its-secret"}
    settings = load({**own, **key, "CALLSTREAM_TELNYX_API_KEY": "KEY-mine"})
    served, keys = served_accounts(settings, SERVED)
    assert served.twilio_account == "AC8"
    assert keys.twilio_admits(accounts(settings)[0].authorization, "AC8")
    assert "its-secret" not in repr(keys)


def test_real_accounts_are_read_where_they_were_and_never_at_the_simulator() -> None:
    before = {
        "CALLSTREAM_TWILIO_ACCOUNT_TOKENS": "AC1=real-token",
        "CALLSTREAM_TELNYX_API_KEY": "KEY-real",
        "CALLSTREAM_POLL_ACCOUNTS": '[{"provider": "twilio", "id": "AC2", "alias": "eu", "secret": "real"}]',
    }
    found = accounts(load(simulated_environment(load(before), before, rest_url="http://127.0.0.1:1")))
    at = {one.secret: one.api_url for one in found}
    simulated = {one.secret for one in found if one.alias == "simulated"}
    assert {secret for secret, url in at.items() if url.startswith("http://127.0.0.1")} == simulated
    assert {"real-token", "KEY-real", "real"} == set(at) - simulated


def test_a_budget_for_the_simulator_is_none_for_real_accounts() -> None:
    before = {"CALLSTREAM_TWILIO_ACCOUNT_TOKENS": "AC1=real-token", "CALLSTREAM_POLL_RATE": "3"}
    made = simulated_environment(
        load(before), before, rest_url="http://127.0.0.1:1", budget={"concurrency": 10}
    )
    found = {(one.name, one.rate, one.concurrency) for one in accounts(load(made))}
    real = next(one for one in found if "simulated" not in one[0])
    assert real[1:] == (3.0, 5)
    assert found - {real} == {("twilio/simulated", 3.0, 10), ("telnyx/simulated", 3.0, 10)}


def test_a_local_stack_in_a_local_stack_has_the_same_simulated_accounts() -> None:
    made = simulated_environment(load({}), {}, rest_url="http://127.0.0.1:1")
    again = simulated_environment(load(made), made, rest_url="http://127.0.0.1:1")
    assert accounts(load(again)) == accounts(load(made))


def test_without_a_simulator_to_read_no_poller_is_sent_anywhere() -> None:
    assert not [name for name in simulated_environment(load({}), {}) if "API" in name or "POLL" in name]


@pytest.mark.parametrize(
    ("environ", "options", "missing"),
    [
        ({}, replace(SERVED, telnyx=0.0), "CALLSTREAM_TWILIO_ACCOUNT_SID"),
        (
            {"CALLSTREAM_TWILIO_AUTH_TOKEN": "any"},
            replace(SERVED, telnyx=0.0),
            "CALLSTREAM_TWILIO_ACCOUNT_SID",
        ),
        ({}, replace(SERVED, telnyx=1.0), "CALLSTREAM_TELNYX_API_KEY"),
    ],
    ids=["no token", "no account", "no key"],
)
def test_what_is_missing_is_named(environ: dict[str, str], options: Options, missing: str) -> None:
    with pytest.raises(SettingsError, match=missing):
        served_accounts(load(environ), options)
    served_accounts(
        load(environ), replace(options, telnyx=1 - options.telnyx, sources=_of_the_other(options))
    )


def _of_the_other(options: Options) -> frozenset[str]:
    """Sources of the provider of which there are no calls."""
    return frozenset({"telnyx_call_event" if options.telnyx else "twilio_call"})


async def test_all_that_a_world_holds_is_on_its_pages() -> None:
    clock = Clock()
    traffic = Traffic(Options(calls=150, served=True, start_us=START_US, seed=3), now_us=clock)
    for delivery in traffic.outgoing():
        clock.now_us = delivery.at_us
    providers, expected = traffic.providers, traffic.expected
    assert providers is not None
    assert expected is not None
    clock.now_us += 2000 * S
    keys = ApiCredentials(twilio_tokens=("token",), telnyx=("KEY",))
    async with (
        serving(providers, keys, "127.0.0.1:0", now_us=clock) as url,
        aiohttp.ClientSession(raise_for_status=True) as client,
    ):
        account = f"{url}/2010-04-01/Accounts/{providers.twilio_account}"
        pair = base64.b64encode(f"{providers.twilio_account}:token".encode()).decode()
        basic = {"Authorization": f"Basic {pair}"}

        async def pages(address: str | None, array: str) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            while address is not None:
                async with client.get(URL(address, encoded=True), headers=basic) as answer:
                    page = await answer.json()
                found += page[array]
                meta = page.get("meta") or page
                following = meta.get("next_page_url") or meta.get("next_page_uri")
                address = str(URL(url).join(URL(following, encoded=True))) if following else None
            return found

        async def numbered(path: str) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            for number in count(1):
                address = f"{url}/v2/{path}?page[number]={number}&page[size]=100"
                async with client.get(address, headers={"Authorization": "Bearer KEY"}) as answer:
                    page = await answer.json()
                found += page["data"]
                if number >= page["meta"]["total_pages"]:
                    return found
            raise AssertionError("the traffic does not end")

        calls = [call for call in expected.calls if isinstance(call, TwilioCall)]
        listed = await pages(f"{account}/Calls.json?PageSize=20", "calls")
        assert listed == list(providers.calls(clock()))
        assert len(listed) == len(calls)
        for call in calls:
            log = await pages(f"{account}/Calls/{call.id}/Events.json?PageSize=2", "events")
            assert log == providers.call_events(call.id, clock())
            held = providers.insights(call.id, clock())
            assert held is not None
            read = []
            for edge in edges_of(None, call.leg.caller.text, call.leg.callee.text):
                read += await pages(f"{url}/v1/Voice/{call.id}/Events?Edge={edge}&PageSize=2", "events")
            assert {orjson.dumps(row) for row in read} == {orjson.dumps(row) for row in held}
            async with client.get(f"{url}/v1/Voice/{call.id}/Summary", headers=basic) as answer:
                assert await answer.json() == providers.summary(call.id, clock())
        assert await numbered("call_events") == list(providers.telnyx_events(clock()))
        assert await numbered("webhook_deliveries") == list(providers.webhook_deliveries(clock()))
