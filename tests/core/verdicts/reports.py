"""What providers report of calls that do not succeed: short ways to write it.

Facts that no source is known to report (error texts of Telnyx' REST API) are written as a row that has them.
"""

from __future__ import annotations

from typing import Any

from tests.core.deliveries import (
    ACCOUNT,
    CALL_ID,
    LEG_ID,
    TELNYX_KEY,
    TWILIO_KEY,
    Delivery,
    at,
    callback,
    delivery,
    insight,
    logged,
    rfc2822,
    telnyx,
    telnyx_event,
)
from tests.core.error_log import tellings as error_log

DEVICE = {"To": "sip:desk7@pbx.example.test", "Direction": "outbound-dial", "ParentCallSid": "CA" + "0a" * 16}
CHILD = {"Direction": "outbound-dial", "ParentCallSid": "CA" + "0a" * 16}
INBOUND = {"Direction": "inbound"}
TRUNK = {"Direction": "trunking-terminating"}
CLIENT = {"To": "client:agent_7"} | CHILD


def twilio(status: str, sip: int | None = None, *, rang_s: int | None = None, **more: str) -> list[Delivery]:
    """Callbacks of a call that rang (or did not) and ended; it began at second 0."""
    if sip is not None:
        more["SipResponseCode"] = str(sip)
    common = {
        name: value for name, value in more.items() if name in ("To", "Direction", "ParentCallSid", "From")
    }
    told = [callback("initiated", "0", 0, **common)]
    if rang_s is not None:
        told.append(callback("ringing", "1", 1, **common))
    return [*told, callback(status, str(len(told)), 1 + (rang_s or 0), **more)]


def asked(code: int | None, second: int = 1, *, body: str = "", took_ms: int = 100, **more: str) -> Delivery:
    """The row of a request for instructions."""
    named = {"CallSid": CALL_ID, "AccountSid": ACCOUNT, "CallStatus": "ringing", "Timestamp": rfc2822(second)}
    row = logged(named | more, code=code, url="https://app.example.test/answer")
    envelope = row.envelope.body
    del envelope["request"]["parameters"]["timestamp"]
    envelope["response"] = envelope["response"] | {"response_body": body, "request_duration": took_ms}
    return delivery("twilio_call_event", TWILIO_KEY, envelope, 1000.0, _EVENTS)


def api(second: float, code: int = 200, *, of: str = f"Calls/{CALL_ID}", **parameters: str) -> Delivery:
    """The row of an API request about the call."""
    row = {
        "request": {
            "method": "POST",
            "url": f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/{of}.json",
            "parameters": parameters,
        },
        "response": {"response_code": code, "request_duration": 20, "date_created": rfc2822(int(second))},
    }
    return delivery("twilio_call_event", TWILIO_KEY, row, 1000.0, _EVENTS)


def streamed_api(second: float, **parameters: str) -> Delivery:
    """The CloudEvent of an API request that changed the call."""
    data = {"sid": CALL_ID, "accountSid": ACCOUNT, "request": {"method": "POST", "parameters": parameters}}
    event = {
        "id": "EZ1",
        "type": "com.twilio.voice.api-request.call.modified",
        "time": at(second),
        "data": data,
    }
    return delivery("twilio_event_stream", TWILIO_KEY, event, second + 1)


_EVENTS = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL_ID}/Events.json"


def summary(state: str = "complete", *, call_state: str | None = None, **properties: Any) -> Delivery:
    row = {
        "call_sid": CALL_ID,
        "account_sid": ACCOUNT,
        "processing_state": state,
        "call_state": call_state,
        "properties": properties,
    }
    return delivery("twilio_call_summary", TWILIO_KEY, row, 2000.0, f"/v1/Voice/{CALL_ID}/Summary")


def client(
    group: str, name: str, second: float = 1, *, level: str = "INFO", code: int | None = None
) -> Delivery:
    data = {"error": {"code": code}} if code is not None else {}
    return insight(name, second, level=level, edge="sdk_edge", group=group, sdk_edge=data)


def entry(code: str, second: int = 1, **more: Any) -> Delivery:
    """A notification of the call."""
    return error_log.notification(code, second=second, **more)


def fetch_failed(code: str, second: int = 1, *, status: int | None = 500) -> Delivery:
    """The Debugger's entry about a request for instructions."""
    return error_log.debugger(error_log.details(code, status=status), second=second)


def hangup(
    cause: str,
    sip: int | None = None,
    *,
    after_s: float = 12.0,
    by: str = "callee",
    direction: str = "outgoing",
    answered: bool = False,
    **payload: Any,
) -> list[Delivery]:
    """Webhooks of a Telnyx call that ended `after_s` seconds after it was initiated."""
    told = {"hangup_cause": cause, "hangup_source": by, "direction": direction} | payload
    if sip is not None:
        told["sip_hangup_cause"] = str(sip)
    common = {name: value for name, value in payload.items() if name in ("from", "to")}
    events = [telnyx_event("call.initiated", "e1", 0, direction=direction, **common)]
    if answered:
        events.append(telnyx_event("call.answered", "e2", 2, direction=direction, **common))
    return [telnyx(event) for event in (*events, telnyx_event("call.hangup", "e3", after_s, **told))]


def command(name: str, second: float = 11.0, **metadata: Any) -> Delivery:
    row = {
        "record_type": "call_event",
        "call_leg_id": LEG_ID,
        "event_timestamp": at(second),
        "name": name,
        "type": "command",
        "metadata": metadata,
    }
    return delivery("telnyx_call_event", TELNYX_KEY, row, 600.0, "/v2/call_events")


def refused(code: str, detail: str) -> Delivery:
    return command("dial", 0, errors=[{"code": code, "title": "Forbidden", "detail": detail}])
