"""Numbers and addresses of nobody: ranges reserved for fiction, and what a carrier says of them."""

from __future__ import annotations

import random
from typing import NamedTuple

from stream.simulator.calls.seeded_random import Weighted


class NumberOrigin(NamedTuple):
    """Where a number is from; texts are empty where the carrier does not know."""

    prefix: str
    city: str
    state: str
    zip: str
    country: str


_PLACES: Weighted[NumberOrigin] = Weighted(
    (4, NumberOrigin("+1212555", "NEW YORK", "NY", "10001", "US")),
    (3, NumberOrigin("+1415555", "SAN FRANCISCO", "CA", "94105", "US")),
    (2, NumberOrigin("+1512555", "AUSTIN", "TX", "78701", "US")),
    (2, NumberOrigin("+1312555", "CHICAGO", "IL", "60601", "US")),
    (1, NumberOrigin("+1604555", "VANCOUVER", "BC", "", "CA")),
    (2, NumberOrigin("+442079460", "", "", "", "GB")),
    (1, NumberOrigin("+441632960", "", "", "", "GB")),
)
UNKNOWN_ORIGIN = NumberOrigin("", "", "", "", "")


class CallParty(NamedTuple):
    """One side of a call."""

    text: str
    place: NumberOrigin


def number(rng: random.Random) -> CallParty:
    """A phone number: 555-01xx in North America, Ofcom's numbers for drama in Britain."""
    place = _PLACES.pick(rng)
    tail = f"01{rng.randrange(100):02d}" if place.prefix[1] == "1" else f"{rng.randrange(1000):03d}"
    return CallParty(place.prefix + tail, place)


def endpoint(rng: random.Random) -> CallParty:
    """A browser or desk phone."""
    n = rng.randrange(400)
    return CallParty(f"client:agent_{n}" if n % 3 else f"sip:desk{n}@pbx.example.test", UNKNOWN_ORIGIN)
