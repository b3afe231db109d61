"""Voice Insights of a call: the events of its edges, and the summary, which is partial at first.

The summary has words of its own (`fail`, `noanswer`), different from those of the Calls resource.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from stream.provider_api.time_formats import iso, iso_ms
from stream.simulator.calls import planted
from stream.simulator.calls.call import SimulatedCall
from stream.simulator.calls.scenario import SECOND_US, CallLeg
from stream.simulator.calls.seeded_random import Weighted

CARRIER, SDK = "carrier_edge", "sdk_edge"
EDGES = (CARRIER, "sip_edge", SDK, "client_edge")
_SDK_ERRORS: Weighted[tuple[str, str, int]] = Weighted(
    (4, ("connection", "error", 31005)),
    (3, ("connection", "error", 53001)),
    (2, ("get-user-media", "denied", 31401)),
    (2, ("ice-connection-state", "failed", 53405)),
)


class InsightsEvent(NamedTuple):
    """One event. `edge` and `level` may be None; `data` is the payload of the edge.

    `ordinal` tells identical events apart: 1 for the second.
    """

    at_us: int
    edge: str | None
    group: str
    name: str
    level: str | None
    data: dict[str, Any]
    ordinal: int = 0


def event_row(call: SimulatedCall, event: InsightsEvent) -> dict[str, Any]:
    data = event.data if call.planted is None else {**event.data, **call.planted.fill(planted.INSIGHTS_EVENT)}
    return {
        "timestamp": iso_ms(event.at_us) if event.edge == SDK else iso(event.at_us),
        "call_sid": call.id,
        "account_sid": call.account,
        "edge": event.edge,
        "group": event.group,
        "name": event.name,
        "level": event.level,
        **{edge: data if edge == event.edge else None for edge in EDGES},
    }


def insights_events(rng: random.Random, leg: CallLeg, errors: float) -> list[InsightsEvent]:
    """The events of one leg: the gateway's, and the SDK's if one side is a browser.

    Half of the failed calls have an error; of the others, the share `errors`.
    """
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
    data = {"metadata": {"direction": leg.direction}}
    steps: list[tuple[str, int | None, dict[str, Any]]] = [
        ("initiated", leg.began_us, data),
        ("ringing", leg.ringing_us, data),
        ("answered", leg.answered_us, data),
        (leg.ending.status, leg.ended_us, {**data, "last_sip_response": leg.ending.sip}),
    ]
    return [
        InsightsEvent(at_us, CARRIER, "connection", name, "INFO", said)
        for name, at_us, said in steps
        if at_us is not None
    ]


def _sdk(rng: random.Random, leg: CallLeg) -> list[InsightsEvent]:
    at_us = leg.ringing_us or leg.began_us
    data = {"metadata": {"sdk": "js", "version": "2.18.0"}}
    found = [InsightsEvent(at_us + 1000, SDK, "connection", "incoming", "INFO", data)]
    if leg.answered_us is None:
        return found
    found.append(InsightsEvent(leg.answered_us + 2000, SDK, "connection", "accepted-by-local", "INFO", data))
    if leg.talk_s > 5 and rng.random() < 0.15:
        metric = {"metric": "rtt", "threshold": 400, "value": 400 + rng.randrange(600)}
        raised_us, group = leg.answered_us + 3_000_000, "network-quality-warning-raised"
        found.append(InsightsEvent(raised_us, SDK, group, "high-rtt", "WARNING", metric))
    return found


def _error(rng: random.Random, leg: CallLeg) -> InsightsEvent:
    at_us = leg.ended_us - 1000
    if leg.callee.text.startswith("client:"):
        group, name, code = _SDK_ERRORS.pick(rng)
        return InsightsEvent(at_us, SDK, group, name, "ERROR", {"error": {"code": code}})
    code = 31000 + leg.ending.sip if leg.ending.sip is not None else 31000
    return InsightsEvent(at_us, CARRIER, "connection", "error", "ERROR", {"error": {"code": code}})


# ---------------------------------------------------------------- the summary

PARTIAL, COMPLETE = 0, 1
"""The two versions of each summary."""

STATE_OF = {"failed": "fail", "no-answer": "noanswer"}
"""Statuses that the summary spells differently."""

_DIRECTION = {"inbound": "inbound", "outbound-api": "outbound_api", "outbound-dial": "outbound_dial"}


def summary_row(call: SimulatedCall, version: int) -> dict[str, Any]:
    """The summary with all its fields; `version` is PARTIAL or COMPLETE."""
    leg, done = call.leg, version == COMPLETE
    scheme = leg.callee.text.partition(":")[0]
    kind = scheme if scheme in ("client", "sip") else "carrier"
    edges: dict[str, Any] = {f"{edge}_edge": None for edge in ("carrier", "client", "sdk", "sip")}
    edges[f"{kind}_edge"] = (
        {"metrics": {"inbound": {"packets_received": 50 * leg.talk_s, "packets_lost": 0}}} if done else {}
    )
    return {
        "account_sid": call.account,
        "call_sid": call.id,
        "call_type": kind,
        "call_state": "undialed" if leg.queued else STATE_OF.get(leg.ending.status, leg.ending.status),
        "processing_state": "complete" if done else "partial",
        "created_time": iso(leg.began_us),
        "start_time": iso(leg.began_us),
        "end_time": iso(leg.ended_us) if done else None,
        "duration": (leg.ended_us - leg.began_us) // SECOND_US if done else None,
        "connect_duration": leg.talk_s if done and leg.answered_us is not None else None,
        "from": _side(call, "caller", known=done),
        "to": _side(call, "callee", known=done),
        **edges,
        "tags": [] if done else None,
        "attributes": {"conference_participant": False},
        "properties": _properties(leg) if done else _fillers(leg),
        "trust": {"verified_caller": {"verified": leg.direction == "inbound"}} if done else None,
        "annotation": None,
        "answered_by": None,
        "url": f"https://insights.twilio.com/v1/Voice/{call.id}/Summary",
    }


def _side(call: SimulatedCall, role: str, *, known: bool) -> dict[str, Any]:
    """One side of the call. A partial summary leaves blank what is not known yet."""
    party = call.leg.caller if role == "caller" else call.leg.callee
    origin = party.origin
    return {
        role: party.text,
        "carrier": "Example Carrier" if known and origin.country else "",
        "connection": "mobile" if known and origin.country else "unknown_connection_type",
        "country_code": origin.country if known else "",
        "city": origin.city if known else "",
        "location": {"lat": 0.0, "lon": 0.0} if known else None,
        "number_prefix": origin.prefix[:5] if known else "",
        **({} if call.planted is None else call.planted.fill(planted.SUMMARY_SIDE[role])),
    }


def _properties(leg: CallLeg) -> dict[str, Any]:
    ringing_ms = (leg.ringing_us - leg.began_us) // 1000 if leg.ringing_us is not None else None
    talked = leg.answered_us is not None
    return {
        "direction": _DIRECTION[leg.direction],
        "disconnected_by": ("caller", "callee")[leg.talk_s % 2] if talked else "unknown",
        "last_sip_response_num": leg.ending.sip,
        "pdd_ms": ringing_ms,
        "q850_cause": 16 if leg.ending.status == "completed" else None,
        "queue_time": 0,
        "realm": "us1",
    }


def _fillers(leg: CallLeg) -> dict[str, Any]:
    """The fillers that mean "not known yet": `unknown…`, 0 and the empty string."""
    return {
        "direction": _DIRECTION[leg.direction],
        "disconnected_by": "unknown_disconnected_by",
        "last_sip_response_num": 0,
        "pdd_ms": 0,
        "q850_cause": 0,
        "queue_time": 0,
        "realm": "unknown_realm",
    }
