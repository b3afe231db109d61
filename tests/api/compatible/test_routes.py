"""The providers' paths in the app: who may read what, and errors in the provider's words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from stream.api.compatible import twilio_store
from stream.api.compatible.routes import routes
from stream.archive import placed_calls
from stream.core.privacy.masking import Privacy
from stream.provider_api.http_types import COMPLETENESS, Row
from stream.service.tables.api_tokens import line_of, read_tokens
from tests.api.clients import basic, bearer, client
from tests.api.compatible.simulated import Simulated, simulated

OTHER = "AC" + "0" * 32
OWN, MASKED, FOREIGN, TELNYX, EVERY = (
    "token-own",
    "token-masked",
    "token-foreign",
    "token-telnyx",
    "token-all",
)
READ, NUMBERS = ["read"], ["read", "read:numbers"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    with simulated(tmp_path_factory.mktemp("archive"), calls=40) as one:
        yield one


@contextmanager
def app(found: Simulated, archive: Any = None, **settings: Any) -> Iterator[TestClient[Any]]:
    account, telnyx = found.providers.twilio_account, found.providers.telnyx_account
    lines = (
        line_of("own", NUMBERS, [account], OWN),
        line_of("masked", READ, [account, telnyx], MASKED),
        line_of("foreign", NUMBERS, [OTHER, "another"], FOREIGN),
        line_of("telnyx", NUMBERS, [telnyx], TELNYX),
        line_of("all", NUMBERS, [], EVERY),
    )
    tokens = read_tokens("\n".join(lines))
    with client(archive or found.archive, routes(), **{"api_tokens": tokens, **settings}) as http:
        yield http


def leg_of(found: Simulated) -> str:
    leg: str = found.provider("call_events", {"page[size]": "250"}).body["data"][0]["call_leg_id"]
    return leg


def call_of(found: Simulated) -> Row:
    row: Row = found.provider("calls", {"Status": "completed"}).body["calls"][0]
    return row


def paths(found: Simulated) -> dict[str, str]:
    calls, sid = f"/2010-04-01/Accounts/{found.providers.twilio_account}/Calls", call_of(found)["sid"]
    return {
        "calls": f"{calls}.json",
        "call": f"{calls}/{sid}.json",
        "request_log": f"{calls}/{sid}/Events.json",
        "insights": f"/v1/Voice/{sid}/Events",
        "summary": f"/v1/Voice/{sid}/Summary",
        "call_events": f"/v2/call_events?filter[leg_id]={leg_of(found)}",
    }


NAMES = ("calls", "call", "request_log", "insights", "summary", "call_events")


@pytest.mark.parametrize("name", NAMES)
def test_a_path_gives_what_the_store_has(found: Simulated, name: str) -> None:
    account = found.providers.twilio_account
    with app(found) as http:
        headers = bearer(TELNYX) if name == "call_events" else basic(account, OWN)
        answer = http.get(paths(found)[name], headers=headers)
    names = {"call": call_of(found)["sid"]}
    query = {"filter[leg_id]": leg_of(found)} if name == "call_events" else {}
    expected = found.callstream(name, query, **names)
    assert answer.status_code == 200
    assert answer.headers["X-Callstream-Completeness"] == "complete"
    rows = {"calls": "calls", "request_log": "events", "insights": "events", "call_events": "data"}.get(name)
    assert (
        (answer.json()[rows], bool(rows)) == (expected.body[rows], True)
        if rows
        else (answer.json() == expected.body)
    )


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_another_account_is_told(found: Simulated, name: str) -> None:
    with app(found) as http:
        for headers in (bearer(FOREIGN), basic("foreign", FOREIGN), basic(OTHER, FOREIGN)):
            answer = http.get(paths(found)[name], headers=headers)
            if name == "call_events":
                assert answer.json()["data"] == []
            else:
                assert (answer.status_code, answer.json()["code"]) == (404, 20404)


def test_the_account_of_basic_is_the_one_that_is_read(found: Simulated) -> None:
    """A token of all accounts reads only that of its user, where the path names none."""
    with app(found) as http:
        assert http.get(paths(found)["insights"], headers=basic(OTHER, EVERY)).status_code == 404
        own = basic(found.providers.twilio_account, EVERY)
        assert http.get(paths(found)["insights"], headers=own).status_code == 200
        assert http.get(paths(found)["insights"], headers=bearer(EVERY)).status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_without_a_token_it_is_the_provider_s_401(found: Simulated, name: str) -> None:
    with app(found) as http:
        for headers in ({}, bearer("wrong"), basic(found.providers.twilio_account, FOREIGN)):
            answer = http.get(paths(found)[name], headers=headers)
            assert answer.status_code == 401
            assert answer.headers["Content-Type"] == "application/json"
            if name == "call_events":
                assert answer.json()["errors"][0]["code"] == "10009"
            else:
                assert answer.json()["code"] == 20003
                assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("name", NAMES)
def test_too_many_requests_are_the_provider_s_429(found: Simulated, name: str) -> None:
    with app(found, api_rate=0.2) as http:
        answers = [http.get(paths(found)[name], headers=bearer(EVERY)) for _ in range(3)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) > 0
    body = answers[-1].json()
    assert body["errors"][0]["code"] == "10011" if name == "call_events" else body["code"] == 20429


class Away:
    """An archive whose database does not answer."""

    def __getattr__(self, name: str) -> Any:
        def read(*_: Any, **__: Any) -> Any:
            raise OSError("the archive does not answer")

        return read


@pytest.mark.parametrize("name", NAMES)
def test_while_the_archive_is_away_it_is_503(found: Simulated, name: str) -> None:
    with app(found, Away()) as http:
        answer = http.get(paths(found)[name], headers=bearer(EVERY))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.headers["Content-Type"] == "application/json"


def test_numbers_are_masked_for_a_token_that_may_not_read_them(found: Simulated) -> None:
    row, account = call_of(found), found.providers.twilio_account
    masked = Privacy("masked").address
    with app(found) as http:
        whole = http.get(paths(found)["call"], headers=basic(account, OWN)).json()
        answer = http.get(paths(found)["call"], headers=basic(account, MASKED)).json()
        assert (whole["from"], whole["to"]) == (row["from"], row["to"])
        assert (answer["from"], answer["to"]) == (masked(row["from"]), masked(row["to"]))
        assert masked(row["to"]) != row["to"]
        digits = row["to"].lstrip("+")
        for name in NAMES:
            assert digits not in http.get(paths(found)[name], headers=bearer(MASKED)).text
        assert digits in http.get(paths(found)["request_log"], headers=basic(account, OWN)).text


@pytest.mark.parametrize("name", NAMES)
def test_who_reads_numbers_is_logged(found: Simulated, caplog: pytest.LogCaptureFixture, name: str) -> None:
    caplog.set_level(logging.INFO, "callstream.api.audit")
    with app(found) as http:
        http.get(paths(found)[name], headers=bearer(MASKED))
        assert caplog.messages == []
        http.get(paths(found)[name], headers=bearer(EVERY))
    key = f"telnyx:{leg_of(found)}" if name == "call_events" else f"twilio:{call_of(found)['sid']}"
    assert any("the token all has read the numbers of" in line and key in line for line in caplog.messages)


def test_a_call_needs_its_suffix(found: Simulated) -> None:
    path = paths(found)["call"].removesuffix(".json")
    with app(found) as http:
        answer = http.get(path, headers=bearer(EVERY))
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)


@pytest.mark.parametrize(
    "sid", ["CA%00", "..%2f..", "ä", "%F0%9F%93%9E", "CA' OR 1=1 --", "x" * 2000, "%", "{}"]
)
def test_an_odd_id_is_not_there(found: Simulated, sid: str) -> None:
    calls = paths(found)["calls"].removesuffix(".json")
    with app(found) as http:
        for path in (f"{calls}/{sid}.json", f"{calls}/{sid}/Events.json", f"/v1/Voice/{sid}/Summary"):
            assert http.get(path, headers=bearer(EVERY)).status_code == 404
        leg = http.get("/v2/call_events", params={"filter[leg_id]": sid}, headers=bearer(EVERY))
        assert leg.json()["data"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"PageToken": "PA" + "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkuMQ"},
        {"PageToken": "PAMS5CYQ"},
        {"PageToken": "PBMS4xLjE"},
        {"StartTime>": "0001-01-01", "EndTime<": "9999-12-31T23:59:59Z"},
        {"EndTime": "9999-12-31"},
        {"EndTime<": "0001-01-01T00:00:00+23:59"},
        {"ParentCallSid": "\x00"},
        {"To": "'\"%_\\"},
        {"Status": ["busy", "failed"]},
        {"PageSize": "1e3"},
    ],
    ids=str,
)
def test_an_odd_query_is_answered_or_refused(found: Simulated, query: dict[str, Any]) -> None:
    with app(found) as http:
        answer = http.get(paths(found)["calls"], params=query, headers=bearer(EVERY))
    assert answer.status_code in (200, 400)


@pytest.mark.parametrize("at", ["0001-01-01", "9999-12-31T23:59:59.999999Z", "1969-12-31T00:00:00Z"])
@pytest.mark.parametrize("how", ["eq", "gt", "gte", "lt", "lte"])
def test_a_distant_time_of_the_log_is_answered(found: Simulated, how: str, at: str) -> None:
    with app(found) as http:
        query = {f"filter[occurred_at][{how}]": at}
        for more in ({}, {"filter[application_session_id]": "s"}):
            answer = http.get("/v2/call_events", params={**query, **more}, headers=bearer(EVERY))
            assert answer.status_code == 200


def test_links_of_voice_insights_are_the_client_s_own_address(found: Simulated) -> None:
    with app(found) as http:
        plain = http.get(paths(found)["insights"], headers=bearer(EVERY)).json()["meta"]["url"]
        headers = {**bearer(EVERY), "X-Forwarded-Proto": "https", "Host": "calls.example.test"}
        proxied = http.get(paths(found)["insights"], headers=headers).json()["meta"]["url"]
    assert plain.startswith("http://")
    assert proxied.startswith(f"https://calls.example.test{paths(found)['insights']}?")


def test_a_page_looks_at_a_bounded_number_of_calls(found: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is short then, and leads on to the rest."""
    query = {"PageSize": "3", "EndTime<": "2025-10-10", "StartTime>": "2025-10-01", "Status": "completed"}
    expected = [row["sid"] for row in found.callstream("calls", {**query, "PageSize": "1000"}).body["calls"]]
    monkeypatch.setattr(twilio_store, "MOST_CHECKED", 4)
    monkeypatch.setattr(twilio_store, "_statuses", lambda _: ())  # left to the check of the rows
    rows, sizes = [], []
    for _ in range(40):
        answer = found.callstream("calls", query)
        rows += [row["sid"] for row in answer.body["calls"]]
        sizes.append(len(answer.body["calls"]))
        if answer.body["next_page_uri"] is None:
            break
        query["PageToken"] = answer.body["next_page_uri"].partition("PageToken=")[2]
    assert rows == expected
    assert min(sizes[:-1]) < 3


