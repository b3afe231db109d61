"""Twilio's answers, whole: envelopes, links, edges, errors."""

from __future__ import annotations

from typing import Any

import pytest

from stream.provider_api.http_types import ApiResponse
from stream.simulator.rest.provider_resources import provider_routes
from tests.simulator.rest.resource_fakes import (
    ACCOUNT,
    CALLS,
    KEY,
    KEYS,
    SECRET,
    FakeResources,
    answered,
    basic,
    call,
    insight,
    logged,
    sid,
)

OWN = basic()
MORE = "https://www.twilio.com/docs/errors/"


def resources() -> FakeResources:
    return FakeResources(
        rows=[call(3, 20), call(2, 10, start_s=15, end_s=40), call(1, 0, end_s=30, status="busy")],
        logs={sid(2): [logged(1), logged(2), logged(2)]},
        events={
            sid(2): [
                insight(1),
                insight(2, "sdk_edge"),
                insight(3, None, "prompt_sent"),
                insight(4, "sip_edge"),
                insight(5),
            ]
        },
        summaries={sid(2): {"call_sid": sid(2), "processing_state": "partial", "duration": 30}},
    )


def ask(
    name: str, url: str, held: FakeResources | None = None, authorization: str = OWN, **names: str
) -> ApiResponse:
    if url.startswith(CALLS):
        names["account"] = ACCOUNT
    return answered(provider_routes(held or resources(), KEYS), name, url, authorization, **names)


def calls(query: str = "", held: FakeResources | None = None) -> dict[str, Any]:
    answer = ask("calls", f"{CALLS}.json{query}", held)
    assert answer.status == 200
    return dict(answer.body)


def test_a_list_is_in_an_envelope_with_relative_links() -> None:
    held = resources()
    body = calls("?PageSize=2&Status=&StartTime%3E=", held)
    after = body["next_page_uri"]
    link = f"{CALLS}.json?Status=&StartTime%3E=&PageSize=2&Page="
    assert body == {
        "first_page_uri": link + "0",
        "end": 1,
        "previous_page_uri": None,
        "calls": held.rows[:2],
        "uri": link + "0",
        "page_size": 2,
        "start": 0,
        "next_page_uri": after,
        "page": 0,
    }
    assert after.startswith(link + "1&PageToken=PA")
    second = calls(after.removeprefix(f"{CALLS}.json"), held)
    assert second == {
        "first_page_uri": link + "0",
        "end": 2,
        "previous_page_uri": second["previous_page_uri"],
        "calls": held.rows[2:],
        "uri": after,
        "page_size": 2,
        "start": 2,
        "next_page_uri": None,
        "page": 1,
    }
    first = calls(second["previous_page_uri"].removeprefix(f"{CALLS}.json"), held)
    assert (first["calls"], first["page"]) == (held.rows[:2], 0)


def test_the_links_keep_the_filters() -> None:
    body = calls("?PageSize=1&EndTime%3E=2026-03-02T10:00:00Z&From=%2B15005550006")
    assert [row["sid"] for row in body["calls"]] == [sid(2)]
    assert (
        "EndTime%3E=2026-03-02T10%3A00%3A00Z&From=%2B15005550006&PageSize=1&Page=1" in body["next_page_uri"]
    )


def test_an_empty_page_begins_and_ends_at_0() -> None:
    body = calls("?Status=queued&Page=3")
    assert (body["calls"], body["start"], body["end"], body["next_page_uri"]) == ([], 0, 0, None)


def test_the_number_of_a_page_moves_nothing() -> None:
    assert calls("?Page=1&PageSize=2")["calls"] == calls("?PageSize=2")["calls"]


def test_a_page_has_50_rows_unless_it_is_said_and_at_most_1000() -> None:
    held = FakeResources(rows=[call(number, -number) for number in range(1200)])
    assert len(calls("", held)["calls"]) == 50
    assert len(calls("?PageSize=1000", held)["calls"]) == 1000
    assert ask("calls", f"{CALLS}.json?PageSize=1001") == ApiResponse(
        {"code": 20007, "message": "Page size too large", "more_info": f"{MORE}20007", "status": 400}, 400
    )


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("PageSize=0", "PageSize"),
        ("PageSize=-1", "PageSize"),
        ("PageSize=ten", "PageSize"),
        ("Page=x", "Page"),
        ("Status=initiated", "Status"),
        ("StartTime%3E=yesterday", "StartTime>"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named(query: str, name: str) -> None:
    assert ask("calls", f"{CALLS}.json?{query}") == ApiResponse(
        {"code": 20001, "message": f"Invalid parameter {name}", "more_info": f"{MORE}20001", "status": 400},
        400,
    )


def test_a_made_up_token_is_refused() -> None:
    assert ask("calls", f"{CALLS}.json?PageToken=PA1").body["code"] == 21481
    assert ask("request_log", f"{CALLS}/{sid(2)}/Events.json?PageToken=7", call=sid(2)).body["code"] == 21481


def test_one_call_is_its_row() -> None:
    assert ask("call", f"{CALLS}/{sid(2)}.json", call=sid(2)) == ApiResponse(resources().rows[1])


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("call", f"{CALLS}/{sid(9)}.json"),
        ("request_log", f"{CALLS}/{sid(9)}/Events.json"),
        ("insights", f"/v1/Voice/{sid(9)}/Events"),
        ("summary", f"/v1/Voice/{sid(9)}/Summary"),
    ],
)
def test_what_there_is_not_is_not_found(name: str, url: str) -> None:
    assert ask(name, url, call=sid(9)) == ApiResponse(
        {
            "code": 20404,
            "message": f"The requested resource {url} was not found",
            "more_info": f"{MORE}20404",
            "status": 404,
        },
        404,
    )


