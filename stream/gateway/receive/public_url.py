"""The URL that the provider signed: where it thinks that it sent the request.

The rule of this file: path and query are the request's own bytes; only what stands before them is found out.
What the operator configured comes first, then what proxies say that the operator trusts, then the request
itself. Nothing here is ever fetched.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from stream.gateway.receive.forwarded import Hop, forwarded, x_forwarded
from stream.gateway.receive.request import WebhookRequest

LONGEST_ADDRESS = 64
"""Characters of the longest text that can be an address, with a zone. Longer ones never reach the cache."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """`text` is the whole URL and may hold a customer's secrets: it is not shown.

    - `origin`: scheme and authority, with the configured URL's path where it has one.
    - `said_by`: `configured, forwarded, x_forwarded` or `request`.
    - `remote`: the address of the client as far as it can be believed.
    """

    text: str = field(repr=False)
    origin: str
    said_by: str
    remote: str | None


def public_url(request: WebhookRequest, configured: str, trusted: Sequence[Network]) -> PublicUrl | None:
    """What the provider signed. None where the request names no host that one could be at."""
    tail = request.path_and_query
    if tail is None:
        return None
    said_by, hop = believed(request, trusted)
    if configured:
        origin = configured.rstrip("/")
        return PublicUrl(origin + tail, origin, "configured", hop.remote)
    scheme = hop.scheme or ("https" if request.secure else "http")
    host = hop.host or request.value("Host") or ""
    if scheme not in ("http", "https") or not is_authority(host):
        return None
    origin = f"{scheme}://{host}"
    return PublicUrl(origin + tail, origin, said_by, hop.remote)


def believed(request: WebhookRequest, trusted: Sequence[Network]) -> tuple[str, Hop]:
    """(who says it, what is to be believed): from the nearest proxy outwards as long as each is trusted.

    Two kinds of headers that differ are both disbelieved: a client wrote one of them.
    """
    remote = clean_address(request.remote)
    nothing = ("request", Hop(remote))
    if not is_trusted(remote, trusted):
        return nothing
    said = [
        (said_by, _outermost(hops, remote, trusted))
        for said_by, hops in (("forwarded", forwarded(request)), ("x_forwarded", x_forwarded(request)))
        if hops
    ]
    if not said or any(hop != said[0][1] for _, hop in said):
        return nothing
    return said[0]


def contradicts_itself(request: WebhookRequest) -> bool:
    """Whether its `Forwarded` says otherwise than its `X-Forwarded-*`: a proxy writes one of them, and lets
    through what a client wrote into the other.
    """
    told, also_told = forwarded(request), x_forwarded(request)
    return bool(told and also_told) and told != also_told


def _outermost(hops: list[Hop], remote: str | None, trusted: Sequence[Network]) -> Hop:
    scheme = host = None
    for hop in reversed(hops):
        scheme, host = hop.scheme or scheme, hop.host or host
        remote = clean_address(hop.remote)
        if not is_trusted(remote, trusted):
            break
    return Hop(remote, scheme.lower() if scheme else None, host)


def is_trusted(remote: str | None, trusted: Sequence[Network]) -> bool:
    if remote is None or not trusted:
        return False
    address = ipaddress.ip_address(remote)
    return any(address in network for network in trusted)


def clean_address(remote: str | None) -> str | None:
    """An IP address in one spelling: without a zone, an IPv4 one as such. None for what is none."""
    return _clean_address(remote) if remote and len(remote) <= LONGEST_ADDRESS else None


@lru_cache(maxsize=4096)
def _clean_address(remote: str) -> str | None:
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return str(mapped or address)


@lru_cache(maxsize=4096)
def may_be_a_proxys(address: str) -> bool:
    """Whether an address is not of the public internet: where no proxy is configured, it may be one's."""
    return not ipaddress.ip_address(address).is_global


def is_authority(text: str) -> bool:
    """Whether it is a host, with or without a port, and nothing else: no user, path or blank."""
    return _AUTHORITY.fullmatch(text) is not None
