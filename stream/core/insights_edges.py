"""The edges of Voice Insights: the parts of Twilio's network that observe a call.

Every edge that may have observed a call is read, because an unfiltered read returns one edge only.
"""

from __future__ import annotations

CARRIER, SIP, SDK, CLIENT = "carrier_edge", "sip_edge", "sdk_edge", "client_edge"
EDGES: tuple[str, ...] = (CARRIER, SIP, SDK, CLIENT)
"""In a fixed order: a call's state stores the index."""

NETWORK_EDGES = (CARRIER, SIP)


def edges_of(direction: str | None, from_: str | None, to: str | None) -> tuple[str, ...]:
    """The edges that may have observed a call, in a fixed order; all four if an address is not known.

    Masked addresses are sufficient, because only their scheme counts. ConversationRelay's rows of clients and
    of SIP calls are under the carrier's edge. (Twilio: "Voice Insights Events", default edges.)
    """
    found = _BIT[CARRIER]
    for address in (from_, to):
        scheme, colon, _ = (address or "h:").partition(":")
        if colon:
            found |= _BITS_AT.get(scheme.lower(), 0)
    if direction is not None and direction.startswith("trunking"):
        found |= _BIT[SIP]
    return _OF_BITS[found]


_BIT = {edge: 1 << position for position, edge in enumerate(EDGES)}
_OF_BITS = [tuple(edge for edge in EDGES if bits & _BIT[edge]) for bits in range(1 << len(EDGES))]
_EDGES_AT = {"client": (SDK, CLIENT), "sip": (SIP,), "sips": (SIP,), "h": EDGES}
"""Edges by the scheme of an address; `h` is a hashed one."""

_BITS_AT = {scheme: sum(map(_BIT.__getitem__, edges)) for scheme, edges in _EDGES_AT.items()}
