"""The same query to the simulated provider and to the archive of its calls: the same rows, but for what no
source has carried.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from stream.api.compatible import telnyx_store
from stream.provider_api.http_types import ApiResponse, Row
from stream.provider_api.time_formats import iso_us
from tests.api.compatible.simulated import Simulated, simulated

NOT_KEPT: dict[str, frozenset[str]] = {
    # Of a row that was read before its price came, by the version without it.
    "calls": frozenset({"date_updated"}),
    "call": frozenset({"date_updated"}),
    "request_log": frozenset({"response.response_body"}),
    "insights": frozenset(),
    "summary": frozenset(),
    # A row whose delivery `webhook_deliveries` told of first, and every webhook's id.
    "call_events": frozenset({"metadata.event.id", "metadata.delivered_to"}),
}
"""What may be null here and is not at the provider, by resource."""

LEFT_OUT = {"metadata.event.payload.client_state", "metadata.organization_id"}
"""What may be missing here: `client_state` is the customer's own, and never leaves."""

MAY_BE_OLD = {"metadata.attempt"}
"""How often a webhook was tried, when its row was first read."""


@pytest.fixture(scope="module", params=[0, 20], ids=["read-at-the-end", "read-all-the-time"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    with simulated(tmp_path_factory.mktemp("archive"), looks_every=request.param) as found:
        yield found


def differences(resource: str, theirs: Any, ours: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Where a row of ours is not the provider's: (path, theirs, ours)."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            one
            for name in {**theirs, **ours}
            for one in differences(
                resource, theirs.get(name), ours.get(name), f"{path}.{name}" if path else name
            )
        ]
    if theirs == ours or path in MAY_BE_OLD or (ours is None and path in NOT_KEPT[resource] | LEFT_OUT):
        return []
    if path == "request.url" and theirs.partition("?")[0] == ours:  # a query may hold secrets
        return []
    return [(path, theirs, ours)]


def assert_same(resource: str, theirs: list[Row], ours: list[Row]) -> None:
    assert len(theirs) == len(ours)
    for one, other in zip(theirs, ours, strict=True):
        assert differences(resource, one, other) == []


def by_time(rows: list[Row]) -> list[Row]:
    """Calls of one second have no order."""
    return sorted(rows, key=lambda row: (row["date_created"], row["sid"]))


def whole_walk(ask: Any, size: str, parameters: Mapping[str, str]) -> list[Row]:
    rows: list[Row] = []
    asked: dict[str, str] = {**parameters, "PageSize": size}
    for _ in range(200):
        body = ask("calls", asked).body
        rows += body["calls"]
        if body["next_page_uri"] is None:
            return rows
        token = body["next_page_uri"].partition("PageToken=")[2]
        asked["PageToken"] = token
    raise AssertionError("the pages do not end")


def some_call(both: Simulated, **wanted: Any) -> Row:
    rows = both.provider("calls", {"PageSize": "1000"}).body["calls"]
    found: Row = next(row for row in rows if all(row[name] == value for name, value in wanted.items()))
    return found


def call_queries(both: Simulated) -> list[dict[str, str]]:
    one, busy = some_call(both, status="completed"), some_call(both, status="busy")
    rows = both.provider("calls", {"PageSize": "1000"}).body["calls"]
    parent = next(row["parent_call_sid"] for row in rows if row["parent_call_sid"])
    day, at = "2025-10-09", iso_us(both.now_us - 5_000_000_000)[:19] + "Z"
    statuses = ("completed", "busy", "failed", "no-answer", "canceled", "queued")
    return [
        {},
        *({"Status": status} for status in statuses),
        {"To": one["to"]},
        {"From": one["from"]},
        {"To": busy["to"], "Status": "busy"},
        {"From": one["from"], "To": one["to"]},
        {"ParentCallSid": parent},
        {"StartTime": day},
        {"EndTime": day},
        {"StartTime": "2025-10-01"},
        {"StartTime>": at},
        {"StartTime<": at},
        {"EndTime>": at, "Status": "completed"},
        {"EndTime<": at},
        {"StartTime>": "2025-10-08", "StartTime<": "2025-10-10"},
    ]


def test_the_same_calls_come_for_each_filter_and_page_size(both: Simulated) -> None:
    found = 0
    for query in call_queries(both):
        for size in ("1000", "7"):
            theirs = whole_walk(both.provider, size, query)
            ours = whole_walk(both.callstream, size, query)
            assert_same("calls", by_time(theirs), by_time(ours))
            found += bool(theirs)
    assert found > 25


def test_calls_come_in_the_order_of_their_creation(both: Simulated) -> None:
    theirs = both.provider("calls", {"PageSize": "1000"}).body["calls"]
    ours = both.callstream("calls", {"PageSize": "1000"}).body["calls"]
    assert [row["date_created"] for row in ours] == [row["date_created"] for row in theirs]


def test_the_way_back_leads_over_the_same_pages(both: Simulated) -> None:
    forward = [both.callstream("calls", {"PageSize": "10"}).body]
    while (link := forward[-1]["next_page_uri"]) is not None:
        token = link.partition("PageToken=")[2]
        forward.append(both.callstream("calls", {"PageSize": "10", "PageToken": token}).body)
    at = forward[-1]
    for expected in reversed(forward[:-1]):
        token = at["previous_page_uri"].partition("PageToken=")[2]
        at = both.callstream("calls", {"PageSize": "10", "PageToken": token}).body
        assert at["calls"] == expected["calls"]
        assert at["next_page_uri"] is not None
    assert at["previous_page_uri"] is None
    assert len(forward) > 5


def sids(both: Simulated) -> list[str]:
    return [row["sid"] for row in both.provider("calls", {"PageSize": "1000"}).body["calls"]]


def test_each_call_is_the_same_alone(both: Simulated) -> None:
    for sid in sids(both):
        theirs, ours = both.provider("call", call=sid), both.callstream("call", call=sid)
        assert differences("call", theirs.body, ours.body) == []
        assert dict(ours.headers) == {"X-Callstream-Completeness": "complete"}


def unordered(rows: list[Row]) -> list[Row]:
    """The rows of a log, which Twilio gives no order."""

    def place(row: Row) -> str:
        if "request" not in row:
            return str([row[name] for name in ("timestamp", "group", "name", "edge", "level")])
        asked, answered = row["request"], row["response"] or {}
        url = asked["url"].partition("?")[0]
        return str([url, sorted(asked["parameters"].items()), answered.get("date_created")])

    return sorted(rows, key=place)


def test_each_request_log_is_the_same(both: Simulated) -> None:
    rows = 0
    for sid in sids(both):
        theirs = both.provider("request_log", call=sid).body["events"]
        ours = both.callstream("request_log", call=sid).body["events"]
        assert_same("request_log", unordered(theirs), unordered(ours))
        rows += len(ours)
    assert rows > 200


EDGES = [{}, *({"Edge": f"{edge}_edge"} for edge in ("carrier", "sdk", "sip", "client", "unknown"))]


@pytest.mark.parametrize("query", EDGES, ids=str)
def test_the_events_of_each_edge_are_the_same(both: Simulated, query: dict[str, str]) -> None:
    for sid in sids(both):
        theirs = both.provider("insights", query, call=sid).body["events"]
        ours = both.callstream("insights", query, call=sid).body["events"]
        assert_same("insights", unordered(theirs), unordered(ours))


@pytest.mark.parametrize("state", [None, "complete", "partial", "all"])
def test_each_summary_is_the_same(both: Simulated, state: str | None) -> None:
    query = {} if state is None else {"ProcessingState": state}
    for sid in sids(both):
        theirs, ours = both.provider("summary", query, call=sid), both.callstream("summary", query, call=sid)
        assert (theirs.status, differences("summary", theirs.body, ours.body)) == (ours.status, [])


def log_queries(both: Simulated) -> list[dict[str, str]]:
    rows = both.provider("call_events", {"page[size]": "250"}).body["data"]
    leg, session = rows[5]["call_leg_id"], rows[9]["call_session_id"]
    payload = next(row["metadata"]["event"]["payload"] for row in rows if row["metadata"])
    at = rows[40]["event_timestamp"]
    return [
        {},
        {"filter[leg_id]": leg},
        {"filter[application_session_id]": session},
        {"filter[leg_id]": leg, "filter[application_session_id]": session},
        {"filter[leg_id]": "nobody"},
        {"filter[type]": "command"},
        {"filter[type]": "webhook"},
        {"filter[name]": "call.hangup"},
        {"filter[failed]": "true"},
        {"filter[failed]": "false"},
        {"filter[product]": "call_control"},
        {"filter[product]": "fax"},
        {"filter[connection_id]": payload["connection_id"]},
        {"filter[connection_id]": "another"},
        {"filter[from]": payload["from"]},
        {"filter[to]": payload["to"], "filter[type]": "webhook"},
        {"filter[application_name][contains]": "some"},
        {"filter[outbound.outbound_voice_profile_id]": "9"},
        *({f"filter[occurred_at][{how}]": at} for how in ("eq", "gt", "gte", "lt", "lte")),
        {"filter[occurred_at][gte]": at, "filter[name]": "call.answered"},
    ]


@pytest.mark.parametrize("legs", [7, telnyx_store.LEGS_AT_ONCE])
def test_the_same_rows_of_telnyx_log_come_for_each_filter_and_page(
    both: Simulated, monkeypatch: pytest.MonkeyPatch, legs: int
) -> None:
    monkeypatch.setattr(telnyx_store, "LEGS_AT_ONCE", legs)
    found = 0
    for query in log_queries(both):
        for size in ("250", "9"):
            for number in ("1", "2", "3"):
                asked = {**query, "page[size]": size, "page[number]": number}
                theirs, ours = both.provider("call_events", asked), both.callstream("call_events", asked)
                assert theirs.body["meta"] == ours.body["meta"], query
                assert_same("call_events", theirs.body["data"], ours.body["data"])
                found += bool(theirs.body["data"])
    assert found > 40


def test_few_legs_of_a_day_are_in_memory_at_once(both: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(legs: int) -> int:
        monkeypatch.setattr(telnyx_store, "LEGS_AT_ONCE", legs)
        tracemalloc.start()
        assert len(both.callstream("call_events", {"page[size]": "9"}).body["data"]) == 9
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # what is made once is there then
    assert peak(2) < peak(1000) / 2


@pytest.mark.parametrize(
    ("resource", "query"),
    [
        ("calls", {"Status": "initiated"}),
        ("calls", {"StartTime": "today"}),
        ("calls", {"PageSize": "1001"}),
        ("calls", {"PageSize": "0"}),
        ("calls", {"PageToken": "PAx"}),
        ("insights", {"Edge": "edge"}),
        ("summary", {"ProcessingState": "done"}),
        ("call_events", {"filter[status]": "init"}),
        ("call_events", {"filter[failed]": "no"}),
        ("call_events", {"filter[occurred_at][gte]": "2025-10-09T10:00:00Z", "filter[occurred_at][lt]": "x"}),
        ("call_events", {"page[size]": "251"}),
        ("call_events", {"page[number]": "0"}),
    ],
)
def test_errors_are_worded_alike(both: Simulated, resource: str, query: dict[str, str]) -> None:
    names = {"call": sids(both)[0]}
    theirs = both.provider(resource, query, **names)
    assert theirs.status == 400
    assert both.callstream(resource, query, **names) == theirs


@pytest.mark.parametrize("resource", ["call", "request_log", "insights", "summary"])
def test_a_call_that_there_is_not_is_not_there(both: Simulated, resource: str) -> None:
    theirs: ApiResponse = both.provider(resource, call="CA" + "0" * 32)
    assert theirs.status == 404
    assert both.callstream(resource, call="CA" + "0" * 32) == theirs
