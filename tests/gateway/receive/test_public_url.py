"""The URL that the provider signed, behind any chain of proxies."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

import pytest

from stream.gateway.receive.public_url import (
    Network,
    clean_address,
    client_of,
    is_authority,
    may_be_a_proxy,
    public_origin,
)
from stream.gateway.receive.request import ParsedRequest, WebhookRequest, headers_of, parse

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))
TARGET = "/callbacks/twilio?b=2&a=%7e+&x=//"


@dataclass(frozen=True, kw_only=True)
class Case:
    headers: tuple[tuple[str, str], ...] = ()
    remote: str | None = "10.0.0.1"
    secure: bool = False
    configured: str = ""
    expected: tuple[str, str, str | None] | None


HOST = ("Host", "inner.test:8080")
INSIDE = ("http://inner.test:8080", "request", "10.0.0.1")
"""What the request itself says, and its socket."""
CASES = {
    "nothing but the request": Case(
        headers=(HOST,), expected=("http://inner.test:8080", "request", "10.0.0.1")
    ),
    "TLS at our own socket": Case(
        headers=(("Host", "h.test"),), secure=True, expected=("https://h.test", "request", "10.0.0.1")
    ),
    "configured": Case(
        headers=(HOST,),
        configured="https://h.test",
        expected=("https://h.test", "configured", "10.0.0.1"),
    ),
    "configured with a slash and a path that the proxy takes off": Case(
        headers=(HOST,),
        configured="https://h.test:8443/voice/",
        expected=("https://h.test:8443/voice", "configured", "10.0.0.1"),
    ),
    "configured, whatever a proxy says": Case(
        headers=(HOST, ("Forwarded", "for=192.0.2.1;host=evil.test")),
        configured="https://h.test",
        expected=("https://h.test", "configured", "192.0.2.1"),
    ),
    "Forwarded by a trusted proxy": Case(
        headers=(HOST, ("Forwarded", "for=192.0.2.1;host=h.test;proto=https")),
        expected=("https://h.test", "forwarded", "192.0.2.1"),
    ),
    "X-Forwarded by a trusted proxy": Case(
        headers=(
            HOST,
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "h.test"),
        ),
        expected=("https://h.test", "x_forwarded", "192.0.2.1"),
    ),
    "only the scheme is forwarded": Case(
        headers=(("Host", "h.test"), ("X-Forwarded-Proto", "HTTPS")),
        expected=("https://h.test", "x_forwarded", None),
    ),
    "Forwarded and X-Forwarded that say the same": Case(
        headers=(
            HOST,
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Forwarded-Host", "h.test"),
            ("X-Forwarded-Proto", "https"),
            ("Forwarded", "for=192.0.2.1;host=h.test;proto=https"),
        ),
        expected=("https://h.test", "forwarded", "192.0.2.1"),
    ),
    "Forwarded and X-Forwarded that name two hosts": Case(
        headers=(
            HOST,
            ("X-Forwarded-Host", "old.test"),
            ("Forwarded", "for=192.0.2.1;host=h.test;proto=https"),
        ),
        expected=INSIDE,
    ),
    "a host that only one of Forwarded and X-Forwarded names": Case(
        headers=(
            HOST,
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Forwarded-Proto", "https"),
            ("Forwarded", "for=192.0.2.1;host=evil.test;proto=https"),
        ),
        expected=INSIDE,
    ),
    "two clients": Case(
        headers=(HOST, ("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.7")), expected=INSIDE
    ),
    "a malformed Forwarded is none": Case(
        headers=(HOST, ("Forwarded", "for=;;x"), ("X-Forwarded-Host", "h.test")),
        expected=("http://h.test", "x_forwarded", None),
    ),
    "a sender that is not a trusted proxy": Case(
        remote="203.0.113.9",
        headers=(HOST, ("Forwarded", "for=192.0.2.1;host=h.test;proto=https")),
        expected=("http://inner.test:8080", "request", "203.0.113.9"),
    ),
    "a socket without an address": Case(
        remote=None,
        headers=(HOST, ("X-Forwarded-Host", "h.test")),
        expected=("http://inner.test:8080", "request", None),
    ),
    "two trusted proxies: the outer one was asked": Case(
        headers=(
            HOST,
            ("Forwarded", "for=192.0.2.1;host=h.test;proto=https, for=10.0.0.7;host=mid.test;proto=http"),
        ),
        expected=("https://h.test", "forwarded", "192.0.2.1"),
    ),
    "an inner proxy tells what the outer one does not": Case(
        headers=(HOST, ("Forwarded", "for=192.0.2.1, for=10.0.0.7;host=h.test;proto=https")),
        expected=("https://h.test", "forwarded", "192.0.2.1"),
    ),
    "what a client puts before the proxy's own entry is not believed": Case(
        headers=(
            HOST,
            ("Forwarded", "for=10.0.0.9;host=evil.test;proto=https, for=192.0.2.1;host=h.test;proto=https"),
        ),
        expected=("https://h.test", "forwarded", "192.0.2.1"),
    ),
    "nor in the older headers": Case(
        headers=(
            HOST,
            ("X-Forwarded-For", "10.0.0.9, 192.0.2.1"),
            ("X-Forwarded-Host", "evil.test, h.test"),
            ("X-Forwarded-Proto", "https, http"),
        ),
        expected=("http://h.test", "x_forwarded", "192.0.2.1"),
    ),
    "an IPv6 proxy": Case(
        remote="2001:db8:1::7%eth0",
        headers=(HOST, ("Forwarded", 'for="[2001:db8:2::1]:9";host=h.test;proto=https')),
        expected=("https://h.test", "forwarded", "2001:db8:2::1"),
    ),
    "an IPv4 proxy on an IPv6 socket": Case(
        remote="::ffff:10.0.0.1",
        headers=(HOST, ("X-Forwarded-Host", "h.test")),
        expected=("http://h.test", "x_forwarded", None),
    ),
    "no host": Case(expected=None),
    "a host with a user": Case(headers=(("Host", "u@h.test"),), expected=None),
    "a host with a path": Case(headers=(("Host", "h.test/x"),), expected=None),
    "two hosts": Case(headers=(("Host", "h.test"), ("Host", "h2.test")), expected=None),
    "a scheme that is none of ours": Case(headers=(HOST, ("X-Forwarded-Proto", "javascript")), expected=None),
}


def seen(
    request: WebhookRequest, configured: str, trusted: tuple[Network, ...]
) -> tuple[tuple[str, str] | None, ParsedRequest]:
    parsed = parse(request, client_of(request.remote, request.headers, trusted))
    return public_origin(parsed, configured), parsed


@pytest.mark.parametrize("name", CASES)
def test_the_url_is_what_the_trusted_say(name: str) -> None:
    case = CASES[name]
    request = WebhookRequest(
        method="POST", target=TARGET, headers=headers_of(case.headers), remote=case.remote, secure=case.secure
    )
    found, parsed = seen(request, case.configured, TRUSTED)
    if case.expected is None:
        assert found is None
        return
    assert found is not None
    assert (*found, parsed.client.remote) == case.expected
    assert parsed.target == TARGET


def test_nobody_is_trusted_unless_named() -> None:
    request = WebhookRequest(
        method="GET",
        target="/",
        headers=headers_of([HOST, ("X-Forwarded-Host", "h.test")]),
        remote="127.0.0.1",
    )
    assert seen(request, "", ())[0] == ("http://inner.test:8080", "request")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/x?y#z", "https://h.test/x?y"),
        ("/x#?y", "https://h.test/x"),
        ("//evil.test/x", "https://h.test//evil.test/x"),
        ("http://evil.test/x?y", "https://h.test/x?y"),
        ("HTTPS://evil.test?y", "https://h.test/?y"),
        ("http://evil.test", "https://h.test/"),
        ("*", None),
        ("evil.test:443", None),
        ("", None),
        ("ftp://evil.test/x", None),
    ],
)
def test_a_target_gives_its_path_and_query_alone(target: str, expected: str | None) -> None:
    found, parsed = seen(WebhookRequest(method="POST", target=target), "https://h.test", ())
    assert (found[0] + parsed.target if found else None) == expected


def test_addresses_have_one_spelling_and_hosts_nothing_around_them() -> None:
    spelled = [clean_address(text) for text in ("::FFFF:1.2.3.4", "2001:DB8::1", "fe80::1%1", "h.test", None)]
    assert spelled == ["1.2.3.4", "2001:db8::1", "fe80::1", None, None]
    assert [is_authority(text) for text in ("h_x.test", "[::1]:1", "h.test:", "h.test\n", "a b", "")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("address", "may_be"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.0.7", True),
        ("100.64.1.1", True),
        ("fd00::1", True),
        ("::1", True),
        ("54.172.60.0", False),
        ("2600:1f18::1", False),
    ],
)
def test_an_address_outside_of_the_internet_may_be_a_proxy(address: str, may_be: bool) -> None:
    assert may_be_a_proxy(address) is may_be
