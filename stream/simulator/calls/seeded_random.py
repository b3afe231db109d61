"""Randomness with a seed: every draw of a run comes from one `random.Random`, in one order."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

from stream.simulator.calls.options import Options

T = TypeVar("T")


class Weighted(Generic[T]):
    """Picks one of several values by weight."""

    def __init__(self, *choices: tuple[float, T]) -> None:
        self._values = [value for _, value in choices]
        total = sum(weight for weight, _ in choices)
        self._bounds = [bound / total for bound in accumulate(weight for weight, _ in choices)]
        self._last = len(self._values) - 1

    def pick(self, rng: random.Random) -> T:
        return self._values[min(bisect_right(self._bounds, rng.random()), self._last)]


def between_us(rng: random.Random, low_s: float, high_s: float) -> int:
    """A uniformly distributed time in microseconds."""
    return int((low_s + (high_s - low_s) * rng.random()) * 1_000_000)


def skewed_us(rng: random.Random, median_s: float, spread: float, most_s: float) -> int:
    """A log-normal time in microseconds: most are near the median, few are long."""
    return int(min(median_s * math.exp(spread * rng.gauss(0.0, 1.0)), most_s) * 1_000_000)


def uuid_text(rng: random.Random) -> str:
    """A random UUID (version 4, RFC 9562)."""
    h = f"{rng.getrandbits(128):032x}"
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:]}"


def seeded(options: Options) -> random.Random:
    """The source of all draws of a run, at its start."""
    return random.Random(f"callstream {options.seed}")


class RunAccounts(NamedTuple):
    """The providers' ids of the accounts that a run's calls belong to."""

    twilio: str
    telnyx: str


def run_accounts(options: Options, rng: random.Random) -> RunAccounts:
    """The accounts of the options; made up if there are none.

    Always takes the first draws of `seeded`, used or not, so that all later draws stay the same.
    """
    twilio = f"AC{rng.getrandbits(128):032x}"
    telnyx = uuid_text(rng)
    return RunAccounts(options.twilio_account or twilio, options.telnyx_account or telnyx)
