"""The edges of Voice Insights: where in its network Twilio saw something of a call.

The rule of this file: every edge that may have seen a call is read, for one unfiltered read is one edge only.
"""

from __future__ import annotations

CARRIER, SIP, SDK, CLIENT = "carrier_edge", "sip_edge", "sdk_edge", "client_edge"
EDGES: tuple[str, ...] = (CARRIER, SIP, SDK, CLIENT)
"""Of Voice Insights, in a fixed order: a call's state keeps the index."""


def edges_of(direction: str | None, from_: str | None, to: str | None) -> tuple[str, ...]:
    """The edges that may have seen a call, in a fixed order; all four where an address is not known.

    Masked addresses do: what counts is what they begin with. ConversationRelay's rows of clients and of SIP
    calls are under the carrier's edge. (Twilio: "Voice Insights Events", default edges.)
    """
    found = {CARRIER, *_edges_at(from_), *_edges_at(to)}
    if direction is not None and direction.startswith("trunking"):
        found.add(SIP)
    return tuple(edge for edge in EDGES if edge in found)


def _edges_at(address: str | None) -> tuple[str, ...]:
    scheme, colon, _ = (address or "h:").partition(":")
    if not colon:
        return ()
    return _EDGES_AT.get(scheme.lower(), ())


_EDGES_AT = {"client": (SDK, CLIENT), "sip": (SIP,), "sips": (SIP,), "h": EDGES}
"""By what an address begins with; `h` is a hashed one."""
