"""Signing in with a token, out again, and the choice of colours."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Request, get

from stream.api.access.authentication import caller_of
from stream.api.ui.routes import routes
from stream.api.ui.session import own_path
from tests.api.clients import READ_A, client

FOREIGN_PAGE = {"Sec-Fetch-Site": "cross-site"}


@get("/v1/who")
async def who(request: Request[Any, Any, Any]) -> str:
    return caller_of(request).name


def site(**settings: Any) -> Any:
    found = client(None, [*routes(), who], **settings)
    found.follow_redirects = False
    return found


def cookie_of(answer: Any) -> dict[str, str]:
    """Name and attributes of the cookie that is set."""
    first, *more = answer.headers["set-cookie"].split("; ")
    said = dict([first.split("=", 1), *(part.partition("=")[::2] for part in more)])
    return {name.lower(): value for name, value in said.items()}


def test_a_token_becomes_a_cookie_that_only_the_browser_and_this_host_have() -> None:
    with site() as browser:
        answer = browser.post("/ui/login", data={"token": f" {READ_A} ", "next": "/ui/alerts?state=firing"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/alerts?state=firing")
        cookie = cookie_of(answer)
        assert cookie["callstream_session"] == READ_A
        assert (cookie["path"], cookie["samesite"].lower(), cookie["httponly"]) == ("/", "strict", "")
        assert {"expires", "max-age", "domain", "secure"}.isdisjoint(cookie)
        assert browser.get("/v1/who").text == "a"
        out = browser.post("/ui/logout")
        assert out.headers["location"] == "/ui/login"
        assert browser.get("/v1/who").status_code == 401


def test_over_https_the_cookie_goes_over_https_only() -> None:
    with site() as browser:
        said = {"X-Forwarded-Proto": "https"}
        assert "secure" in cookie_of(browser.post("/ui/login", data={"token": READ_A}, headers=said))


@pytest.mark.parametrize("token", ["", "no-such-token", READ_A + "x"])
def test_a_token_that_is_not_known_is_refused_and_not_repeated(token: str) -> None:
    with site() as browser:
        answer = browser.post("/ui/login", data={"token": token, "next": "/ui/calls"})
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        assert "This token is not known." in answer.text
        assert not token or token not in answer.text
        assert 'value="/ui/calls"' in answer.text


def test_a_token_that_no_cookie_holds_is_refused_with_its_reason() -> None:
    with site(api_token="with ; blanks", api_tokens=()) as browser:
        answer = browser.post("/ui/login", data={"token": "with ; blanks"})
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        assert "A cookie cannot hold this token." in answer.text


@pytest.mark.parametrize("path", ["/ui/login", "/ui/logout", "/ui/theme"])
def test_a_foreign_page_signs_nobody_in_or_out(path: str) -> None:
    with site() as browser:
        answer = browser.post(path, data={"token": READ_A, "theme": "dark"}, headers=FOREIGN_PAGE)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/ui/calls/twilio%3ACA1", "/ui/calls/twilio%3ACA1"),
        ("/ui?x=1", "/ui?x=1"),
        ("", "/ui"), ("https://evil.example", "/ui"), ("//evil.example", "/ui"), ("/uievil", "/ui"),
        ("/ui/\\evil", "/ui"), ("/ui/\r\nSet-Cookie: x", "/ui"), ("/v1/calls", "/ui"),
        ("/ui/" + "x" * 3000, "/ui"),
    ],
)  # fmt: skip
def test_a_redirect_stays_on_the_page(asked: str, path: str) -> None:
    assert own_path(asked) == path


def test_the_choice_of_colours_is_kept_and_taken_back() -> None:
    with site() as browser:
        chosen = browser.post("/ui/theme", data={"theme": "dark", "back": "/ui/login"})
        assert (chosen.headers["location"], cookie_of(chosen)["callstream_theme"]) == ("/ui/login", "dark")
        assert '<html lang="en" data-theme="dark">' in browser.get("/ui/login").text
        browser.post("/ui/theme", data={"theme": "auto"})
        assert '<html lang="en">' in browser.get("/ui/login").text
        browser.cookies.set("callstream_theme", '"><script>', path="/ui")
        assert '<html lang="en">' in browser.get("/ui/login").text


def test_where_no_token_is_configured_the_form_says_who_may_read() -> None:
    with site(api_tokens=()) as browser:
        page = browser.get("/ui/login").text
        assert "No token is configured" in page
        assert 'type="password"' not in page
