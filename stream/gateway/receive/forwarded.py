"""What proxies say about the request that they passed on: RFC 7239, and the older X-Forwarded headers.

Nothing is trusted here: `public_url` decides which entries to believe. A header that does not follow the RFC
is ignored. Each proxy appends, so the last entry is the nearest proxy's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from stream.gateway.receive.request import Headers

ENTRIES_LIMIT = 64
"""Proxies that a request may have passed."""

NODE_LIMIT = 100
"""Characters of the longest text that can be an address, with zone and port. Addresses are cached."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t \x21-\x7e])*"'
_PAIR = re.compile(rf"[ \t]*(?:({_TOKEN})=({_TOKEN}|{_QUOTED})[ \t]*)?")
_ESCAPED = re.compile(r"\\(.)")
_NODE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}|_[A-Za-z0-9._-]+))?")


class Hop(NamedTuple):
    """What one proxy says about its client: address without port, scheme, and host."""

    remote: str | None = None
    scheme: str | None = None
    host: str | None = None


def forwarded(headers: Headers) -> list[Hop]:
    """The hops of `Forwarded`, the client's first. Empty where there is none or it is malformed."""
    values = headers.getall("Forwarded", None)
    entries = _entries(",".join(values)) if values else None
    if not entries or len(entries) > ENTRIES_LIMIT:
        return []
    return [
        Hop(node_address(entry.get("for", "")), entry.get("proto"), entry.get("host")) for entry in entries
    ]


def x_forwarded(headers: Headers) -> list[Hop]:
    """The hops of the X-Forwarded headers, the client's first.

    Some proxies append to each header and some set it anew: a shorter list belongs to the nearest proxies.
    """
    remotes, schemes, hosts, ports = (
        _words(headers, f"X-Forwarded-{name}") for name in ("For", "Proto", "Host", "Port")
    )
    count = max(len(remotes), len(schemes), len(hosts), len(ports))
    if count > ENTRIES_LIMIT:
        return []
    hops = []
    for behind in range(count, 0, -1):
        remote, scheme, host, port = (_at(words, behind) for words in (remotes, schemes, hosts, ports))
        if host is not None and port is not None:
            host = with_port(host, port, scheme)
        hops.append(Hop(node_address(remote or ""), scheme, host))
    return hops


def with_port(host: str, port: str, scheme: str | None) -> str:
    """The host with the port where it has none and the port is not the scheme's own."""
    own = {"https": "443", "http": "80"}.get((scheme or "").lower())
    bare = ":" not in host or host.endswith("]")
    return f"{host}:{port}" if bare and port.isascii() and port.isdigit() and port != own else host


def node_address(node: str) -> str | None:
    """The address of a node identifier (RFC 7239 6), without brackets and port; None for a hidden one."""
    if len(node) > NODE_LIMIT:
        return None
    if node.count(":") > 1 and not node.startswith("["):
        return node
    match = _NODE.fullmatch(node)
    if match is None or match[1].lower() == "unknown" or match[1].startswith("_"):
        return None
    return match[1].strip("[]")


def _words(headers: Headers, name: str) -> list[str]:
    values = headers.getall(name, ())
    return [word for value in values for part in value.split(",") if (word := part.strip())]


def _at(words: list[str], behind: int) -> str | None:
    """The word of the hop that is `behind` from the end (1: the nearest); of fewer words the first."""
    return words[max(len(words) - behind, 0)] if words else None


def _entries(header: str) -> list[dict[str, str]] | None:
    """The forwarded-elements (RFC 7239 4), parameters in lower case. None where it is malformed."""
    entries: list[dict[str, str]] = []
    at = 0
    while True:
        entry: dict[str, str] = {}
        while True:
            match = _PAIR.match(header, at)
            assert match is not None  # there may be no pair
            if match[1]:
                name = match[1].lower()
                if name in entry:
                    return None
                entry[name] = _unquoted(match[2])
            at = match.end()
            if header[at : at + 1] != ";":
                break
            at += 1
        if entry:
            entries.append(entry)
        if at == len(header):
            return entries
        if header[at] != ",":
            return None
        at += 1


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value
