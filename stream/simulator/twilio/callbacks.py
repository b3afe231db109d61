"""Twilio's status callbacks: form parameters, every value a string."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stream.simulator.calls import planted
from stream.simulator.calls.phone_numbers import NumberOrigin
from stream.simulator.calls.planted import Planted
from stream.simulator.calls.scenario import CallLeg
from stream.simulator.calls.time_formats import rfc2822
from stream.simulator.twilio.names import snake_case

if TYPE_CHECKING:
    from stream.simulator.twilio.reports import StatusCallback, TwilioCall


def _geography(side: str, place: NumberOrigin) -> dict[str, str]:
    return {
        side + "City": place.city,
        side + "State": place.state,
        side + "Zip": place.zip,
        side + "Country": place.country,
    }


def constant_part(
    sid: str, account: str, leg: CallLeg, parent: str | None, of: Planted | None
) -> dict[str, Any]:
    """The parameters that all callbacks of a call share."""
    caller, callee = leg.caller, leg.callee
    known: dict[str, Any] = {"Called": callee.text, "Caller": caller.text, "Direction": leg.direction}
    if callee.place.country:
        known |= _geography("To", callee.place) | _geography("Called", callee.place)
    else:
        known |= _geography("From", caller.place)
    known |= {"CallSid": sid, "AccountSid": account, "From": caller.text, "To": callee.text}
    known["ApiVersion"] = "2010-04-01"
    if parent is not None:
        known["ParentCallSid"] = parent
    if leg.direction == "inbound":
        known["StirVerstat"] = "TN-Validation-Passed-A"
    if of is not None:
        known |= planted.callback(of)
    return known


def body(call: TwilioCall, sent: StatusCallback) -> dict[str, Any]:
    """One callback's parameters."""
    leg = call.leg
    fields = {
        **call.base,
        "Timestamp": rfc2822(sent.at_us),
        "CallbackSource": "call-progress-events",
        "CallStatus": sent.status,
    }
    if sent.number is not None:
        fields["SequenceNumber"] = str(sent.number)
    if sent.status == leg.ending.status:
        _end(fields, leg)
        if call.planted is not None:
            fields.setdefault("ErrorMessage", f"no route to {call.planted.number}")
    elif sent.status != "initiated" and leg.direction != "inbound":
        fields["StirStatus"] = "A"
    return fields


def _end(fields: dict[str, Any], leg: CallLeg) -> None:
    """What only the last callback says. `Duration` is minutes, begun ones counted; `CallDuration` seconds."""
    fields["CallDuration"] = str(leg.talk_s)
    fields["Duration"] = str(-(-leg.talk_s // 60))
    if leg.ending.sip is not None:
        fields["SipResponseCode"] = str(leg.ending.sip)
    if leg.ending.error is not None:
        fields["ErrorCode"], fields["ErrorMessage"] = leg.ending.error


def logged(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as the request log spells them."""
    return {snake_case(name): value for name, value in parameters.items()}
