"""What happens to a call before a provider reports it: who calls whom, when it rings, how it ends.

Phone numbers are from ranges reserved for fiction, so that no simulated call concerns a real person.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

from stream.simulator.calls.options import LONGEST_TALK_S
from stream.simulator.calls.seeded_random import Weighted, between_us, skewed_us

SECOND_US = 1_000_000


class NumberOrigin(NamedTuple):
    """A field is empty if the carrier does not know it."""

    prefix: str
    city: str
    state: str
    zip: str
    country: str


_ORIGINS: Weighted[NumberOrigin] = Weighted(
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
    text: str
    origin: NumberOrigin


def phone_number(rng: random.Random) -> CallParty:
    """A phone number: 555-01xx in North America, Ofcom's numbers for drama in Britain."""
    origin = _ORIGINS.pick(rng)
    tail = f"01{rng.randrange(100):02d}" if origin.prefix[1] == "1" else f"{rng.randrange(1000):03d}"
    return CallParty(origin.prefix + tail, origin)


def device(rng: random.Random) -> CallParty:
    """A browser or desk phone."""
    n = rng.randrange(400)
    return CallParty(f"client:agent_{n}" if n % 3 else f"sip:desk{n}@pbx.example.test", UNKNOWN_ORIGIN)


class CallEnding(NamedTuple):
    """How a call ends.

    - `status`: in Twilio's words; `cause`: Telnyx' hangup cause.
    - `sip`: the final SIP response code, None if the provider does not say it.
    - `error`: Twilio's error code and text, or None.
    - `rings`: the probability that the far end rang before.
    """

    status: str
    sip: int | None
    cause: str
    error: tuple[str, str] | None = None
    rings: float = 1.0


ANSWERED: Weighted[CallEnding] = Weighted(
    (90, CallEnding("completed", 200, "normal_clearing")),
    (7, CallEnding("completed", None, "normal_clearing")),
    (3, CallEnding("completed", 200, "time_limit")),
)
NOT_ANSWERED: Weighted[CallEnding] = Weighted(
    (9, CallEnding("busy", 486, "user_busy", rings=0.7)),
    (1, CallEnding("busy", 600, "user_busy", rings=0.5)),
    (8, CallEnding("no-answer", 487, "timeout")),
    (4, CallEnding("no-answer", 480, "no_answer")),
    (2, CallEnding("no-answer", 603, "call_rejected")),
    (1, CallEnding("no-answer", 487, "normal_clearing")),
    (5, CallEnding("canceled", 487, "originator_cancel", rings=0.8)),
)
_UNREACHABLE = ("13224", "Dial: The dialed number is invalid or unsupported")
_FORBIDDEN = ("13225", "Dial: Call blocked")
FAILED: Weighted[CallEnding] = Weighted(
    (30, CallEnding("failed", 404, "not_found", rings=0.0)),
    (10, CallEnding("failed", 404, "not_found", _UNREACHABLE, rings=0.0)),
    (20, CallEnding("failed", 503, "unspecified", rings=0.2)),
    (12, CallEnding("failed", 500, "unspecified", rings=0.2)),
    (8, CallEnding("failed", 502, "unspecified", rings=0.1)),
    (6, CallEnding("failed", 403, "unspecified", _FORBIDDEN, rings=0.0)),
    (6, CallEnding("failed", 488, "unspecified", rings=0.0)),
    (4, CallEnding("failed", 484, "unspecified", rings=0.0)),
    (4, CallEnding("failed", None, "unspecified", rings=0.3)),
)
LOST: Weighted[CallEnding] = Weighted(
    (2, CallEnding("canceled", 487, "originator_cancel")),
    (1, CallEnding("no-answer", 487, "timeout")),
)
"""How the legs of a simultaneous dial end when another one is answered."""
ANSWERED_SHARE = 0.7
LATER_SHARE = 0.3
"""How many answered dials are followed by another one in the same call."""
APART_S = 15
"""From an answer until another number is dialled, at least."""
_SHAPES: Weighted[str] = Weighted((55, "outbound-api"), (20, "inbound"), (25, "dial"))


@dataclass(slots=True)
class CallLeg:
    """One leg of a call, as it took place.

    - `direction`: Twilio's word.
    - Times are microseconds since 1970; None for what did not happen.
    - `talk_s`: 0 unless answered.
    - `queued`: canceled before anything was dialled.
    """

    direction: str
    caller: CallParty
    callee: CallParty
    began_us: int
    ringing_us: int | None
    answered_us: int | None
    ended_us: int
    ending: CallEnding
    talk_s: int
    queued: bool = False


