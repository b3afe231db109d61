"""Twilio's status callbacks: which a call sends, and their form parameters (every value is a string)."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from stream.provider_api.time_formats import rfc2822
from stream.simulator.calls import planted
from stream.simulator.calls.call import SimulatedCall
from stream.simulator.calls.scenario import CallLeg, NumberOrigin

EVENT_OF_STATUS = {
    "initiated": "initiated",
    "ringing": "ringing",
    "in-progress": "answered",
    "completed": "completed",
    "busy": "completed",
    "no-answer": "completed",
    "canceled": "completed",
    "failed": "completed",
}
"""The event that one subscribes to, by the status that its callback carries (Twilio, Call resource)."""


class StatusCallback(NamedTuple):
    """`status`: its CallStatus; `number`: its SequenceNumber, None from senders without one."""

    status: str
    at_us: int
    number: int | None


def status_callbacks(rng: random.Random, leg: CallLeg) -> list[StatusCallback]:
    """What the provider sends, numbered in order. One call in eight subscribed to the final event only."""
    fired = []
    if not leg.queued and leg.direction != "inbound":
        fired.append(("initiated", leg.began_us))
    if leg.ringing_us is not None:
        fired.append(("ringing", leg.ringing_us))
    if leg.answered_us is not None:
        fired.append(("in-progress", leg.answered_us))
    fired.append((leg.ending.status, leg.ended_us))
    chance = rng.random()
    numbered = chance > 0.01
    sent = [StatusCallback(status, at, n if numbered else None) for n, (status, at) in enumerate(fired)]
    return sent[-1:] if chance > 0.875 else sent


def constant_parameters(call: SimulatedCall, parent: str | None) -> dict[str, Any]:
    leg = call.leg
    caller, callee = leg.caller, leg.callee
    known: dict[str, Any] = {"Called": callee.text, "Caller": caller.text, "Direction": leg.direction}
    if callee.origin.country:
        known |= _geography("To", callee.origin) | _geography("Called", callee.origin)
    else:
        known |= _geography("From", caller.origin)
    known |= {"CallSid": call.id, "AccountSid": call.account, "From": caller.text, "To": callee.text}
    known["ApiVersion"] = "2010-04-01"
    if parent is not None:
        known["ParentCallSid"] = parent
    if leg.direction == "inbound":
        known["StirVerstat"] = "TN-Validation-Passed-A"
    if call.planted is not None:
        known |= call.planted.fill(planted.CALLBACK)
    return known


def _geography(side: str, origin: NumberOrigin) -> dict[str, str]:
    return {
        side + "City": origin.city,
        side + "State": origin.state,
        side + "Zip": origin.zip,
        side + "Country": origin.country,
    }


def parameters(call: SimulatedCall, constant: dict[str, Any], sent: StatusCallback) -> dict[str, Any]:
    """One callback's parameters: the constant ones and its own."""
    fields = {
        **constant,
        "Timestamp": rfc2822(sent.at_us),
        "CallbackSource": "call-progress-events",
        "CallStatus": sent.status,
    }
    if sent.number is not None:
        fields["SequenceNumber"] = str(sent.number)
    if sent.status == call.leg.ending.status:
        _add_end(fields, call.leg)
        if call.planted is not None:
            fields.setdefault("ErrorMessage", f"no route to {call.planted.number}")
    elif sent.status != "initiated" and call.leg.direction != "inbound":
        fields["StirStatus"] = "A"
    return fields


def _add_end(fields: dict[str, Any], leg: CallLeg) -> None:
    """The parameters of the final callback: `Duration` in minutes, rounded up, `CallDuration` in seconds."""
    fields["CallDuration"] = str(leg.talk_s)
    fields["Duration"] = str(-(-leg.talk_s // 60))
    if leg.ending.sip is not None:
        fields["SipResponseCode"] = str(leg.ending.sip)
    if leg.ending.error is not None:
        fields["ErrorCode"], fields["ErrorMessage"] = leg.ending.error
