"""Which edges of Voice Insights may have observed a call."""

from __future__ import annotations

import pytest

from stream.core.insights_edges import EDGES, edges_of


@pytest.mark.parametrize(
    ("direction", "from_", "to", "edges"),
    [
        ("outbound-api", "+15005550006", "+15005550009", ("carrier_edge",)),
        ("outbound-dial", "+15005550006", "client:anna", ("carrier_edge", "sdk_edge", "client_edge")),
        ("inbound", "sip:a@b.test", "+15005550009", ("carrier_edge", "sip_edge")),
        ("outbound-dial", "sips:a@b.test", "client:anna", EDGES),
        ("trunking-originating", "+15005550006", "+15005550009", ("carrier_edge", "sip_edge")),
        (None, None, "+15005550009", EDGES),
        ("inbound", "", "+15005550009", EDGES),
        ("inbound", "SIP:a@b.test", "+15005550009", ("carrier_edge", "sip_edge")),
        ("inbound", "h:0123456789abcdef", "+15005550009", EDGES),
    ],
)
def test_the_edges_follow_from_who_calls_whom(
    direction: str | None, from_: str | None, to: str, edges: tuple[str, ...]
) -> None:
    assert edges_of(direction, from_, to) == edges
