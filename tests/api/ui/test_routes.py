"""The pages over HTTP: who sees what, what is escaped, what is said when something cannot be shown."""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from litestar.testing import TestClient

from stream.api.ui.rendering import HEADERS, call_path, static_path
from stream.api.ui.routes import routes
from stream.archive.reader import Archive
from tests.api.clients import ALL, NUMBERS_A, READ_A, READ_B, bearer, client
from tests.api.ui.stored_calls import EDGES, FAILING, FOREIGN, MISSING, key_of, moved, replayed, stored
from tests.archive.kept import an_archive, told_by
from tests.core.deliveries import TWILIO_KEY
from tests.timeline.recorded import forgotten

PAGES = (
    "/ui",
    "/ui/parts/overview",
    "/ui/calls",
    "/ui/alerts",
    "/ui/live",
    "/ui/find?q=CA",
    call_path(key_of(FAILING)),
)
NUMBER, MASK = "+15005550006", "+15*******06"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with stored(tmp_path_factory.mktemp("archive"), datetime.now(UTC), times=6) as found:
        yield found


@pytest.fixture(scope="module")
def site(archive: Archive) -> Iterator[TestClient[Any]]:
    with client(archive, routes()) as found:
        found.follow_redirects = False
        yield found


def text_of(page: str) -> str:
    """The words of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


@pytest.mark.parametrize("path", PAGES)
def test_a_page_without_a_token_leads_to_the_form_and_back(site: TestClient[Any], path: str) -> None:
    answer = site.get(path)
    if path.startswith("/ui/parts"):
        assert answer.status_code == 401
        return
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/ui/login?next={quote(path, safe='')}"


@pytest.mark.parametrize("path", [*PAGES, "/ui/login", "/ui/calls/nothing", "/ui/calls?since=x"])
def test_every_page_forbids_scripts_and_styles_of_its_own_and_has_none(
    site: TestClient[Any], path: str
) -> None:
    answer = site.get(path, headers=bearer(READ_A))
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert not re.search(r"<style|<script(?! src=)|\sstyle=|\son[a-z]+=|javascript:", answer.text)
    outward = r'<a href="https?://[^"]+" rel="noreferrer">'  # an alert's links, which one follows or not
    page = re.sub(outward, "", answer.text)
    assert set(re.findall(r'(?:src|href|action|hx-get)="([^"#/][^"]*)"', page)) == set()


def test_the_call_of_an_alert_shows_what_happened(site: TestClient[Any]) -> None:
    answer = site.get(call_path(key_of(EDGES)), headers=bearer(READ_A))
    assert answer.status_code == 200
    said = text_of(answer.text)
    assert "✕ failed" in said
    assert "network: The client's media connection failed." in said
    assert "sdk_edge connection error, error, code 53405" in said
    assert "firing call.failed: The call failed." in said
    assert answer.text.count('class="rung ') == 2 * answer.text.count('<tr id="row-')


def test_what_never_came_is_dashed_in_both_sizes(site: TestClient[Any]) -> None:
    page = site.get(call_path(key_of(MISSING)), headers=bearer(READ_A)).text
    assert page.count('<line class="arrow absent" x1=') == 2 * 2 + 1  # and in the legend
    assert "callback 1: expired" in text_of(page)


def test_nothing_of_another_account_is_shown_on_any_page(site: TestClient[Any]) -> None:
    foreign = FOREIGN.removeprefix("twilio:")
    assert site.get(call_path(FOREIGN), headers=bearer(READ_B)).status_code == 200
    for path in (*PAGES, f"/ui/find?q={foreign}", call_path(FOREIGN)):
        answer = site.get(path, headers=bearer(READ_A))
        said = answer.text.replace(html.escape(path), "")
        assert answer.status_code in (200, 404)
        assert call_path(FOREIGN) not in said
        assert foreign not in said or answer.status_code == 404
    assert site.get(call_path(FOREIGN), headers=bearer(READ_A)).status_code == 404
    assert call_path(key_of(FAILING)) not in site.get("/ui/calls", headers=bearer(READ_B)).text


@pytest.mark.parametrize("path", [*PAGES, f"/ui/calls?number={quote(NUMBER)}"])
def test_numbers_are_masked_unless_the_token_may_read_them(site: TestClient[Any], path: str) -> None:
    page = site.get(path, headers=bearer(READ_A)).text
    assert NUMBER not in page.replace(f'value="{NUMBER}"', "")
    assert "Numbers are masked for this token." in page or path == "/ui/parts/overview"
    if '<th scope="col">From' in page:
        assert MASK in page
    shown = site.get(call_path(key_of(FAILING)), headers=bearer(NUMBERS_A)).text
    assert NUMBER in shown


def test_who_read_a_number_is_logged(site: TestClient[Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="callstream.api.audit"):
        site.get(call_path(key_of(FAILING)), headers=bearer(READ_A))
        assert caplog.messages == []
        site.get(call_path(key_of(FAILING)), headers=bearer(NUMBERS_A))
    (line,) = caplog.messages
    assert "a-numbers" in line
    assert key_of(FAILING) in line
    assert NUMBER not in line


def test_a_search_finds_what_it_asks_for_and_leads_to_older_calls(site: TestClient[Any]) -> None:
    keys: list[str] = []
    path: str | None = "/ui/calls?outcome=answered"
    while path is not None:
        page = site.get(path, headers=bearer(ALL)).text
        keys += re.findall(r'<a class="id" href="(/ui/calls/[^"]+)"', page)
        older = re.search(r'<a href="([^"]+)" rel="next">', page)
        path = html.unescape(older[1]) if older else None
    assert len(keys) == len(set(keys)) == 7 * 6


def test_a_search_that_cannot_be_made_says_why_and_keeps_what_was_entered(site: TestClient[Any]) -> None:
    answer = site.get("/ui/calls?since=yesterday&after=x&error_code=11200", headers=bearer(ALL))
    assert answer.status_code == 400
    assert "Since must be a time" in answer.text
    assert 'value="yesterday"' in answer.text
    assert 'value="11200"' in answer.text
    assert site.get("/ui/calls?after=x", headers=bearer(ALL)).status_code == 400
    assert site.get("/ui/alerts?after=x", headers=bearer(ALL)).status_code == 400


@pytest.mark.parametrize(
    ("part", "leads_to"),
    [
        (key_of(EDGES), call_path(key_of(EDGES))),
        (key_of(EDGES, 3)[-9:], call_path(key_of(EDGES, 3))),
        (NUMBER, "/ui/calls?number=%2B15005550006"),
        ("4915112345678", "/ui/calls?number=4915112345678"),
    ],
)
def test_one_box_finds_a_call_by_a_part_of_its_id_and_calls_by_a_number(
    site: TestClient[Any], part: str, leads_to: str
) -> None:
    answer = site.get("/ui/find", params={"q": part}, headers=bearer(ALL))
    assert (answer.status_code, answer.headers["location"]) == (303, leads_to)


def test_a_part_of_many_ids_lists_them_and_one_of_none_says_so(site: TestClient[Any]) -> None:
    many = site.get("/ui/find?q=CA0000", headers=bearer(ALL))
    assert (many.status_code, many.text.count('<li><a class="id"')) == (200, 20)
    for path in (
        "/ui/find?q=CA77",
        "/ui/find",
        "/ui/calls/CA77",
        "/ui/calls/a%00b",
        f"/ui/calls/{'x' * 5000}",
    ):
        none = site.get(path, headers=bearer(ALL))
        assert none.status_code == 404, path
        assert "No such call" in none.text


HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m' onload=x {{7*7}}"
_NAMES = re.compile(rb'"(name|group|edge)":(?:"initiated"|null)')


def test_text_of_a_provider_stays_text(tmp_path: Path) -> None:
    said = b'"\\1":' + json.dumps(HOSTILE).encode().replace(b"\\", b"\\\\")
    told = [
        (role, key, value and _NAMES.sub(said, value))
        for role, key, value in moved(replayed(FAILING), datetime.now(UTC) - timedelta(minutes=1), "00000000")
    ]
    with an_archive(tmp_path) as (keeper, archive), client(archive, routes()) as site:
        keeper.keep(told)
        for path in ("/ui", "/ui/calls", call_path(f"twilio:CA{'0' * 32}")):
            page = site.get(path, headers=bearer(ALL)).text
            assert "<script>alert" not in page
            assert not {"\u202e", "\x1b"} & set(page)
            assert "onload=x 49" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e\\u001b[31m" in page


def test_the_page_of_a_forgotten_call_expects_nothing_of_it(tmp_path: Path) -> None:
    with an_archive(tmp_path) as (keeper, archive), client(archive, routes()) as site:
        keeper.keep(told_by(forgotten()))
        page = text_of(site.get(call_path(TWILIO_KEY), headers=bearer(ALL)).text)
    assert "The call was forgotten on request: nothing of it is kept but this. Facts Forgotten 20" in page
    assert "Still expected nothing" in page
    assert "ended" not in page


def test_a_leg_that_lost_a_dial_has_not_succeeded_and_is_nobody_s_fault(tmp_path: Path) -> None:
    with an_archive(tmp_path) as (keeper, archive), client(archive, routes()) as site:
        keeper.keep(replayed("simultaneous-dial"))
        won, lost = (
            text_of(site.get(call_path(f"twilio:CA{number:032}"), headers=bearer(ALL)).text)
            for number in (2, 3)
        )
    assert "Verdict The call succeeded: there is no fault to find." in won
    assert "Verdict It was dialled together with a call that was answered" in lost


def test_an_archive_that_is_away_is_said_and_tried_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OSError("gone")

    for name in ("calls", "call", "alerts", "find", "calls_by_minute"):
        monkeypatch.setattr(archive, name, away)
    with client(archive, routes()) as site:
        for path in PAGES:
            answer = site.get(path, headers=bearer(ALL))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), path
            assert "The archive does not answer" in answer.text
            assert "gone" not in answer.text


def test_a_file_may_be_kept_for_ever_because_its_address_changes_with_it(site: TestClient[Any]) -> None:
    page = site.get("/ui/login").text
    for name in ("page.css", "page.js", "icon.svg", "htmx-4.0.1.min.js"):
        assert static_path(name) in page
        answer = site.get(static_path(name))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert site.get("/ui/static/../session.py").status_code == 404
