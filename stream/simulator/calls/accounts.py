"""Whose the calls of a run are.

The rule of this file: the first draws of a seed make up both accounts, whether they are used or not, so that
all that is drawn after them stays the same.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from stream.simulator.calls.options import Options
from stream.simulator.calls.seeded_random import uuid_text


class Accounts(NamedTuple):
    """The providers' ids of the two."""

    twilio: str
    telnyx: str


def seeded(options: Options) -> random.Random:
    """The chance that a whole run is drawn from, at its beginning."""
    return random.Random(f"callstream {options.seed}")


def accounts(options: Options, rng: random.Random) -> Accounts:
    """Those of the options, else made up. Takes the first draws of `seeded`."""
    twilio = f"AC{rng.getrandbits(128):032x}"
    telnyx = uuid_text(rng)
    return Accounts(options.twilio_account or twilio, options.telnyx_account or telnyx)
