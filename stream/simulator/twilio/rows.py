"""Rows of Twilio's Calls resource and of its Events subresource (the request log)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stream.simulator.calls import planted
from stream.simulator.calls.time_formats import rfc2822
from stream.simulator.twilio import callbacks

if TYPE_CHECKING:
    from stream.simulator.twilio.reports import CallVersion, LoggedRequest, TwilioCall

PRICE_A_MINUTE = 14
"""In thousandths of a dollar."""

_SUBRESOURCES = ("events", "notifications", "payments", "recordings", "siprec", "streams", "transcriptions")
_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response><Dial><Client>agent</Client></Dial></Response>'


def call_row(call: TwilioCall, row: CallVersion) -> dict[str, Any]:
    """The Calls resource, in all its fields. What is not known yet is null; the duration is a text."""
    leg = call.leg
    over = row.status == leg.ending.status
    uri = f"/2010-04-01/Accounts/{call.account}/Calls/{call.id}"
    started = leg.answered_us if row.status not in ("queued", "ringing") else None
    price = -(-leg.talk_s // 60) * PRICE_A_MINUTE
    of = call.planted
    return {
        "sid": call.id,
        "account_sid": call.account,
        "parent_call_sid": call.parent,
        "phone_number_sid": None,
        "group_sid": None,
        "trunk_sid": "",
        "status": row.status,
        "direction": leg.direction,
        "from": leg.caller.text,
        "from_formatted": leg.caller.text,
        "to": leg.callee.text,
        "to_formatted": leg.callee.text,
        "date_created": rfc2822(leg.began_us),
        "date_updated": rfc2822(row.read_us if row.priced else leg.ended_us if over else row.read_us),
        "start_time": rfc2822(started) if started is not None else None,
        "end_time": rfc2822(leg.ended_us) if over else None,
        "duration": str(leg.talk_s) if over and leg.ending.status == "completed" else None,
        "price": f"-{price / 1000:.5f}" if row.priced else None,
        "price_unit": "USD",
        "queue_time": "0",
        "answered_by": None,
        "caller_name": "",
        "forwarded_from": None,
        "annotation": None,
        "api_version": "2010-04-01",
        "uri": uri + ".json",
        "subresource_uris": {name: f"{uri}/{name.capitalize()}.json" for name in _SUBRESOURCES},
        **({} if of is None else planted.call_row(of)),
    }


def request_row(call: TwilioCall, request: LoggedRequest) -> dict[str, Any]:
    """One request of the log and what was answered."""
    return {
        "request": {"method": "POST", "url": request.url, "parameters": _parameters(call, request)},
        "response": _response(request),
    }


def _parameters(call: TwilioCall, request: LoggedRequest) -> dict[str, Any]:
    if request.step is not None:
        return callbacks.logged(callbacks.body(call, call.callbacks[request.step]))
    if request.answer == 201:
        leg, of = call.leg, call.planted
        return {
            "from": leg.caller.text,
            "to": leg.callee.text,
            "call_sid": call.id,
            "account_sid": call.account,
            **({} if of is None else planted.api_request(of)),
        }
    return {**callbacks.logged(call.base), "call_status": request.status}


def _response(request: LoggedRequest) -> dict[str, Any] | None:
    """What came back. No response at all is null; one that came too late has a duration and no code."""
    if request.answer == 0:
        return None
    fetched = request.answer == 200
    return {
        "response_code": request.answer if request.answer > 0 else None,
        "request_duration": request.duration_ms,
        "content_type": "text/xml" if fetched else None,
        "response_body": _TWIML if fetched else "",
        "date_created": rfc2822(request.at_us + request.duration_ms * 1000),
    }
