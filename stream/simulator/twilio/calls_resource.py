"""Twilio's Calls resource: the versions that a call's row goes through, and how each is written."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from stream.provider_api.time_formats import rfc2822
from stream.simulator.calls import planted
from stream.simulator.calls.call import PRICE_S, SimulatedCall, scaled_us
from stream.simulator.calls.scenario import SECOND_US, CallLeg
from stream.simulator.calls.seeded_random import between_us

PRICE_AFTER_US = 20 * SECOND_US
"""A thirtieth of the provider's own delay (10 min), so that a short run sees it; for delivered rows only."""

PRICE_A_MINUTE = 14
"""In thousandths of a dollar."""

_SUBRESOURCES = ("events", "notifications", "payments", "recordings", "siprec", "streams", "transcriptions")


class CallVersion(NamedTuple):
    """The row at one read; of a served call, the row as it is from `read_us` on."""

    status: str
    read_us: int
    priced: bool


def delivered_versions(rng: random.Random, leg: CallLeg) -> list[CallVersion]:
    """The row at the call's end, sometimes before it, and mostly a second time when its price is known."""
    found = []
    chance = rng.random()
    if chance < 0.1 and not leg.queued:
        found.append(CallVersion("queued", leg.began_us + 400_000, priced=False))
    if chance < 0.2 and leg.answered_us is not None:
        stale_us = leg.ended_us + 200_000 if chance < 0.05 else (leg.answered_us + leg.ended_us) // 2
        found.append(CallVersion("in-progress", stale_us, priced=False))
    found.append(CallVersion(leg.ending.status, leg.ended_us + between_us(rng, 0.5, 2), priced=False))
    if chance > 0.4:
        found.append(CallVersion(leg.ending.status, leg.ended_us + PRICE_AFTER_US, priced=leg.talk_s > 0))
    return found


def served_versions(leg: CallLeg, time_factor: float) -> list[CallVersion]:
    """Every state of the row, from when it is in it. The last one has the price, if the call was answered."""
    found = [CallVersion("queued", leg.began_us, priced=False)]
    if leg.ringing_us is not None:
        found.append(CallVersion("ringing", leg.ringing_us, priced=False))
    if leg.answered_us is not None:
        found.append(CallVersion("in-progress", leg.answered_us, priced=False))
    found.append(CallVersion(leg.ending.status, leg.ended_us, priced=False))
    if leg.talk_s > 0:
        priced_us = leg.ended_us + scaled_us(PRICE_S, time_factor)
        found.append(CallVersion(leg.ending.status, priced_us, priced=True))
    return found


def call_row(call: SimulatedCall, parent: str | None, version: CallVersion) -> dict[str, Any]:
    """The row with all its fields. An unknown value is null; the duration is a string."""
    leg = call.leg
    over = version.status == leg.ending.status
    uri = f"/2010-04-01/Accounts/{call.account}/Calls/{call.id}"
    started = leg.answered_us if version.status not in ("queued", "ringing") else None
    price = -(-leg.talk_s // 60) * PRICE_A_MINUTE
    return {
        "sid": call.id,
        "account_sid": call.account,
        "parent_call_sid": parent,
        "phone_number_sid": None,
        "group_sid": None,
        "trunk_sid": "",
        "status": version.status,
        "direction": leg.direction,
        "from": leg.caller.text,
        "from_formatted": leg.caller.text,
        "to": leg.callee.text,
        "to_formatted": leg.callee.text,
        "date_created": rfc2822(leg.began_us),
        "date_updated": rfc2822(leg.ended_us if over and not version.priced else version.read_us),
        "start_time": rfc2822(started) if started is not None else None,
        "end_time": rfc2822(leg.ended_us) if over else None,
        "duration": str(leg.talk_s) if over and leg.ending.status == "completed" else None,
        "price": f"-{price / 1000:.5f}" if version.priced else None,
        "price_unit": "USD",
        "queue_time": "0",
        "answered_by": None,
        "caller_name": "",
        "forwarded_from": None,
        "annotation": None,
        "api_version": "2010-04-01",
        "uri": uri + ".json",
        "subresource_uris": {name: f"{uri}/{name.capitalize()}.json" for name in _SUBRESOURCES},
        **({} if call.planted is None else call.planted.fill(planted.CALL_ROW)),
    }