def legs(
    rng: random.Random,
    began_us: int,
    failed: float,
    most_s: float = LONGEST_TALK_S,
    *,
    several: bool = False,
) -> list[CallLeg]:
    """The legs of one call: one leg, or a caller's leg and then the leg that was dialled for it.

    `failed`: share of failing calls. `most_s`: the longest talk; a caller's leg outlasts the dialled one.
    `several`: others may be dialled together with one that is answered, and another one after it.
    """
    shape = _SHAPES.pick(rng)
    if shape == "outbound-api":
        caller, callee = phone_number(rng), phone_number(rng)
        return [_leg(rng, shape, caller, callee, began_us, _ending(rng, failed), most_s)]
    caller, line = phone_number(rng), phone_number(rng)
    if shape == "inbound":
        return [_leg(rng, shape, caller, line, began_us, _ending(rng, failed), most_s)]
    parent = _leg(rng, "inbound", caller, line, began_us, ANSWERED.pick(rng), most_s)
    dialled_us = (parent.answered_us or began_us) + between_us(rng, 0.3, 1.5)
    callee = device(rng) if rng.random() < 0.5 else phone_number(rng)
    child = _leg(rng, "outbound-dial", caller, callee, dialled_us, _ending(rng, failed), most_s)
    _extend(parent, child.ended_us + between_us(rng, 0.1, 1))
    if not several or child.answered_us is None:
        return [parent, child]
    found = [parent, child, *(_lost_leg(rng, child) for _ in range(rng.randrange(3)))]
    if rng.random() < LATER_SHARE:
        found.append(_later_leg(rng, child, _ending(rng, failed), most_s / 4))
        _extend(parent, found[-1].ended_us + between_us(rng, 0.1, 1))
    return found


def _lost_leg(rng: random.Random, winner: CallLeg) -> CallLeg:
    """A leg that was dialled together with one that was answered."""
    began_us, answered_us = winner.began_us, winner.answered_us or winner.ended_us
    ringing_us = began_us + int((answered_us - began_us) * rng.uniform(0.2, 0.8))
    ended_us = answered_us + between_us(rng, 0.1, 0.5)
    callee, ending = phone_number(rng), LOST.pick(rng)
    return CallLeg(winner.direction, winner.caller, callee, began_us, ringing_us, None, ended_us, ending, 0)


def _later_leg(rng: random.Random, first: CallLeg, ending: CallEnding, most_s: float) -> CallLeg:
    """A leg that was dialled after the conversation with the first one."""
    over_us = max(first.ended_us, (first.answered_us or first.began_us) + APART_S * SECOND_US)
    dialled_us = over_us + between_us(rng, 0.3, 3)
    return _leg(rng, first.direction, first.caller, phone_number(rng), dialled_us, ending, most_s)


def _ending(rng: random.Random, failed: float) -> CallEnding:
    if rng.random() < failed:
        return FAILED.pick(rng)
    return (ANSWERED if rng.random() < ANSWERED_SHARE else NOT_ANSWERED).pick(rng)


def _leg(
    rng: random.Random,
    direction: str,
    caller: CallParty,
    callee: CallParty,
    began_us: int,
    ending: CallEnding,
    most_s: float,
) -> CallLeg:
    queued = ending.status == "canceled" and direction == "outbound-api" and rng.random() < 0.3
    if queued:
        ended = began_us + between_us(rng, 0.2, 4)
        return CallLeg(direction, caller, callee, began_us, None, None, ended, ending, 0, queued=True)
    now = began_us
    ringing = answered = None
    talk_s = 0
    if rng.random() < ending.rings:
        ringing = now = now + skewed_us(rng, 1.1, 0.6, 8)
    if ending.status == "completed":
        answered = now = now + skewed_us(rng, 5.0, 0.6, 40)
        talk_s = skewed_us(rng, 35.0, 1.0, most_s) // SECOND_US
        now += talk_s * SECOND_US + between_us(rng, 0, 0.9)
    elif ending.cause == "timeout":
        now += between_us(rng, 20, 30)
    else:
        now += skewed_us(rng, 2.0, 0.7, 15)
    return CallLeg(direction, caller, callee, began_us, ringing, answered, now, ending, talk_s)


def _extend(parent: CallLeg, least_us: int) -> None:
    """A caller hangs up after the leg that was dialled for it, not before."""
    if parent.ended_us < least_us and parent.answered_us is not None:
        parent.talk_s = (least_us - parent.answered_us) // SECOND_US + 1
        parent.ended_us = parent.answered_us + parent.talk_s * SECOND_US + 300_000
