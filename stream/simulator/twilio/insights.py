"""Voice Insights' events of a call: the gateway's for every call, the SDK's where one side is a browser."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from stream.simulator.calls.scenario import CallLeg
from stream.simulator.calls.seeded_random import Weighted
from stream.simulator.calls.time_formats import iso, iso_ms

CARRIER, SDK = "carrier_edge", "sdk_edge"
EDGES = (CARRIER, "sip_edge", SDK, "client_edge")
_SDK_ERRORS: Weighted[tuple[str, str, int]] = Weighted(
    (4, ("connection", "error", 31005)),
    (3, ("connection", "error", 53001)),
    (2, ("get-user-media", "denied", 31401)),
    (2, ("ice-connection-state", "failed", 53405)),
)


class InsightsEvent(NamedTuple):
    """One row. `edge`, `level` may be None; `data` is its edge's payload, `ordinal` its place among twins."""

    at_us: int
    edge: str | None
    group: str
    name: str
    level: str | None
    data: dict[str, Any]
    ordinal: int = 0

    def row(self, sid: str, account: str) -> dict[str, Any]:
        """As the resource has it."""
        fields: dict[str, Any] = {
            "timestamp": iso_ms(self.at_us) if self.edge == SDK else iso(self.at_us),
            "call_sid": sid,
            "account_sid": account,
            "edge": self.edge,
            "group": self.group,
            "name": self.name,
            "level": self.level,
        }
        for edge in EDGES:
            fields[edge] = self.data if edge == self.edge else None
        return fields


def insights(rng: random.Random, leg: CallLeg, errors: float) -> list[InsightsEvent]:
    """The events of one leg. Half of the failed ones have an error, of the others the share `errors`."""
    found = _gateway(leg)
    if leg.callee.text.startswith("client:") and leg.ringing_us is not None:
        found += _sdk(rng, leg)
    share = 0.5 if leg.ending.status == "failed" else errors
    if rng.random() < share:
        found.append(_error(rng, leg))
    chance = rng.random()
    if chance < 0.02:
        found.append(found[-1]._replace(ordinal=1))
    elif chance < 0.03 and leg.answered_us is not None:
        data = {"session_id": "VX" + f"{rng.getrandbits(64):032x}"}
        found.append(InsightsEvent(leg.answered_us, None, "conversation_relay", "prompt_sent", None, data))
    return found


def _gateway(leg: CallLeg) -> list[InsightsEvent]:
    steps = [("initiated", leg.began_us), ("ringing", leg.ringing_us), ("answered", leg.answered_us)]
    data = {"metadata": {"direction": leg.direction}}
    found = [
        InsightsEvent(at, CARRIER, "connection", name, "INFO", data) for name, at in steps if at is not None
    ]
    end = {**data, "last_sip_response": leg.ending.sip}
    return [*found, InsightsEvent(leg.ended_us, CARRIER, "connection", leg.ending.status, "INFO", end)]


def _sdk(rng: random.Random, leg: CallLeg) -> list[InsightsEvent]:
    at_us = leg.ringing_us or leg.began_us
    data = {"metadata": {"sdk": "js", "version": "2.18.0"}}
    found = [InsightsEvent(at_us + 1000, SDK, "connection", "incoming", "INFO", data)]
    if leg.answered_us is None:
        return found
    found.append(InsightsEvent(leg.answered_us + 2000, SDK, "connection", "accepted-by-local", "INFO", data))
    if leg.talk_s > 5 and rng.random() < 0.15:
        metric = {"metric": "rtt", "threshold": 400, "value": 400 + rng.randrange(600)}
        raised = leg.answered_us + 3_000_000
        found.append(
            InsightsEvent(raised, SDK, "network-quality-warning-raised", "high-rtt", "WARNING", metric)
        )
    return found


def _error(rng: random.Random, leg: CallLeg) -> InsightsEvent:
    at_us = leg.ended_us - 1000
    if leg.callee.text.startswith("client:"):
        group, name, code = _SDK_ERRORS.pick(rng)
        return InsightsEvent(at_us, SDK, group, name, "ERROR", {"error": {"code": code}})
    code = 31000 + leg.ending.sip if leg.ending.sip is not None else 31000
    return InsightsEvent(at_us, CARRIER, "connection", "error", "ERROR", {"error": {"code": code}})