def test_a_list_whose_calls_have_more_events_than_are_read_says_so(
    found: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placed_calls, "MOST_LISTED_EVENTS", 5)
    said = dict(found.callstream("calls", {}).headers)[COMPLETENESS]
    assert said.split(";")[-1] == "cut"


def test_the_document_names_every_parameter(found: Simulated) -> None:
    with app(found) as http:
        document = http.get("/openapi.json").json()
    named = {
        path: {one["name"] for one in item["get"]["parameters"]} for path, item in document["paths"].items()
    }
    paging = {"PageSize", "Page", "PageToken"}
    calls = "/2010-04-01/Accounts/{account}/Calls"
    assert named[f"{calls}.json"] == paging | {"account", "To", "From", "ParentCallSid", "Status"} | {
        f"{name}{how}" for name in ("StartTime", "EndTime") for how in ("", "<", ">")
    }
    assert named[f"{calls}/{{call}}"] == {"account", "call"}
    assert named[f"{calls}/{{call}}/Events.json"] == paging | {"account", "call"}
    assert named["/v1/Voice/{call}/Events"] == paging | {"call", "Edge"}
    assert named["/v1/Voice/{call}/Summary"] == {"call", "ProcessingState"}
    assert len(named["/v2/call_events"]) == 18


def test_nothing_can_be_changed(found: Simulated) -> None:
    with app(found) as http:
        for path in paths(found).values():
            assert http.post(path, headers=bearer(EVERY)).status_code == 405


def test_the_folder_of_the_archive_is_not_named(found: Simulated) -> None:
    """No answer says where the file is."""
    with app(found) as http:
        answer = http.get(paths(found)["calls"] + "?PageToken=x", headers=bearer(EVERY))
    assert str(Path(found.folder)) not in answer.text
