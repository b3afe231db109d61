"""A token of one account learns nothing of another: a test of every route that the OpenAPI document names.

The same request is put to an archive with the account's own calls only, and to one with those of a second
account beside them: the answers are equal. Where a parameter of a path has a new name, the test asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from typing import Any

import pytest
from litestar.testing import TestClient

from stream.api.service import routes
from tests.api.clients import ACCOUNT_A, ACCOUNT_B, ALL, NUMBERS_A, READ_A, basic, bearer, client
from tests.api.two_accounts import A_AND_B, LEG, MARK_OF_B, archive_of

CALL_OF_B = f"CA{MARK_OF_B}2000000000000000000000000"[:34]

STREAMS = {"/v1/live"}
"""Answers that do not end: tests/api/live has their test."""

WITHOUT_CALLS = {"/v1/Voice/{call}/Summary"}
"""Routes that have nothing of the calls of these archives to show, whichever token asks."""

DAY = "since=2026-03-02T00:00:00Z&until=2026-03-03T00:00:00Z"
QUERIES = (
    "",
    DAY,
    f"account={ACCOUNT_B}",
    f"key=twilio:{CALL_OF_B}",
    f"part={MARK_OF_B}",
    f"id={MARK_OF_B}",
    f"q={MARK_OF_B}",
    "limit=500",
    "PageSize=1000",
    f"filter[leg_id]={LEG.format('b' * 8)}",
)


@pytest.fixture(scope="module")
def apis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient[Any], TestClient[Any]]]:
    """The API over the calls of A, and over those of A and B."""
    folder = tmp_path_factory.mktemp("archives")
    with ExitStack() as stack:
        archives = [
            stack.enter_context(archive_of(folder / name, accounts, "full", telnyx=True))
            for name, accounts in (("a", (ACCOUNT_A,)), ("both", A_AND_B))
        ]
        alone, both = (
            stack.enter_context(client(archive, routes(), api_rate=1e6, api_timeout_s=60))
            for archive in archives
        )
        yield alone, both


def _call_of_b(http: TestClient[Any]) -> str:
    (item,) = http.get(
        "/v1/calls", params={"account": ACCOUNT_B, "outcome": "busy"}, headers=bearer(ALL)
    ).json()["items"]
    key: str = item["key"]
    assert MARK_OF_B in key
    return key


PARAMETERS = ("key", "account", "account_sid", "sid", "call", "call_sid", "call_id")
"""Names of parameters in paths, in lower case, that `_filled` has values of B for."""


def _filled(path: str, key: str) -> str:
    """The path of a call of B."""
    call_id = key.partition(":")[2]
    values = dict.fromkeys(PARAMETERS, call_id) | {
        "key": key,
        "account": ACCOUNT_B,
        "account_sid": ACCOUNT_B,
    }

    def value(match: re.Match[str]) -> str:
        name = match[1].lower()
        assert name in values, f"{path}: say in this test which value of B {{{match[1]}}} has"
        return values[name]

    return re.sub(r"\{([^}]*)\}", value, path)


def _paths(http: TestClient[Any]) -> list[str]:
    found = http.get("/openapi.json").json()["paths"]
    return [
        path
        for path, methods in found.items()
        if "get" in methods
        and not any(
            "text/event-stream" in answer.get("content", {})
            for answer in methods["get"]["responses"].values()
        )
    ]


def _places(path: str, http: TestClient[Any]) -> list[str]:
    """The path, and with the ending that Twilio's have, if it leads anywhere."""
    ended = f"{path}.json"
    is_known = http.get(ended, headers=bearer(ALL), follow_redirects=False).status_code != 404
    return [path, ended] if is_known else [path]


def _timeless(answer: Any) -> str:
    """Where it leads and its body, without the time of day that a page shows."""
    return answer.headers.get("location", "") + re.sub(r"[0-9]{2}:[0-9]{2}:[0-9]{2}", "", answer.text)


def test_a_token_of_one_account_learns_nothing_of_another(
    apis: tuple[TestClient[Any], TestClient[Any]],
) -> None:
    _, both = apis
    key = _call_of_b(both)
    unseen, told = [], []
    paths = _paths(both)
    assert len(paths) >= 6
    for path in paths:
        differs = False
        for place, query in product(_places(_filled(path, key), both), QUERIES):
            url = f"{place}?{query}"
            for headers in (bearer(READ_A), bearer(NUMBERS_A), basic(ACCOUNT_A, READ_A)):
                before, after = (one.get(url, headers=headers, follow_redirects=False) for one in apis)
                assert after.status_code < 500, url
                if (before.status_code, _timeless(before)) != (after.status_code, _timeless(after)):
                    told.append(url)
            if not differs:
                before, after = (one.get(url, headers=bearer(ALL), follow_redirects=False) for one in apis)
                differs = _timeless(before) != _timeless(after)
        if not differs and path not in WITHOUT_CALLS:
            unseen.append(path)
    assert told == []
    assert unseen == [], "the test does not ask these for a call of B that a token of all accounts sees"


def test_streams_are_named_here(apis: tuple[TestClient[Any], TestClient[Any]]) -> None:
    _, both = apis
    every = {path for path, one in both.get("/openapi.json").json()["paths"].items() if "get" in one}
    assert every - {*_paths(both)} <= STREAMS


def test_a_call_of_another_account_is_answered_as_one_that_does_not_exist(
    apis: tuple[TestClient[Any], TestClient[Any]],
) -> None:
    _, both = apis
    key = _call_of_b(both)
    for path in ("/v1/calls/{}", "/v1/calls/{}/events"):
        foreign, unknown = (both.get(path.format(one), headers=bearer(READ_A)) for one in (key, "twilio:CA0"))
        assert foreign.status_code == 404
        assert foreign.content == unknown.content
