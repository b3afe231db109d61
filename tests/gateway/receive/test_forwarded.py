"""The headers of proxies: RFC 7239 and the older ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.gateway.receive.forwarded import NODE_LIMIT, Hop, forwarded, node_address, with_port, x_forwarded
from stream.gateway.receive.request import Headers, headers_of


def headers(*pairs: tuple[str, str]) -> Headers:
    return headers_of(pairs)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("for=192.0.2.60;proto=http;by=203.0.113.43", [Hop("192.0.2.60", "http")]),
        ('For="[2001:db8:cafe::17]:4711"', [Hop("2001:db8:cafe::17")]),
        ("for=192.0.2.43, for=198.51.100.17", [Hop("192.0.2.43"), Hop("198.51.100.17")]),
        ('for="_gazonk"', [Hop()]),
        ("for=unknown;HOST=h.test;Proto=https", [Hop(None, "https", "h.test")]),
        ('host="h.test:8443" ; proto=https', [Hop(None, "https", "h.test:8443")]),
        (r'host="h\.test";x="a\"b,c;d"', [Hop(None, None, "h.test")]),
        (" , for=192.0.2.43 ,, ;proto=https; ", [Hop("192.0.2.43"), Hop(None, "https")]),
        ('for="192.0.2.43:_port"', [Hop("192.0.2.43")]),
    ],
)
def test_a_header_is_read_as_the_rfc_writes_it(header: str, expected: list[Hop]) -> None:
    assert forwarded(headers(("forwarded", header))) == expected


@pytest.mark.parametrize(
    "header",
    [
        "for",
        "for=",
        "for =192.0.2.43",
        "for=[2001:db8::1]",
        "host=h.test:8443",
        'for="192.0.2.43',
        "proto=https;proto=http",
        "for=192.0.2.43 proto=https",
        "for=192.0.2.43;proto=https/",
        'host="h\n.test"',
        "=x",
        ",".join(["for=192.0.2.43"] * 65),
        "",
        ";;,",
    ],
)
def test_a_header_that_is_not_written_so_is_none(header: str) -> None:
    assert forwarded(headers(("Forwarded", header))) == []


def test_a_header_on_several_lines_is_one() -> None:
    assert forwarded(headers(("Forwarded", "for=192.0.2.1"), ("forwarded", "proto=https"))) == [
        Hop("192.0.2.1"),
        Hop(None, "https"),
    ]


@given(st.text(max_size=60))
def test_whatever_it_is_handed_it_reads_or_ignores(header: str) -> None:
    forwarded(headers(("Forwarded", header)))
    x_forwarded(headers(("X-Forwarded-For", header), ("X-Forwarded-Host", header)))


@given(st.lists(st.sampled_from(['a="', "\\", '"', ";", ",", "for=x", " ", "=", "[::1]:2"]), max_size=20))
def test_what_looks_almost_right_is_read_or_ignored(parts: list[str]) -> None:
    forwarded(headers(("Forwarded", "".join(parts))))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            {"For": "192.0.2.1, 10.0.0.2", "Proto": "https", "Host": "h.test"},
            [Hop("192.0.2.1", "https", "h.test"), Hop("10.0.0.2", "https", "h.test")],
        ),
        (
            {"For": "192.0.2.1, 10.0.0.2", "Proto": "https, http", "Host": "h.test, inner.test"},
            [Hop("192.0.2.1", "https", "h.test"), Hop("10.0.0.2", "http", "inner.test")],
        ),
        ({"Proto": "https"}, [Hop(None, "https")]),
        (
            {"Proto": "https", "Host": "h.test", "Port": "8443"},
            [Hop(None, "https", "h.test:8443")],
        ),
        ({"Proto": "https", "Host": "h.test", "Port": "443"}, [Hop(None, "https", "h.test")]),
        ({"For": "[2001:db8::1]:443"}, [Hop("2001:db8::1")]),
        ({"For": "2001:db8::1"}, [Hop("2001:db8::1")]),
        ({"For": ",".join(["192.0.2.1"] * 65)}, []),
        ({}, []),
    ],
)
def test_the_older_headers_are_read_together(told: dict[str, str], expected: list[Hop]) -> None:
    assert x_forwarded(headers(*((f"X-Forwarded-{name}", value) for name, value in told.items()))) == expected


def test_an_address_loses_its_port_and_a_name_that_hides_it_is_none() -> None:
    assert [node_address(node) for node in ("192.0.2.1:80", "192.0.2.1", "unknown", "_x", "", "a:b:")] == [
        "192.0.2.1",
        "192.0.2.1",
        None,
        None,
        None,
        "a:b:",
    ]


def test_what_is_too_long_for_an_address_is_none_and_fills_no_cache() -> None:
    assert node_address("2001:db8::1%" + "x" * NODE_LIMIT) is None
    assert node_address("192.0.2.1" * NODE_LIMIT) is None


def test_a_port_is_put_only_where_there_is_none_and_it_says_something() -> None:
    assert [
        with_port("h.test", "8443", "https"),
        with_port("h.test:1", "8443", "https"),
        with_port("h.test", "80", "http"),
        with_port("h.test", "x", "http"),
        with_port("[::1]", "81", None),
    ] == ["h.test:8443", "h.test:1", "h.test", "h.test", "[::1]:81"]
