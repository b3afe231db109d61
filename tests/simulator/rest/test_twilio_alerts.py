"""Twilio's alerts and notifications: filters, pages, limits, and when a failure appears in them."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import urlsplit

import pytest

from stream.core.sources import RETRY_SCHEDULES
from stream.provider_api.http_types import ApiResponse
from stream.provider_api.time_formats import iso
from stream.simulator.calls.options import Options
from stream.simulator.rest import provider_resources
from stream.simulator.rest.provider_resources import provider_routes
from stream.simulator.rest.provider_state import ProviderState
from stream.simulator.twilio.call import TwilioCall
from tests.simulator.fake_poller import START_US, Clock
from tests.simulator.rest.fake_calls import first_leg
from tests.simulator.rest.resource_fakes import (
    ACCOUNT,
    CALLS,
    KEYS,
    NOW_US,
    FakeResources,
    S,
    answered,
    basic,
    call,
    sid,
)

ALERTS = "/v1/Alerts"


def alert(number: int, at_s: int, level: str = "error") -> dict[str, Any]:
    return {"sid": f"NO{number:032x}", "log_level": level, "date_created": iso(NOW_US + at_s * S)}


def resources(*rows: dict[str, Any]) -> FakeResources:
    return FakeResources(alert_rows=sorted(rows, key=lambda row: row["date_created"], reverse=True))


def get(
    found: FakeResources | ProviderState, name: str, url: str, authorization: str = "", **names: str
) -> ApiResponse:
    return answered(provider_routes(found, KEYS), name, url, authorization or basic(), **names)


def numbers(response: ApiResponse) -> list[int]:
    return [int("0x" + row["sid"][2:], base=0) for row in response.body["alerts"]]


def at(second: int) -> str:
    return iso(NOW_US + second * S)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [4, 3, 2, 1]),
        (f"StartDate={at(20)}", [4, 3, 2]),
        (f"EndDate={at(20)}", [2, 1]),
        (f"StartDate={at(20)}&EndDate={at(30)}", [3, 2]),
        ("LogLevel=warning", [3]),
        (f"LogLevel=error&StartDate={at(15)}", [4, 2]),
        ("StartDate=2026-03-02", [4, 3, 2, 1]),
        ("StartDate=2026-03-03", []),
        ("EndDate=2026-03-01", []),
    ],
)
def test_alerts_are_filtered_by_time_and_level(query: str, expected: list[int]) -> None:
    found = resources(alert(1, 10), alert(2, 20), alert(3, 30, "warning"), alert(4, 40))
    assert numbers(get(found, "alerts", f"{ALERTS}?{query}")) == expected


@pytest.mark.parametrize("query", ["StartDate=soon", "LogLevel=fatal", "PageSize=0", "PageToken=x"])
def test_a_filter_that_cannot_be_read_is_refused(query: str) -> None:
    assert get(resources(), "alerts", f"{ALERTS}?{query}").status == 400


def test_the_pages_of_alerts_are_linked_with_whole_urls_and_their_filters() -> None:
    found = resources(*(alert(number, number // 2) for number in range(7)))
    url, seen = f"{ALERTS}?PageSize=3&StartDate={at(0)}", list[int]()
    pages = 0
    while url:
        page = get(found, "alerts", url)
        seen += numbers(page)
        pages += 1
        url = page.body["meta"]["next_page_url"] or ""
        assert not url or (url.startswith("http://stub.test:8083/v1/Alerts?") and "StartDate" in url)
        url = url and urlsplit(url)._replace(scheme="", netloc="").geturl()
        if pages == 1:
            found.alert_rows.insert(0, alert(99, 50))
    assert (sorted(seen), pages) == (list(range(7)), 3)


def test_a_time_range_has_no_more_than_the_newest_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_resources, "MOST_ALERTS", 3)
    found = resources(*(alert(number, number) for number in range(8)))
    assert numbers(get(found, "alerts", ALERTS)) == [7, 6, 5]
    assert numbers(get(found, "alerts", f"{ALERTS}?EndDate={at(4)}")) == [4, 3, 2]


def test_one_alert_is_read_by_its_sid() -> None:
    found = resources(alert(1, 10))
    one = alert(1, 10)
    assert get(found, "alert", f"{ALERTS}/{one['sid']}", alert=one["sid"]).body == one
    assert get(found, "alert", f"{ALERTS}/NO2", alert="NO2").status == 404
    assert get(found, "alert", f"{ALERTS}/{one['sid']}", basic("AC1"), alert=one["sid"]).status == 401
    assert get(found, "alerts", ALERTS, basic(secret="other")).status == 401


def test_notifications_are_those_of_a_call() -> None:
    found = FakeResources(rows=[call(1, 0), call(2, 0)])
    found.notes[sid(1)] = [{"sid": "NO1", "log": "0"}, {"sid": "NO2", "log": "1"}]
    names = {"account": ACCOUNT, "call": sid(1)}
    url = f"{CALLS}/{sid(1)}/Notifications.json"

    def sids(query: str = "", **changed: str) -> list[str]:
        page = get(found, "notifications", f"{url}?{query}", **{**names, **changed})
        return [row["sid"] for row in page.body["notifications"]]

    assert sids() == ["NO1", "NO2"]
    assert (sids("Log=0"), sids("Log=1")) == (["NO1"], ["NO2"])
    assert sids(call=sid(2)) == []
    assert get(found, "notifications", url, **{**names, "call": sid(3)}).status == 404


def test_a_failure_appears_in_alerts_and_notifications_seconds_after_it_and_goes_with_its_call() -> None:
    options = Options(
        calls=None, rate=10, served=True, start_us=START_US, failing_webhooks=1.0, time_factor=1000.0
    )
    made = TwilioCall(random.Random(7), "AC1", first_leg(lambda leg: leg.talk_s > 5), None, options)
    clock = Clock(made.leg.began_us)
    state = ProviderState(options, clock, keep_s=60)
    state.begun(made)
    entry = min(made.errors, key=lambda one: one.at_us)
    appears_us = entry.at_us + 3_000_000

    def shown(now_us: int) -> tuple[list[str], list[str], bool]:
        alerts = [row["sid"] for row in state.alerts(now_us)]
        notes = [row["sid"] for row in state.notifications(made.id, now_us) or []]
        return alerts, notes, state.alert(entry.sid, now_us) is not None

    assert shown(appears_us - 1) == ([], [], False)
    assert shown(appears_us) == ([entry.sid], [entry.sid], True)
    clock.now_us = made.leg.ended_us
    state.ended(made)
    end_us = max(one.at_us for one in made.errors) + 3_000_000
    sids = [one.sid for one in made.errors]
    alerts, notes, _ = shown(end_us)
    assert (sorted(alerts), notes) == (sorted(sids), sids)
    assert shown(made.leg.ended_us + 60_000_000) == ([], [], False)


def test_a_failure_after_the_end_of_a_call_is_there_before_its_notifications_are_read_last() -> None:
    factor = 60.0
    options = Options(
        calls=None, rate=10, served=True, start_us=START_US, failing_webhooks=1.0, time_factor=factor
    )
    calls = (
        TwilioCall(random.Random(n), "AC1", first_leg(lambda leg: leg.talk_s > 5), None, options)
        for n in range(100)
    )
    made = next(call for call in calls if call.errors[-1].at_us >= call.leg.ended_us + 15 * S)
    clock = Clock(made.leg.began_us)
    state = ProviderState(options, clock)
    state.begun(made)
    clock.now_us = made.leg.ended_us
    state.ended(made)
    last_read_us = clock.now_us + round(RETRY_SCHEDULES["twilio_notification"].after_s[-1] / factor * S)
    notes = state.notifications(made.id, last_read_us) or []
    assert [row["sid"] for row in notes] == [one.sid for one in made.errors]


@pytest.mark.parametrize("source", ["twilio_alert", "twilio_notification"])
def test_a_list_that_is_not_simulated_is_empty(source: str) -> None:
    options = Options(
        calls=None, rate=10, served=True, failing_webhooks=1.0, sources=frozenset({"telnyx_webhook", source})
    )
    made = TwilioCall(random.Random(7), "AC1", first_leg(lambda leg: leg.talk_s > 5), None, options)
    state = ProviderState(options, Clock(made.leg.began_us))
    state.begun(made)
    state.ended(made)
    now_us = made.leg.ended_us + 60_000_000
    alerts, notes = state.alerts(now_us), state.notifications(made.id, now_us)
    found = {"twilio_alert": alerts, "twilio_notification": notes}
    assert [name for name, rows in found.items() if rows] == [source]
