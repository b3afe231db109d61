"""Twilio's resources, against pages as documented."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from stream.core.timestamps import iso8601
from stream.poller.resources import RESOURCES
from stream.poller.resources.resource import Page, PageError, Resource
from tests.poller.accounts import ACCOUNT_SID, CALL_SID, twilio

ACCOUNT = twilio()
SINCE_US = iso8601("2026-03-02T10:00:00.900000Z") or 0
UNTIL_US = iso8601("2026-03-02T11:00:00.100000Z") or 0

CALLS = RESOURCES["twilio_call"]
CALL_EVENTS = RESOURCES["twilio_call_event"]
INSIGHTS = RESOURCES["twilio_insights_event"]
SUMMARY = RESOURCES["twilio_call_summary"]


def url_parts(url: str) -> tuple[str, str, list[tuple[str, str]]]:
    parts = urlsplit(url)
    return (
        f"{parts.scheme}://{parts.netloc}",
        parts.path,
        parse_qsl(parts.query, strict_parsing=bool(parts.query)),
    )


def of_call(source: str, call_id: str = CALL_SID, edge: str | None = None) -> str:
    make = RESOURCES[source].call_url
    assert make is not None
    return make(ACCOUNT, call_id, edge)


def test_every_resource_is_there_and_names_its_source() -> None:
    assert {source: one.source for source, one in RESOURCES.items()} == {
        source: source
        for source in (
            *("twilio_call", "twilio_call_event", "twilio_insights_event", "twilio_call_summary"),
            *("telnyx_call_event", "telnyx_webhook_delivery"),
            *("twilio_alert", "twilio_notification"),
        )
    }


def test_each_resource_of_a_call_has_its_documented_url() -> None:
    calls = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{CALL_SID}"
    voice = f"https://insights.twilio.com/v1/Voice/{CALL_SID}"
    assert [of_call(source) for source in list(RESOURCES)[:4]] == [
        f"{calls}.json",
        f"{calls}/Events.json?PageSize=1000",
        f"{voice}/Events?PageSize=1000",
        f"{voice}/Summary?ProcessingState=complete",
    ]
    assert of_call("twilio_insights_event", edge="sdk_edge") == f"{voice}/Events?Edge=sdk_edge&PageSize=1000"


def test_an_edge_cannot_add_parameters() -> None:
    url = of_call("twilio_insights_event", edge="a&PageSize=1")
    assert url_parts(url)[2] == [("Edge", "a&PageSize=1"), ("PageSize", "1000")]


@pytest.mark.parametrize("source", [source for source, one in RESOURCES.items() if one.call_url])
@pytest.mark.parametrize(
    "call_id",
    [
        "",
        "../../Messages",
        "CA1/..",
        ".",
        "..",
        "CA1?x=1",
        "CA1#",
        "CA 1",
        "CA%2e",
        "CAé",
        "C" * 129,
        "CA1\n",
    ],
)
def test_a_call_id_leads_nowhere_else(source: str, call_id: str) -> None:
    with pytest.raises(ValueError):
        of_call(source, call_id)


def test_a_call_id_with_a_colon_stays_as_it_is() -> None:
    assert urlsplit(of_call("twilio_call", "v3:a-B_1.c")).path.endswith("/Calls/v3:a-B_1.c.json")


def test_a_window_of_calls_is_requested_by_end_and_by_start_in_whole_seconds() -> None:
    assert CALLS.window_urls is not None
    place = ("https://api.twilio.com", f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json")
    urls = CALLS.window_urls(ACCOUNT, SINCE_US, UNTIL_US)
    assert [url_parts(url) for url in urls] == [
        (
            *place,
            [
                (f"{name}>", "2026-03-02T10:00:00Z"),
                (f"{name}<", "2026-03-02T11:00:01Z"),
                ("PageSize", "1000"),
            ],
        )
        for name in ("EndTime", "StartTime")
    ]
    assert "?EndTime%3E=2026-03-02T10" in urls[0]
    assert [url_parts(url)[2] for url in CALLS.window_urls(ACCOUNT, SINCE_US, None)] == [
        [(f"{name}>", "2026-03-02T10:00:00Z"), ("PageSize", "1000")] for name in ("EndTime", "StartTime")
    ]


def test_only_twilios_calls_have_windows() -> None:
    assert [one.window_urls is None for one in (CALLS, CALL_EVENTS, INSIGHTS, SUMMARY)] == [
        False,
        True,
        True,
        True,
    ]
    days_30 = 30 * 86_400
    assert [one.max_lookback_s for one in (CALLS, CALL_EVENTS, INSIGHTS, SUMMARY)] == [None, *(days_30,) * 3]


def envelope(key: str, rows: bytes, next_page_uri: str = "null") -> bytes:
    """A page of a `2010-04-01` list."""
    return (
        b'{"%s":[%s],"page":0,"page_size":50,"start":0,"end":0,"uri":"/2010-04-01/x","first_page_uri":"/2010-04-01/x",'
        b'"previous_page_uri":null,"next_page_uri":%s,"unheard_of":[{"a":1}]}'
        % (key.encode(), rows, next_page_uri.encode())
    )


EVENT = (
    b'{"request":{"method":"POST","url":"https://hooks.example.test/tw/status","parameters":{"call_sid":"CA0f",'
    b'"call_status":"completed","sequence_number":"3"}},"response":{"response_code":204,"request_duration":38,'
    b'"date_created":"Mon, 02 Mar 2026 10:00:56 +0000"}}'
)


def test_a_page_of_call_events_has_its_rows_and_the_next_link() -> None:
    uri = "/2010-04-01/Accounts/AC1/Calls/CA1/Events.json?PageSize=50&Page=1&PageToken=PAx%2Fy"
    body = envelope("events", EVENT + b" , " + EVENT, f'"{uri}"')
    assert CALL_EVENTS.parse(body, "") == Page([EVENT, EVENT], uri)


@pytest.mark.parametrize(
    ("base", "link", "leads_to"),
    [
        ("", "/2010-04-01/x?Page=1", "/2010-04-01/x?Page=1"),
        ("/twilio", "/2010-04-01/x?Page=1", "/twilio/2010-04-01/x?Page=1"),
        ("/twilio", "/twilio/2010-04-01/x?Page=1", "/twilio/2010-04-01/x?Page=1"),
    ],
    ids=["Twilio", "a proxy", "a proxy that sees to links"],
)
@pytest.mark.parametrize(("resource", "key"), [(CALLS, "calls"), (CALL_EVENTS, "events")])
def test_the_next_link_starts_at_the_base_url(
    resource: Resource, key: str, base: str, link: str, leads_to: str
) -> None:
    url = f"https://proxy.example{base}/2010-04-01/Accounts/AC1/x.json?PageSize=1000"
    assert resource.parse(envelope(key, b"1", f'"{link}"'), url) == Page([b"1"], leads_to)


@pytest.mark.parametrize("end", ["null", '""', "0", "false"])
def test_a_list_ends_where_no_link_is(end: str) -> None:
    assert CALL_EVENTS.parse(envelope("events", b"", end), "") == Page([])


def test_a_list_ends_where_the_link_is_missing() -> None:
    assert CALL_EVENTS.parse(b'{"events":[1]}', "") == Page([b"1"])


def call(**fields: Any) -> bytes:
    return json.dumps(
        {"sid": CALL_SID, "status": "completed", "duration": "49", "price": "-0.0140"} | fields
    ).encode()


def test_one_call_and_a_list_of_calls_are_both_parsed() -> None:
    assert CALLS.parse(b"\n" + call() + b" \n", "") == Page([call()])
    assert CALLS.parse(envelope("calls", call()), "") == Page([call()])
    assert CALLS.parse(envelope("calls", b""), "") == Page([])


@pytest.mark.parametrize("resource", [CALLS, CALL_EVENTS, INSIGHTS, SUMMARY], ids=lambda one: one.source)
def test_an_error_with_a_status_of_200_is_a_page_error(resource: Any) -> None:
    with pytest.raises(PageError, match="invalid_field"):
        resource.parse(b'{"code":20404,"message":"...","status":404}', "")


COMPLETE = [
    ({}, True),
    ({"duration": "0", "price": None}, True),
    ({"duration": None, "price": None, "status": "no-answer"}, True),
    ({"status": "cancelled", "duration": None, "price": None}, True),
    ({"price": None}, False),
    ({"duration": 49, "price": None}, False),
    ({"status": "in-progress"}, False),
    ({"status": "ringing", "duration": None, "price": None}, False),
    ({"status": None}, False),
    ({"status": 1}, False),
    ({"status": "unheard-of"}, False),
]


@pytest.mark.parametrize(("fields", "complete"), COMPLETE)
def test_a_call_is_complete_when_it_has_ended_and_a_talk_has_its_price(
    fields: dict[str, Any], complete: bool
) -> None:
    assert CALLS.is_final(call(**fields)) is complete


def test_malformed_rows_are_not_final() -> None:
    for resource in (CALLS, SUMMARY):
        assert [resource.is_final(row) for row in (b"12", b"{")] == [False, False]
    assert not CALL_EVENTS.is_final(EVENT)
    assert not INSIGHTS.is_final(b"{}")


def test_a_summary_is_one_object_and_complete_when_it_says_so() -> None:
    body = b'{"call_sid":"CA1","processing_state":"complete","tags":["silent"],"x":1.10}'
    assert SUMMARY.parse(body + b"\n", "") == Page([body])
    assert SUMMARY.is_final(body)
    assert not SUMMARY.is_final(body.replace(b"complete", b"partial"))


INSIGHT = (
    b'{"timestamp":"2026-03-02T10:00:00Z","call_sid":"CA1","edge":null,"group":"connection","name":"ringing"}'
)


def insights(meta: bytes, key: bytes = b"events") -> Page:
    return INSIGHTS.parse(b'{"meta":' + meta + b',"' + key + b'":[' + INSIGHT + b"]}", "")


def test_a_page_of_insights_names_its_array_and_links_absolutely() -> None:
    link = "https://insights.twilio.com/v1/Voice/CA1/Events?PageSize=50&Page=1&PageToken=x"
    meta = b'{"page":0,"page_size":50,"key":"%s","next_page_url":"%s"}'
    assert insights(meta % (b"events", link.encode())) == Page([INSIGHT], link)
    assert insights(meta % (b"call_events", b""), b"call_events") == Page([INSIGHT])


@pytest.mark.parametrize(
    "meta", [b"{}", b"null", b"[]", b'"x"', b'{"key":null}', b'{"key":3,"next_page_url":null}']
)
def test_insights_without_a_complete_meta_are_one_page_of_events(meta: bytes) -> None:
    assert insights(meta) == Page([INSIGHT])
