"""Twilio's alerts and notifications, read from the simulator's resources as from Twilio."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest

from stream.poller.pages.account_reader import AccountReader
from stream.poller.pages.client import PageClient
from stream.poller.pages.paged_read import ReadResult
from stream.poller.pages.polled_writer import PolledWriter
from stream.poller.resources import RESOURCES
from stream.poller.resources.account import Account
from stream.simulator.calls.call import ProviderReport
from stream.simulator.calls.options import ERROR_SOURCES, Options
from stream.simulator.rest.credentials import ApiCredentials
from stream.simulator.rest.provider_state import ProviderState
from stream.simulator.rest.server import serving
from stream.simulator.twilio.call import TwilioCall
from tests.poller import accounts
from tests.poller.accounts import ACCOUNT_SID, TOKEN
from tests.poller.fake_provider import RecordingMetrics
from tests.poller.pages.test_account_reader import Broker, FakeLimiters
from tests.simulator.fake_poller import Clock
from tests.simulator.rest.fake_calls import first_leg

ALERTS, NOTIFICATIONS = RESOURCES["twilio_alert"], RESOURCES["twilio_notification"]
OPTIONS = Options(
    calls=None,
    rate=10,
    served=True,
    failing_webhooks=1.0,
    sources=frozenset({"telnyx_webhook", *ERROR_SOURCES}),
    twilio_account=ACCOUNT_SID,
)


class Reading:
    """A call with an entry for each of its requests, a reader, and what it wrote."""

    def __init__(self, client: PageClient, account: Account, call: TwilioCall) -> None:
        self.call, self.account = call, account
        self.broker, self.metrics, self.limiters = Broker(), RecordingMetrics(), FakeLimiters()
        writer = PolledWriter(self.broker, polled="polled", dead_letters="dead", metrics=self.metrics)
        self.reader = AccountReader(client, self.limiters, writer, self.metrics)  # type: ignore[arg-type]

    async def alerts(self, account: Account | None = None) -> ReadResult:
        account = account or self.account
        assert ALERTS.window_urls is not None
        [url] = ALERTS.window_urls(account, self.call.leg.began_us, None)
        return await self.reader.read_window(ALERTS, account, url, "freshness", skip_known=True)

    @property
    def written(self) -> list[Any]:
        return [orjson.loads(value)["body"] for value in self.broker.taken]


@asynccontextmanager
async def reading() -> AsyncIterator[Reading]:
    leg = first_leg(lambda leg: leg.direction == "outbound-api" and leg.talk_s > 5)
    call = TwilioCall(random.Random(3), ACCOUNT_SID, leg, None, OPTIONS)
    clock = Clock(leg.began_us)
    state = ProviderState(OPTIONS, clock)
    state.begun(call)
    clock.now_us = leg.ended_us
    state.ended(call)
    clock.now_us += 60_000_000
    keys = ApiCredentials(twilio_tokens=(TOKEN,))
    async with serving(state, keys, "127.0.0.1:0", now_us=clock) as url, PageClient() as client:
        yield Reading(client, accounts.twilio(url, url, url), call)


def single_forms(call: TwilioCall) -> list[Any]:
    numbers = range(len(call.errors))
    found = [call.body(ProviderReport("twilio_alert", number, 0), 1) for number in numbers]
    return sorted(found, key=lambda row: str(row["sid"]))


async def test_alerts_about_a_call_are_written_once_in_their_single_form() -> None:
    async with reading() as at:
        for _ in range(2):
            found = await at.alerts()
            assert (found.outcome, found.received) == ("success", len(at.call.errors))
    assert sorted(at.written, key=lambda row: str(row["sid"])) == single_forms(at.call)
    assert {orjson.loads(value)["account"] for value in at.broker.taken} == {ACCOUNT_SID}
    assert at.metrics.dead_letters == []


async def test_the_notifications_of_a_call_are_read_on_demand() -> None:
    async with reading() as at:
        other = await at.reader.read_call(NOTIFICATIONS, at.account, "CA" + "0" * 32, None, "terminal")
        found = await at.reader.read_call(NOTIFICATIONS, at.account, at.call.id, None, "terminal")
    assert (found.outcome, found.rows) == ("success", len(at.call.errors))
    assert [row["sid"] for row in at.written] == [entry.sid for entry in at.call.errors]
    assert (other.outcome, other.forbidden) == ("not_ready", False)


async def test_an_account_that_may_not_read_alerts_reads_everything_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with reading() as at:
        refused = replace(at.account, secret="another")
        found = [await at.alerts(refused) for _ in range(2)]
        assert [(one.outcome, one.forbidden) for one in found] == [("auth_error", True)] * 2
        assert at.metrics.requests == [("twilio_alert", "auth_error")], "the second is not sent"
        assert at.limiters.patient.answers == [], "nothing is said about the account"
        assert (await at.alerts()).outcome == "auth_error", "it is off for the account"
        assert at.reader.forbidden.sources(at.account) == ["twilio_alert"]
        found = [await at.reader.read_call(NOTIFICATIONS, at.account, at.call.id, None, "terminal")]
        assert [one.outcome for one in found] == ["success"]
