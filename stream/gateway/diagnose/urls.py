"""Where a request may have been sent: schemes, hosts, ports, paths and queries that a proxy may have changed.

The choices come from the request and from the operator, and none is trusted: only a signature that fits makes
one of them true.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import permutations
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

from stream.gateway.diagnose.diagnosis import Change, Choice
from stream.gateway.receive.forwarded import forwarded
from stream.gateway.receive.public_url import is_authority
from stream.gateway.receive.request import Headers, ParsedRequest
from stream.gateway.receive.twilio_signature import split_port

URL_SETTING = "CALLSTREAM_PUBLIC_URL"

AS_SENT = "surrogateescape"
"""Bytes that are not UTF-8 are encoded as the bytes that they came as."""

SINGLED_OUT_LIMIT = 40
"""Parameters of a query that are each left out once."""

ORDERED_LIMIT = 7
"""Parameters of a query whose orders are all tried: 5040."""

COMBINED_LIMIT = 4
"""Parameters of a query whose orders are all tried beside another change, too: 24."""

_LEFT_AS_IT_IS = ("", "*", "!'()*", "!$'()*,/:;?@")
"""What is not encoded: by Python and Go, by Java and a browser's forms, by JavaScript, by proxies."""

_ESCAPE = re.compile("%[0-9A-F]{2}")

_PATH_MEND = "let the proxy pass the path unchanged, or give Twilio the URL as the gateway sees it"
QUERY_MEND = "let the proxy pass the query unchanged"
ORDER = "the query's parameters are in another order"
CODING = "the query is percent-encoded in another way"


def schemes() -> Iterator[Choice]:
    for scheme in ("https", "http"):
        yield Choice(scheme, Change(f"the URL begins with {scheme}://", "", URL_SETTING))


def hosts(headers: Headers, urls: Sequence[str]) -> Iterator[Choice]:
    said = [
        *headers.getall("Host", []),
        *headers.getall("X-Forwarded-Host", []),
        *headers.getall("X-Original-Host", []),
    ]
    words = [word.strip() for value in said for word in value.split(",")]
    words += [hop.host for hop in forwarded(headers) if hop.host]
    words += [urlsplit(url).netloc.rpartition("@")[2] for url in urls]
    for host in words:
        if is_authority(host):
            yield Choice(host, Change(f"the host is {host}", "", URL_SETTING))


def ports(headers: Headers) -> Iterator[Choice]:
    said = [word.strip() for value in headers.getall("X-Forwarded-Port", []) for word in value.split(",")]
    said += [split_port(host)[1] for host in headers.getall("Host", [])]
    for port in [*said, "443", "8443", "80", "8080"]:
        if port.isascii() and port.isdigit() and len(port) <= 5:
            yield Choice(port, Change(f"the port {port} is in the URL", "", URL_SETTING))


def paths(parsed: ParsedRequest, prefix: str, urls: Sequence[str]) -> Iterator[Choice]:
    path, headers = parsed.path, parsed.request.headers
    own = prefix + path
    if prefix:
        yield Choice(path, Change("the public URL has no path of its own", "", URL_SETTING))
    for name in ("X-Forwarded-Prefix", "X-Script-Name"):
        for taken in headers.getall(name, []):
            yield from _prefixed(taken.rstrip("/"), path)
    for url in urls:
        yield from _prefixed(urlsplit(url).path.removesuffix(path).rstrip("/"), path)
    for original in _originals(headers):
        before = original.partition("?")[0]
        if path and before.endswith(path):
            yield from _prefixed(before.removesuffix(path), path)
        yield Choice(before, Change("the path is the one before a proxy changed it", _PATH_MEND))
    if own.endswith("/"):
        yield Choice(own.rstrip("/"), Change("the path has no slash at its end", _PATH_MEND))
    else:
        yield Choice(own + "/", Change("the path ends with a slash", _PATH_MEND))
    head, _, last_part = own.rpartition("/")
    if last_part.startswith("index."):
        yield Choice(head + "/", Change("the path has no index page at its end", _PATH_MEND))
    while "//" in own:
        own = own.replace("//", "/")
        yield Choice(own, Change("the path has no doubled slashes", _PATH_MEND))
    coded = "the path is percent-encoded in another way"
    yield Choice(unquote(prefix + path), Change(coded, _PATH_MEND))
    yield Choice(quote(unquote(prefix + path), errors=AS_SENT), Change(coded, _PATH_MEND))
    yield Choice((prefix + path).lower(), Change("the path is in small letters", _PATH_MEND))


