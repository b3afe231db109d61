"""Twilio's resources of errors and warnings, against pages as documented."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from stream.core.timestamps import iso8601
from stream.poller.resources import RESOURCES
from stream.poller.resources.resource import Page, PageError
from stream.poller.schedule.planning import next_pass
from tests.poller.accounts import ACCOUNT_SID, CALL_SID, twilio

ACCOUNT = twilio()
ALERTS, NOTIFICATIONS = RESOURCES["twilio_alert"], RESOURCES["twilio_notification"]
SINCE_US = iso8601("2026-03-02T10:00:00.900000Z") or 0
UNTIL_US = iso8601("2026-03-02T11:00:00.100000Z") or 0
SID = "NO0e000000000000000000000000000011"
MONITOR = "https://monitor.twilio.com/v1/Alerts"


def alerts(*rows: Any, onwards: str | None = None) -> bytes:
    meta = {"key": "alerts", "page": 0, "page_size": 1000, "next_page_url": onwards}
    return json.dumps({"alerts": rows, "meta": meta}).encode()


def windows(until_us: int | None) -> list[str]:
    assert ALERTS.window_urls is not None
    return ALERTS.window_urls(ACCOUNT, SINCE_US, until_us)


def detail_url(key: str, row: dict[str, Any]) -> str | None:
    assert ALERTS.detail_url is not None
    return ALERTS.detail_url(ACCOUNT, key, row)


def test_a_window_of_alerts_is_requested_in_whole_seconds_that_contain_it() -> None:
    [url] = windows(UNTIL_US)
    assert url.partition("?")[0] == MONITOR
    assert parse_qsl(urlsplit(url).query) == [
        ("StartDate", "2026-03-02T10:00:00Z"),
        ("EndDate", "2026-03-02T11:00:01Z"),
        ("PageSize", "1000"),
    ]
    assert [parse_qsl(urlsplit(url).query)[1] for url in windows(None)] == [("PageSize", "1000")]


def test_a_window_after_a_long_stop_is_not_too_old_when_it_is_asked_for() -> None:
    now_us = 90 * 86_400 * 1_000_000 + 999_999
    since_us, lost = next_pass(0, now_us, ALERTS.overlap_s, ALERTS.max_lookback_s)
    assert ALERTS.window_urls is not None
    [url] = ALERTS.window_urls(ACCOUNT, since_us, None)
    start_us = iso8601(dict(parse_qsl(urlsplit(url).query))["StartDate"]) or 0
    assert start_us > now_us + 300 * 1_000_000 - 30 * 86_400 * 1_000_000
    assert lost is not None


def test_alerts_are_read_by_time_alone_and_notifications_by_call_alone() -> None:
    assert (ALERTS.call_url, NOTIFICATIONS.window_urls) == (None, None)
    assert NOTIFICATIONS.url_of_call(ACCOUNT, CALL_SID, None) == (
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{CALL_SID}/"
        "Notifications.json?PageSize=1000"
    )


def test_a_page_of_alerts_keeps_its_rows_and_links_onwards() -> None:
    onwards = f"{MONITOR}?Page=1&PageToken=PA1"
    rows = [{"sid": SID, "resource_sid": None}, {"sid": "NO2", "log_level": "warning"}]
    page = ALERTS.parse(alerts(*rows, onwards=onwards), MONITOR)
    assert ([json.loads(row) for row in page.rows], page.next_url) == (rows, onwards)
    assert ALERTS.parse(alerts(), MONITOR) == Page([])
    bare = json.dumps({"alerts": [{"sid": SID}], "meta": {}}).encode()
    assert ALERTS.parse(bare, MONITOR) == Page([b'{"sid": "%s"}' % SID.encode()])


def test_a_single_alert_is_one_row_as_it_came() -> None:
    body = b'{"sid":"NO1", "response_body":"<html>"}'
    assert ALERTS.parse(b" " + body + b"\n", f"{MONITOR}/NO1") == Page([body])


@pytest.mark.parametrize("body", [b"{}", b'{"code":20404}', b'{"meta":{"key":"alerts"}}', b"[]", b"<html>"])
def test_what_is_no_page_of_alerts_is_said(body: bytes) -> None:
    with pytest.raises(PageError):
        ALERTS.parse(body, MONITOR)


@pytest.mark.parametrize(
    ("key", "row", "url"),
    [
        (f"twilio:{CALL_SID}", {"sid": SID}, f"{MONITOR}/{SID}"),
        (f"twilio:account:{ACCOUNT_SID}", {"sid": SID}, None),
        ("twilio:CF0f000000000000000000000000000001", {"sid": SID}, None),
        (f"twilio:{CALL_SID}", {"sid": "NO1/../../Calls"}, None),
        (f"twilio:{CALL_SID}", {"sid": SID + "\n"}, None),
        (f"twilio:{CALL_SID}", {"sid": None}, None),
        (f"twilio:{CALL_SID}", {}, None),
    ],
)
def test_the_single_form_is_read_for_entries_about_a_call(
    key: str, row: dict[str, Any], url: str | None
) -> None:
    assert detail_url(key, row) == url


def test_a_page_of_notifications_links_below_its_base() -> None:
    url = f"https://proxy.example.test/twilio/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{CALL_SID}/Notifications.json"
    body = json.dumps({"notifications": [{"sid": SID}], "next_page_uri": "/2010-04-01/Accounts/x?Page=1"})
    page = NOTIFICATIONS.parse(body.encode(), url)
    assert ([json.loads(row) for row in page.rows], page.next_url) == (
        [{"sid": SID}],
        "/twilio/2010-04-01/Accounts/x?Page=1",
    )
    with pytest.raises(PageError):
        NOTIFICATIONS.parse(b'{"events":[]}', url)
