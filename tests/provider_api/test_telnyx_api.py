"""Telnyx' answers, whole: filters, pages by number, errors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.provider_api.http_types import ApiResponse
from stream.simulator.rest.provider_resources import provider_routes
from tests.simulator.rest.resource_fakes import (
    BEARER,
    KEYS,
    FakeResources,
    Row,
    answered,
    command,
    delivery,
    leg,
    telnyx_event,
)

DAY_S = 86_400
AT = "2026-03-02T09:59:57"
EVENTS = [
    telnyx_event(4, -1, to="+15005550009", application_name="Front Desk", outbound_voice_profile_id="9"),
    telnyx_event(4, -2.5, "call.answered", product="texml"),
    {**telnyx_event(3, -3), "metadata": {**telnyx_event(3, -3)["metadata"], "status": "failed"}},
    command(3, -4),
    telnyx_event(2, -DAY_S),
    telnyx_event(2, -DAY_S - 1, "call.answered"),
    telnyx_event(1, -3 * DAY_S),
]
DELIVERIES = [delivery(4, -1), delivery(3, -2, 60, "failed"), delivery(2, -3), delivery(1, -100)]


def ask(
    query: str, held: FakeResources | None = None, name: str = "call_events", key: str = BEARER
) -> ApiResponse:
    held = held or FakeResources(telnyx=list(EVENTS), deliveries=list(DELIVERIES))
    return answered(provider_routes(held, KEYS), name, f"/v2/{name}?{query}", key)


def rows(query: str, name: str = "call_events") -> list[Row]:
    answer = ask(query, name=name)
    assert answer.status == 200, answer.body
    return list(answer.body["data"])


def events(query: str) -> list[int]:
    """Their places in EVENTS."""
    return [EVENTS.index(row) for row in rows(query)]


def deliveries(query: str) -> list[int]:
    """Their places in DELIVERIES."""
    return [DELIVERIES.index(row) for row in rows(query, "webhook_deliveries")]


def refusal(parameter: str, detail: str) -> ApiResponse:
    one: dict[str, Any] = {
        "code": "10015",
        "title": "Bad Request",
        "detail": detail,
        "source": {"parameter": parameter},
        "meta": {"url": "https://developers.telnyx.com/docs/overview/errors/10015"},
    }
    return ApiResponse({"errors": [one]}, 400)


def test_the_log_is_that_of_the_last_24_hours_newest_first() -> None:
    assert ask("") == ApiResponse(
        {
            "data": EVENTS[:5],
            "meta": {"total_pages": 1, "total_results": 5, "page_number": 1, "page_size": 20},
        }
    )


def test_of_a_leg_or_a_session_all_is_searched() -> None:
    assert events(f"filter[leg_id]={leg(1)}") == [6]
    assert events(f"filter[leg_id]={leg(2)}") == [4, 5]
    assert events("filter[application_session_id]=session-1") == [2, 3, 4, 5]
    assert events(f"filter[leg_id]={leg(2)}&filter[application_session_id]=session-0") == []
    assert events("filter[leg_id]=nobody") == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("filter[type]=command", [3]),
        ("filter[type]=webhook", [0, 1, 2, 4]),
        ("filter[name]=call.answered", [1]),
        ("filter[failed]=true", [2]),
        ("filter[failed]=false", [0, 1, 3, 4]),
        ("filter[product]=texml", [1]),
        ("filter[product]=call_control", [0, 2, 3, 4]),
        ("filter[product]=fax", []),
        ("filter[to]=%2B15005550009", [0]),
        ("filter[from]=%2B15005550006", [0, 1, 2, 4]),
        ("filter[connection_id]=17", [0, 1, 2, 4]),
        ("filter[application_name][contains]=DESK", [0]),
        ("filter[outbound.outbound_voice_profile_id]=9", [0]),
        (f"filter[leg_id]={leg(4)}&filter[name]=call.hangup", [0]),
    ],
)
def test_each_documented_filter_is_taken(query: str, found: list[int]) -> None:
    assert events(query) == found


@pytest.mark.parametrize(
    ("operator", "found"),
    [("eq", [2]), ("gt", [0, 1]), ("gte", [0, 1, 2]), ("lt", [3, 4]), ("lte", [2, 3, 4])],
)
@pytest.mark.parametrize(
    "at", ["2026-03-02T09:59:57.000000Z", "2026-03-02T09:59:57Z", "2026-03-02T04:59:57-05:00"]
)
def test_a_time_is_compared_as_a_time(operator: str, found: list[int], at: str) -> None:
    assert events(f"filter[occurred_at][{operator}]={at}") == found


def test_only_one_operator_is_taken_and_it_must_be_one() -> None:
    detail = "The parameter takes exactly one of eq, gt, gte, lt, lte."
    at = "2026-03-02T09:59:57Z"
    both = f"filter[occurred_at][gte]={at}&filter[occurred_at][lt]={at}"
    assert ask(both) == refusal("filter[occurred_at]", detail)
    assert ask(f"filter[occurred_at][ne]={at}") == refusal("filter[occurred_at]", detail)


@pytest.mark.parametrize(
    ("parameter", "value", "detail"),
    [
        ("filter[call_leg_id]", "x", "is not documented"),
        ("filter[status]", "init", "is not documented"),
        ("filter[type]", "event", "must be one of command, webhook"),
        ("filter[failed]", "yes", "must be one of true, false"),
        ("filter[product]", "sms", "must be one of call_control, fax, texml"),
        ("filter[occurred_at][gte]", "yesterday", "must be an ISO 8601 time"),
        ("filter[occurred_at][gte]", "x" * 26 + "Z", "must be an ISO 8601 time"),
        ("filter[application_name][contains]", "de", "must have at least three characters"),
        ("page[size]", "251", "must be a whole number from 1 to 250"),
        ("page[size]", "0", "must be a whole number from 1 to 250"),
        ("page[number]", "0", "must be a whole number from 1 to 999999999"),
        ("page[number]", "two", "must be a whole number from 1 to 999999999"),
    ],
)
def test_what_cannot_be_taken_is_named(parameter: str, value: str, detail: str) -> None:
    assert ask(f"{parameter}={value}") == refusal(parameter, f"The parameter {detail}.")


@pytest.mark.parametrize("name", ["call_events", "webhook_deliveries"])
@pytest.mark.parametrize("key", ["", "Bearer wrong", "Basic KEY-stub"])
def test_without_the_right_key_nothing_is_told(name: str, key: str) -> None:
    one = {
        "code": "10009",
        "title": "Authentication failed",
        "detail": "The required authentication headers were either invalid or not included in the request.",
        "meta": {"url": "https://developers.telnyx.com/docs/overview/errors/10009"},
    }
    assert ask("page[size]=0", name=name, key=key) == ApiResponse({"errors": [one]}, 401)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 25), st.booleans())
def test_the_numbered_pages_hold_each_row_once(count: int, size: int, filtered: bool) -> None:
    held = FakeResources(telnyx=[telnyx_event(number, -number) for number in range(count)])
    query = f"page[size]={size}" + ("&filter[name]=call.hangup" if filtered else "")
    met: list[Row] = []
    number = 1
    while (body := ask(f"{query}&page[number]={number}", held).body)["data"]:
        met += body["data"]
        assert body["meta"] == {
            "total_pages": -(-count // size),
            "total_results": count,
            "page_number": number,
            "page_size": size,
        }
        number += 1
    assert met == held.telnyx
    assert number == -(-count // size) + 1


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
def test_new_rows_push_others_onto_the_next_page_but_hide_none(count: int, size: int, more: int) -> None:
    held = FakeResources(telnyx=[telnyx_event(number, -number - 100) for number in range(count)])
    before, met, number = list(held.telnyx), [], 1
    while body := ask(f"page[size]={size}&page[number]={number}", held).body["data"]:
        met += body
        number += 1
        if number == 2:
            held.telnyx[:0] = [telnyx_event(100 + one, -50 - one) for one in range(more)]
    assert [row for row in before if row in met] == before


def test_deliveries_are_all_there_newest_first() -> None:
    assert ask("", name="webhook_deliveries") == ApiResponse(
        {
            "data": DELIVERIES,
            "meta": {"total_pages": 1, "total_results": 4, "page_number": 1, "page_size": 20},
        }
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("filter[status][eq]=failed", [1]),
        ("filter[event_type]=call.answered", [0, 2]),
        ("filter[event_type]=call.answered,call.hangup", [0, 1, 2, 3]),
        ("filter[webhook][contains]=event-2", [2]),
        ("filter[attempts][contains]=failed", [1]),
        ("filter[started_at][gte]=2026-03-02T09:59:58Z", [0, 1]),
        ("filter[started_at][lte]=2026-03-02T09:59:58Z", [1, 2, 3]),
        ("filter[started_at][gte]=2026-03-02T09:59:57Z&filter[started_at][lte]=2026-03-02T09:59:58Z", [1, 2]),
        ("filter[finished_at][gte]=2026-03-02T10:00:00Z", [0, 1]),
        ("filter[finished_at][lte]=2026-03-02T10:00:00Z", [0, 2, 3]),
        (
            "filter[finished_at][gte]=2026-03-02T09:59Z&filter[finished_at][lte]=2026-03-02T10:00:00Z",
            [0, 2],
        ),
        ("filter[finished_at][gte]=2026-03-02T09:59:58Z&filter[status][eq]=failed", [1]),
    ],
)
def test_each_filter_of_deliveries_is_taken(query: str, found: list[int]) -> None:
    assert deliveries(query) == found


def test_a_delivery_that_is_not_finished_was_not_finished_by_then() -> None:
    held = FakeResources(deliveries=[{**delivery(1, -1), "finished_at": None}])
    for operator in ("gte", "lte"):
        query = f"filter[finished_at][{operator}]=2026-03-02T10:00:00Z"
        assert ask(query, held, "webhook_deliveries").body["data"] == []


@pytest.mark.parametrize(
    ("parameter", "value", "detail"),
    [
        ("filter[status]", "failed", "is not documented"),
        ("filter[status][eq]", "lost", "must be one of delivered, failed"),
        ("filter[started_at][gt]", "2026-03-02T10:00:00Z", "is not documented"),
        ("filter[started_at][lte]", "now", "must be an ISO 8601 time"),
        ("filter[finished_at][gte]", "now", "must be an ISO 8601 time"),
    ],
)
def test_what_deliveries_cannot_take_is_named(parameter: str, value: str, detail: str) -> None:
    answer = ask(f"{parameter}={value}", name="webhook_deliveries")
    assert answer == refusal(parameter, f"The parameter {detail}.")