def test_another_account_is_not_found() -> None:
    other = "AC" + "1" * 32
    url = f"/2010-04-01/Accounts/{other}/Calls.json"
    routes = provider_routes(resources(), KEYS)
    assert answered(routes, "calls", url, basic(), account=other).status == 404


@pytest.mark.parametrize("authorization", ["", basic(secret="wrong"), basic(KEY, "wrong"), "Bearer KEY-stub"])
@pytest.mark.parametrize("name", ["calls", "call", "request_log", "insights", "summary"])
def test_without_the_right_key_nothing_is_told(name: str, authorization: str) -> None:
    assert ask(name, "/x?PageSize=x", authorization=authorization, call=sid(9)) == ApiResponse(
        {"code": 20003, "message": "Authenticate", "more_info": f"{MORE}20003", "status": 401},
        401,
        (("WWW-Authenticate", 'Basic realm="Twilio API"'),),
    )


def test_an_api_key_opens_what_the_token_opens() -> None:
    assert ask("summary", "/x", authorization=basic(KEY, SECRET), call=sid(2)).status == 200


def test_the_request_log_is_paged_like_calls_under_its_own_name() -> None:
    body = ask("request_log", f"{CALLS}/{sid(2)}/Events.json?PageSize=2", call=sid(2)).body
    assert (body["events"], body["page_size"], body["end"]) == ([logged(1), logged(2)], 2, 1)
    last = ask("request_log", body["next_page_uri"], call=sid(2)).body
    assert (last["events"], last["next_page_uri"]) == ([logged(2)], None)


def test_the_log_of_a_call_that_has_none_yet_is_empty() -> None:
    body = ask("request_log", f"{CALLS}/{sid(3)}/Events.json", call=sid(3)).body
    assert (body["events"], body["start"], body["end"]) == ([], 0, 0)


def test_insights_are_in_an_envelope_with_absolute_links() -> None:
    url = f"/v1/Voice/{sid(2)}/Events"
    body = ask("insights", f"{url}?Edge=carrier_edge&PageSize=2", call=sid(2)).body
    link = f"http://stub.test:8083{url}?Edge=carrier_edge&PageSize=2&Page="
    after = body["meta"]["next_page_url"]
    assert body == {
        "meta": {
            "page": 0,
            "page_size": 2,
            "first_page_url": link + "0",
            "previous_page_url": None,
            "url": link + "0",
            "next_page_url": after,
            "key": "events",
        },
        "events": [insight(1), insight(3, None, "prompt_sent")],
    }
    assert after.startswith(link + "1&PageToken=PA")
    last = ask("insights", after, call=sid(2)).body
    assert (last["events"], last["meta"]["next_page_url"]) == ([insight(5)], None)
    assert last["meta"]["previous_page_url"].startswith(link + "0&PageToken=PB")


@pytest.mark.parametrize(
    ("edge", "numbers"),
    [
        ("carrier_edge", [1, 3, 5]),
        ("sdk_edge", [2]),
        ("sip_edge", [4]),
        ("client_edge", []),
        ("unknown_edge", []),
    ],
)
def test_an_edge_has_its_own_rows_and_the_carrier_s_those_without_one(edge: str, numbers: list[int]) -> None:
    body = ask("insights", f"/v1/Voice/{sid(2)}/Events?Edge={edge}", call=sid(2)).body
    assert [row["carrier_edge"]["n"] for row in body["events"]] == numbers


@pytest.mark.parametrize(
    ("fields", "edge"),
    [
        ({}, "carrier_edge"),
        ({"to": "client:zoë"}, "sdk_edge"),
        ({"from": "client:zoë"}, "sdk_edge"),
        ({"to": "sip:a@b.test"}, "sip_edge"),
    ],
)
def test_the_edge_that_is_read_unasked_depends_on_the_call(fields: dict[str, str], edge: str) -> None:
    held = resources()
    held.rows[1] |= fields
    unasked = ask("insights", f"/v1/Voice/{sid(2)}/Events", held, call=sid(2)).body
    named = ask("insights", f"/v1/Voice/{sid(2)}/Events?Edge={edge}", held, call=sid(2)).body
    assert unasked["events"] == named["events"] != []


def test_an_edge_that_there_is_not_is_refused() -> None:
    assert ask("insights", f"/v1/Voice/{sid(2)}/Events?Edge=ashburn", call=sid(2)).status == 400


def test_the_complete_summary_is_not_there_before_it_is_complete() -> None:
    url, held = f"/v1/Voice/{sid(2)}/Summary", resources()
    partial = held.summaries[sid(2)]
    assert ask("summary", f"{url}?ProcessingState=complete", held, call=sid(2)).status == 404
    assert ask("summary", f"{url}?ProcessingState=partial", held, call=sid(2)) == ApiResponse(partial)
    assert ask("summary", url, held, call=sid(2)) == ApiResponse(partial)
    complete = held.summaries[sid(2)] = {**partial, "processing_state": "complete"}
    assert ask("summary", f"{url}?ProcessingState=complete", held, call=sid(2)) == ApiResponse(complete)
    assert ask("summary", f"{url}?ProcessingState=partial", held, call=sid(2)) == ApiResponse(complete)
    assert ask("summary", f"{url}?ProcessingState=completed", held, call=sid(2)).status == 400
