"""Who sent a request, and the URL that the provider signed: where it thinks that it sent the request.

Path and query are the request's own bytes; only what stands before them is worked out. The configured URL
wins, then the headers of trusted proxies, then the request itself. Nothing here is ever fetched.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

from stream.gateway.receive.forwarded import Hop, forwarded, x_forwarded
from stream.gateway.receive.request import Client, Headers, ParsedRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:[0-9]{1,5})?")


def client_of(remote: str | None, headers: Headers, trusted: Sequence[Network]) -> Client:
    """Follows the proxies from the nearest one outwards, as long as each is trusted.

    Two kinds of headers that differ are both disbelieved: a client wrote one of them.
    """
    remote = clean_address(remote)
    if not trusted or not is_trusted(remote, trusted):
        return Client(remote)
    told = [
        _outermost(hops, remote, trusted, told_by)
        for told_by, hops in (("forwarded", forwarded(headers)), ("x_forwarded", x_forwarded(headers)))
        if hops
    ]
    if not told or any(client[:3] != told[0][:3] for client in told):
        return Client(remote)
    return told[0]


def _outermost(hops: list[Hop], remote: str | None, trusted: Sequence[Network], told_by: str) -> Client:
    scheme = host = None
    for hop in reversed(hops):
        scheme, host = hop.scheme or scheme, hop.host or host
        remote = clean_address(hop.remote)
        if not is_trusted(remote, trusted):
            break
    return Client(remote, scheme.lower() if scheme else None, host, told_by)


def public_origin(parsed: ParsedRequest, configured: str) -> tuple[str, str] | None:
    """What stands before path and query in the URL that the provider signed, and who says so.

    Scheme and authority, with the configured URL's path where it has one; `configured`, or as in `Client`.
    None where the request names no usable host or has no path.
    """
    request, client = parsed.request, parsed.client
    if not parsed.target:
        return None
    if configured:
        return configured.rstrip("/"), "configured"
    scheme = client.scheme or ("https" if request.secure else "http")
    host = client.host or request.header("Host") or ""
    if scheme not in ("http", "https") or not is_authority(host):
        return None
    return f"{scheme}://{host}", client.told_by


def contradicts_itself(headers: Headers) -> bool:
    """Whether `Forwarded` and `X-Forwarded-*` differ.

    A proxy writes one of them, and passes on what a client wrote into the other.
    """
    told, also_told = forwarded(headers), x_forwarded(headers)
    return bool(told and also_told) and told != also_told


def is_trusted(remote: str | None, trusted: Sequence[Network]) -> bool:
    if remote is None or not trusted:
        return False
    address = _parsed(remote)
    return any(address in network for network in trusted)


_parsed = lru_cache(maxsize=4096)(ipaddress.ip_address)
"""Proxies and providers have few addresses, and each is looked at for every request."""


@lru_cache(maxsize=4096)
def clean_address(remote: str | None) -> str | None:
    """An IP address in one spelling: without a zone, a mapped IPv4 one as such. None for anything else."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return str(mapped or address)


@lru_cache(maxsize=4096)
def may_be_a_proxy(address: str) -> bool:
    """Whether an address is not of the public internet: where no proxy is configured, it may be one."""
    return not ipaddress.ip_address(address).is_global


def is_authority(text: str) -> bool:
    """Whether it is a host, with or without a port, and nothing else: no user, path or blank."""
    return _AUTHORITY.fullmatch(text) is not None
