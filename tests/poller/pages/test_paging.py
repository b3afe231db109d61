"""Which link is followed: never to another host, never twice, never without end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.poller.pages.paging import MAX_LINK_CHARS, PageTrail, PagingError, origin

FIRST = "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json?EndTime%3E=2026&PageSize=1000"


def followed(link: str, first: str = FIRST) -> str:
    return PageTrail(first, 10).follow(first, link)


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("/2010-04-01/x.json?Page=1&PageToken=PA%2F1", "https://api.twilio.com/2010-04-01/x.json?Page=1&PageToken=PA%2F1"),
        ("https://api.twilio.com/x?EndTime%3E=1", "https://api.twilio.com/x?EndTime%3E=1"),
        ("https://API.twilio.com:443/x", "https://api.twilio.com/x"),
        ("HTTPS://api.twilio.com/x#part", "https://api.twilio.com/x"),
        ("//api.twilio.com/x?", "https://api.twilio.com/x"),
        ("?Page=1", "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json?Page=1"),
        ("https://api.twilio.com", "https://api.twilio.com/"),
        ("/x?a[b]=1|2", "https://api.twilio.com/x?a[b]=1|2"),
    ],
)  # fmt: skip
def test_a_link_on_the_same_host_is_followed_as_it_is_written(link: str, url: str) -> None:
    assert followed(link) == url


def test_a_host_is_the_same_with_its_port() -> None:
    first = "http://127.0.0.1:8083/v2/call_events"
    assert followed("http://127.0.0.1:8083/v2/x", first) == "http://127.0.0.1:8083/v2/x"
    with pytest.raises(PagingError, match="another host"):
        followed("http://127.0.0.1:8084/v2/x", first)


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/x",
        "//evil.example/x",
        "http://api.twilio.com/x",
        "https://api.twilio.com:8443/x",
        "https://api.twilio.com.evil.example/x",
        "https://insights.twilio.com/x",
        "https://api.twilio.com@evil.example/x",
        "https://user:pass@api.twilio.com/x",
        "https://@api.twilio.com/x",
        "https://evil.example\\@api.twilio.com/x",
        "\\\\evil.example/x",
        "https:\\\\api.twilio.com/x",
        "/x y",
        "/x\r\nHost: evil.example",
        "\t/x",
        "/é",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://api.twilio.com:x/",
        "https://[::1/x",
        "/" + "a" * MAX_LINK_CHARS,
    ],
)
def test_a_link_to_another_host_is_refused_without_repeating_it(link: str) -> None:
    """Case 53."""
    with pytest.raises(PagingError) as raised:
        followed(link)
    assert "evil" not in str(raised.value)
    assert "pass" not in str(raised.value)


@given(
    st.text(max_size=40) | st.text("/\\@:?#.%htpsevilaco", max_size=40).map("https://api.twilio.com".__add__)
)
def test_whatever_the_link_says_the_host_is_ours(link: str) -> None:
    try:
        url = followed(link)
    except PagingError:
        return
    assert url.startswith("https://api.twilio.com/")
    assert origin(url) == ("https", "api.twilio.com", 443)


def test_a_page_is_requested_once() -> None:
    """Case 53."""
    trail = PageTrail(FIRST, 10)
    second = trail.follow(FIRST, "/second")
    for link in (FIRST, "/second", "https://api.twilio.com:443/second"):
        with pytest.raises(PagingError, match="loop"):
            trail.follow(second, link)
    assert trail.follow(second, "/third") == "https://api.twilio.com/third"


def test_there_are_no_more_pages_than_the_limit() -> None:
    trail, url = PageTrail(FIRST, 3), FIRST
    for link in ("/2", "/3"):
        url = trail.follow(url, link)
    with pytest.raises(PagingError, match="more than 3 pages"):
        trail.follow(url, "/4")


def test_repeated_pages_are_counted_until_another_page_comes() -> None:
    trail = PageTrail(FIRST, 10)
    pages = [[b"a"], [b"a"], [b"a"], [b"b"], [b"b"], [b"a"], [b"c"], [], [], [b"b"], [b"a", b"b"]]
    assert [trail.count_repeated(rows) for rows in pages] == [0, 1, 2, 0, 1, 2, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    "url", ["", "api.twilio.com", "ftp://a/", "https://", "https://u@a/", "https://a:99999/"]
)
def test_a_base_url_without_an_origin_is_an_error(url: str) -> None:
    with pytest.raises(ValueError):
        origin(url)
