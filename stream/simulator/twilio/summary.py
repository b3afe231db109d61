"""Voice Insights' summary of a call: partial at first, with fillers for what is not known yet.

The rule of this file: its words are Voice Insights' own (`fail`, `noanswer`), which are not the Calls
resource's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stream.simulator.calls import planted
from stream.simulator.calls.phone_numbers import CallParty
from stream.simulator.calls.planted import Planted
from stream.simulator.calls.scenario import SECOND_US, CallLeg
from stream.simulator.calls.time_formats import iso

if TYPE_CHECKING:
    from stream.simulator.twilio.reports import TwilioCall

PARTIAL, COMPLETE = 0, 1
"""The two versions that there are of each summary."""

STATE_OF = {"failed": "fail", "no-answer": "noanswer"}
"""Where the summary spells a status otherwise."""

_DIRECTION = {"inbound": "inbound", "outbound-api": "outbound_api", "outbound-dial": "outbound_dial"}


def summary_row(call: TwilioCall, version: int) -> dict[str, Any]:
    """The summary, in all its fields; `version` is PARTIAL or COMPLETE."""
    leg, done = call.leg, version == COMPLETE
    kind = _kind(leg)
    edges: dict[str, Any] = {f"{edge}_edge": None for edge in ("carrier", "client", "sdk", "sip")}
    edges["client_edge" if kind == "client" else "sip_edge" if kind == "sip" else "carrier_edge"] = (
        _edge(leg) if done else {}
    )
    return {
        "account_sid": call.account,
        "call_sid": call.id,
        "call_type": kind,
        "call_state": _state(leg),
        "processing_state": "complete" if done else "partial",
        "created_time": iso(leg.began_us),
        "start_time": iso(leg.began_us),
        "end_time": iso(leg.ended_us) if done else None,
        "duration": (leg.ended_us - leg.began_us) // SECOND_US if done else None,
        "connect_duration": leg.talk_s if done and leg.answered_us is not None else None,
        "from": _side(leg.caller, "caller", call.planted, known=done),
        "to": _side(leg.callee, "callee", call.planted, known=done),
        **edges,
        "tags": [] if done else None,
        "attributes": {"conference_participant": False},
        "properties": _properties(leg) if done else _fillers(leg),
        "trust": {"verified_caller": {"verified": leg.direction == "inbound"}} if done else None,
        "annotation": None,
        "answered_by": None,
        "url": f"https://insights.twilio.com/v1/Voice/{call.id}/Summary",
    }


def _kind(leg: CallLeg) -> str:
    scheme = leg.callee.text.partition(":")[0]
    return scheme if scheme in ("client", "sip") else "carrier"


def _state(leg: CallLeg) -> str:
    return "undialed" if leg.queued else STATE_OF.get(leg.ending.status, leg.ending.status)


def _side(address: CallParty, role: str, of: Planted | None, *, known: bool) -> dict[str, Any]:
    """One side of the call; what a partial summary does not know yet is blank."""
    place = address.place
    return {
        role: address.text,
        "carrier": "Example Carrier" if known and place.country else "",
        "connection": "mobile" if known and place.country else "unknown_connection_type",
        "country_code": place.country if known else "",
        "city": place.city if known else "",
        "location": {"lat": 0.0, "lon": 0.0} if known else None,
        "number_prefix": place.prefix[:5] if known else "",
        **({} if of is None else planted.summary_side(of, role)),
    }


def _edge(leg: CallLeg) -> dict[str, Any]:
    return {"metrics": {"inbound": {"packets_received": 50 * leg.talk_s, "packets_lost": 0}}}


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
    """What stands for "not known yet": `unknown…`, 0 and the empty text."""
    return {
        "direction": _DIRECTION[leg.direction],
        "disconnected_by": "unknown_disconnected_by",
        "last_sip_response_num": 0,
        "pdd_ms": 0,
        "q850_cause": 0,
        "queue_time": 0,
        "realm": "unknown_realm",
    }
