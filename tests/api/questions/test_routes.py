"""What the routes answer about calls that a worker has written."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from litestar.testing import TestClient

from stream.api.questions import filters
from stream.api.questions.routes import routes
from stream.archive.reader import open_archive
from stream.contracts.documents import document
from stream.core.alerting.rules import SEVERITIES
from stream.core.privacy.masking import Privacy
from stream.core.statuses import STATUSES
from stream.service.metrics.label_values import OUTCOMES
from tests.api.clients import ACCOUNT_A, ACCOUNT_B, ALL, NUMBERS_A, READ_A, bearer, client
from tests.api.two_accounts import A_AND_B, archive_of


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Any]]:
    """The API over an archive whose numbers are kept in full."""
    folder = tmp_path_factory.mktemp("archive")
    with archive_of(folder, A_AND_B, "full") as archive, client(archive, routes(), api_rate=1e4) as http:
        yield http


def asked(http: TestClient[Any], path: str, token: str = ALL, status: int = 200) -> Any:
    answer = http.get(path, headers=bearer(token))
    assert answer.status_code == status, answer.text
    return answer.json()


ALL_FOUR = ["answered", "answered", "busy", "failed"]


def keys(answer: Any) -> list[str]:
    return [one["key"] for one in answer["items"]]


def test_calls_are_listed_newest_first_with_what_one_filters_by(http: TestClient[Any]) -> None:
    items = asked(http, f"/v1/calls?account={ACCOUNT_A}")["items"]
    assert len(items) == 4
    assert [one["started_at"] for one in items] == sorted((one["started_at"] for one in items), reverse=True)
    assert {one["account"] for one in items} == {ACCOUNT_A}
    assert {one["outcome"] for one in items} == {"answered", "busy", "failed"}


@pytest.mark.parametrize(
    ("query", "outcomes"),
    [
        ("outcome=busy", ["busy"]),
        ("outcome=busy&outcome=failed", ["busy", "failed"]),
        ("status=busy", ["busy"]),
        ("provider=telnyx", []),
        ("since=2026-03-02T10:00:00Z&until=2026-03-03T10:00:00%2B00:00", ALL_FOUR),
        ("until=2026-03-02T10:00:00Z", []),
        ("min_duration_s=1", ["answered", "answered"]),
        ("direction=outbound&outcome=busy", ["busy"]),
        ("sip_response_code=486", ["busy"]),
    ],
)
def test_a_filter_keeps_the_calls_that_it_names(
    http: TestClient[Any], query: str, outcomes: list[str]
) -> None:
    items = asked(http, f"/v1/calls?{query}", READ_A)["items"]
    assert sorted(one["outcome"] for one in items) == outcomes


def test_pages_are_the_whole_list(http: TestClient[Any]) -> None:
    whole = keys(asked(http, "/v1/calls"))
    pages, after = [], ""
    while True:
        page = asked(http, f"/v1/calls?limit=3{after}")
        pages += keys(page)
        if page["next"] is None:
            break
        assert len(page["items"]) == 3
        after = f"&after={page['next']}"
    assert pages == whole
    assert len(whole) == 8


def test_a_call_is_told_with_its_record_events_alerts_and_timeline(http: TestClient[Any]) -> None:
    (call,) = asked(http, "/v1/calls?outcome=failed", READ_A)["items"]
    told = asked(http, f"/v1/calls/{call['key']}", NUMBERS_A)
    assert told["record"]["verdict"]["fault"] == call["fault"]
    assert [one["rule"]["id"] for one in told["alerts"]] == ["call.failed"]
    assert len(told["events"]) == 3
    assert told["timeline"]["key"] == call["key"]
    assert len(told["timeline"]["rows"]) >= 3
    events = asked(http, f"/v1/calls/{call['key']}/events?limit=2", READ_A)
    rest = asked(http, f"/v1/calls/{call['key']}/events?after={events['next']}", READ_A)
    assert [*events["items"], *rest["items"]] == asked(http, f"/v1/calls/{call['key']}", READ_A)["events"]


def test_a_call_is_found_by_a_part_of_its_id(http: TestClient[Any]) -> None:
    key = keys(asked(http, "/v1/calls?outcome=busy", READ_A))[0]
    assert asked(http, f"/v1/calls/find?part={key[8:20]}", READ_A) == {"keys": [key]}


def test_calls_are_counted_by_minute_and_outcome(http: TestClient[Any]) -> None:
    counted = asked(http, "/v1/calls/by-minute?until=2026-03-02T12:00:00Z", READ_A)["items"]
    assert {one["outcome"]: one["count"] for one in counted} == {"answered": 2, "busy": 1, "failed": 1}
    assert {one["minute"] for one in counted} == {"2026-03-02T10:00:00.000000Z"}


def test_alerts_are_listed_and_filtered(http: TestClient[Any]) -> None:
    (alert,) = asked(http, "/v1/alerts?rule=call.failed", READ_A)["items"]
    assert alert["account"] == ACCOUNT_A
    assert asked(http, f"/v1/alerts?fingerprint={alert['fingerprint']}&state={alert['state']}")["items"]
    assert asked(http, f"/v1/alerts?severity={alert['severity']}&key={alert['scope']['id']}", READ_A)["items"]
    assert asked(http, f"/v1/alerts?account={ACCOUNT_B}", READ_A) == {"items": [], "next": None}


def test_numbers_are_shown_to_those_who_may_read_them_and_the_log_says_who(
    http: TestClient[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "callstream.api.audit"):
        (call,) = asked(http, "/v1/calls?outcome=busy", NUMBERS_A)["items"]
        asked(http, f"/v1/calls/{call['key']}", NUMBERS_A)
    assert "*" not in call["from"]
    assert caplog.messages == [f"the token a-numbers has read the numbers of ['{call['key']}']"] * 2
    assert call["from"] not in caplog.text


def test_numbers_are_masked_wherever_they_stand_for_all_others(
    http: TestClient[Any], caplog: pytest.LogCaptureFixture
) -> None:
    (call,) = asked(http, "/v1/calls?outcome=busy", NUMBERS_A)["items"]
    caplog.clear()
    key = call["key"]
    ends = [call["from"], call["to"]]
    full = http.get(f"/v1/calls/{key}", headers=bearer(NUMBERS_A)).text
    assert all(end in full for end in ends)
    caplog.clear()
    with caplog.at_level(logging.INFO, "callstream.api.audit"):
        for path in ("/v1/calls", f"/v1/calls/{key}", f"/v1/calls/{key}/events", "/v1/alerts"):
            text = http.get(path, headers=bearer(READ_A)).text
            assert not [end for end in ends if end.strip("+") in text], path
    assert caplog.messages == []


def test_a_number_is_found_whether_or_not_the_token_may_read_it(http: TestClient[Any]) -> None:
    (call,) = asked(http, "/v1/calls?outcome=busy", NUMBERS_A)["items"]
    number = call["to"].replace("+", "%2B")
    assert call["key"] in keys(asked(http, f"/v1/calls?number={number}", READ_A))


def test_the_hash_beside_a_mask_is_shown_only_to_those_who_may_read_numbers(tmp_path: Path) -> None:
    with archive_of(tmp_path / "masked", [ACCOUNT_A]):
        archive = open_archive(f"sqlite:///{tmp_path / 'masked' / 'archive.sqlite'}", "secret")
        with client(archive, routes(), api_rate=1e4) as http:
            (call,) = asked(http, "/v1/calls?outcome=busy", READ_A)["items"]
            assert call["to"] == "+15*******09"
            for path in (f"/v1/calls/{call['key']}", f"/v1/calls/{call['key']}/events", "/v1/alerts"):
                text = http.get(path, headers=bearer(READ_A)).text
                assert not [said for said in ("h:", "_hash") if said in text], path
            told = asked(http, f"/v1/calls/{call['key']}", NUMBERS_A)
            (event,) = {one["to_hash"] for one in told["events"] if "to_hash" in one}
            assert told["record"]["to_hash"] == event == Privacy("hashed", "secret").address("+15005550009")
            for number, found in (("%2B15005550009", True), ("%2B15005551109", False)):
                keys_found = keys(asked(http, f"/v1/calls?number={number}", READ_A))
                assert (call["key"] in keys_found) is found
        archive.close()


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=1e3", "limit"),
        ("statsu=busy", "statsu"),
        ("status=+14155550123", "status"),
        ("since=yesterday", "since"),
        ("since=2026-11-29T00:00:00", "since"),
        ("after=!!!", "after"),
        ("after=" + "A" * 300, "after"),
        ("number=%00", "number"),
        ("error_code=a%0ab", "error_code"),
        ("account=%1b[2J", "account"),
        ("account=" + "A" * 201, "account"),
        ("sip_response_code=99999999999999999999", "sip_response_code"),
        ("min_duration_s=nan", "min_duration_s"),
        ("min_duration_s=inf", "min_duration_s"),
        ("&".join(["fault=x"] * 21), "fault"),
        ("complete=perhaps", "complete"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(http: TestClient[Any], query: str, name: str) -> None:
    problem = asked(http, f"/v1/calls?{query}", status=400)
    assert [one["name"] for one in problem["invalid"]] == [name]
    assert "4155550123" not in str(problem)


@pytest.mark.parametrize("key", ["twilio:CAx", "..%2Fetc%2Fpasswd", "x%27%20OR%201=1--", "%F0%9F%93%9E"])
def test_a_call_that_is_not_there_is_a_404(http: TestClient[Any], key: str) -> None:
    assert asked(http, f"/v1/calls/{key}", status=404)["status"] == 404
    assert asked(http, f"/v1/calls/{key}/events", status=404)["status"] == 404


def test_an_archive_that_is_not_there_is_a_503() -> None:
    archive = open_archive("sqlite:////nowhere/at/all.sqlite")
    with client(archive, routes()) as http:
        for path in ("/v1/calls", "/v1/calls/twilio:CA1", "/v1/alerts"):
            answer = http.get(path, headers=bearer(ALL))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_the_words_of_the_parameters_are_those_of_the_records() -> None:
    assert {*get_args(filters.AskedStatus)} == {*STATUSES}
    assert {*get_args(filters.AskedOutcome)} == {*OUTCOMES}
    assert {*get_args(filters.AskedSeverity)} == {*SEVERITIES}


def test_the_document_has_the_published_schemas(http: TestClient[Any]) -> None:
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    for name, title in (("Event", "event"), ("CallRecord", "call_record"), ("Alert", "alert")):
        published = document(title)
        assert [*schemas[name]["properties"]] == [*published["properties"]]
        status = schemas[name]["properties"].get("status")
        assert status is None or status["description"] == published["properties"]["status"]["description"]
    assert "$defs" not in http.get("/openapi.json").text