def _prefixed(prefix: str, path: str) -> Iterator[Choice]:
    if prefix.startswith("/"):
        says = "the path begins with what a proxy takes off"
        yield Choice(prefix + path, Change(says, "", URL_SETTING))


def _originals(headers: Headers) -> list[str]:
    """The targets that proxies say they received."""
    names = ("X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "X-Envoy-Original-Path")
    return [value for name in names for value in headers.getall(name, []) if value.startswith("/")]


def query_of(parsed: ParsedRequest) -> str:
    return "" if parsed.query is None else "?" + parsed.query


def queries(parsed: ParsedRequest) -> Iterator[Choice]:
    query, body = parsed.query or "", parsed.request.body
    for original in _originals(parsed.request.headers):
        _, mark, before = original.partition("?")
        yield Choice(mark + before, Change("the query is the one before a proxy changed it", QUERY_MEND))
    yield Choice("", Change("the URL has no query", QUERY_MEND))
    yield Choice("?", Change("the URL ends with a question mark", QUERY_MEND))
    if body and not parsed.is_form:
        hashed = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
        yield Choice(
            f"?{query}&{hashed}" if query else f"?{hashed}",
            Change("bodySHA256 is in the query", QUERY_MEND),
        )
    if not query:
        return
    for says, other in _other(query):
        mend = _order_mend(parsed) if says == ORDER else QUERY_MEND
        yield Choice("?" + other if other else "", Change(says, mend))


def _other(query: str) -> Iterator[tuple[str, str]]:
    parts = query.split("&")
    for some in permutations(parts) if len(parts) <= COMBINED_LIMIT else sorts(parts):
        yield ORDER, "&".join(some)
    yield "the query has no empty parameters", "&".join(part for part in parts if part.partition("=")[2])
    yield (
        "the query's parameters without a value end in =",
        "&".join(part if "=" in part else part + "=" for part in parts),
    )
    for other in codings(query):
        yield CODING, other
    yield "& stands as &amp; in the query", query.replace("&", "&amp;")
    yield "&amp; stands as & in the query", query.replace("&amp;", "&")
    for at in range(min(len(parts), SINGLED_OUT_LIMIT)):
        yield "a parameter that was added to the query is left out", "&".join(parts[:at] + parts[at + 1 :])


def orders(parsed: ParsedRequest, coded: Iterable[str]) -> Iterator[Choice]:
    """The query as each of `coded`, in each other order; of more than ORDERED_LIMIT parameters in some."""
    for one in coded:
        change = Change(ORDER if one == parsed.query else f"{ORDER} and {CODING}", _order_mend(parsed))
        parts = one.split("&")
        for some in permutations(parts) if len(parts) <= ORDERED_LIMIT else sorts(parts):
            if [*some] != parts:
                yield Choice("?" + "&".join(some), change)


def _order_mend(parsed: ParsedRequest) -> str:
    received = (parsed.query or "").split("&")
    if (
        received != sorted(received) or parsed.request.method == "GET"
    ):  # which has Twilio's own parameters, too
        return QUERY_MEND
    return f"{QUERY_MEND}, or give Twilio the URL with its parameters sorted by name"


def sorts(parts: list[str]) -> Iterator[list[str]]:
    """The orders that software makes."""
    yield sorted(parts)
    yield sorted(parts, key=str.lower)
    yield parts[::-1]


def codings(query: str) -> Iterator[str]:
    """A query as other software encodes it: blank, hexadecimal digits, and what it leaves as it is."""
    yield query.replace("+", "%20")
    yield query.replace("%20", "+")
    yield unquote(query)
    yield unquote_plus(query)
    for left in _LEFT_AS_IT_IS:
        for encode in (quote, quote_plus):
            upper = "&".join(_coded(part, encode, left) for part in query.split("&"))
            for coded in (upper, upper.replace("~", "%7E")):
                yield coded
                yield _ESCAPE.sub(lambda escape: escape[0].lower(), coded)


def _coded(part: str, encode: Callable[..., str], left: str) -> str:
    return "=".join(encode(unquote_plus(text), left, errors=AS_SENT) for text in part.split("=", 1))
