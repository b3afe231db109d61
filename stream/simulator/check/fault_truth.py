"""Whose fault a simulated call's end is, as far as its provider has said so.

What took place decides: how the call ended, whom it called, what its client and its application did. The
product's table is not read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set

from stream.simulator.calls.scenario import SECOND_US, CallLeg
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.telnyx.texml_call import TexmlCall
from stream.simulator.twilio.call import TwilioCall
from stream.simulator.twilio.request_log import ANSWER_URL, NO_ANSWER, TIMEOUT, LoggedRequest
from stream.simulator.twilio.voice_insights import COMPLETE

Numbers = Callable[[str], list[int]]
"""The numbers of a source's reports that arrived."""

APPLICATION, CALLEE, CARRIER, NETWORK = "application", "callee", "carrier", "network"
REQUEST, UNKNOWN = "request", "unknown"

_BY_CODE: dict[int, tuple[str, str, str | None]] = {
    403: (UNKNOWN, REQUEST, REQUEST),
    404: (CALLEE, REQUEST, REQUEST),
    480: (CALLEE, CALLEE, REQUEST),
    484: (REQUEST, REQUEST, REQUEST),
    486: (CALLEE, CALLEE, CALLEE),
    488: (UNKNOWN, REQUEST, REQUEST),
    500: (CARRIER, NETWORK, UNKNOWN),
    502: (CARRIER, NETWORK, None),
    503: (CARRIER, NETWORK, UNKNOWN),
    600: (CALLEE, CALLEE, None),
}
"""By final SIP code: of a call to a number, of one to a client or SIP address, and of an incoming call. None
where the code says nothing.
"""

_TELNYX_TEXML: dict[int, str] = {403: REQUEST, 503: UNKNOWN}
_TELNYX_UNSPECIFIED: dict[int, tuple[str, str, str]] = {
    403: (REQUEST, UNKNOWN, UNKNOWN),
    484: (REQUEST, REQUEST, REQUEST),
    488: (UNKNOWN, REQUEST, REQUEST),
    500: (UNKNOWN, NETWORK, UNKNOWN),
    502: (CARRIER, NETWORK, UNKNOWN),
    503: (UNKNOWN, NETWORK, UNKNOWN),
}
"""Of Telnyx: where its code means something else, and where its cause says nothing."""

_DECLINED_S = 2
"""Who declines needs this long; a block is quicker."""

_FLOW_S, _CLOCKS_S = 10, 2
"""A request for instructions that failed ends its call within this time; clocks may differ by the second."""

_OF_CLIENTS = {31005: UNKNOWN, 53001: NETWORK, 31401: NETWORK, 53405: NETWORK}
"""By error code of a client."""


def twilio_fault(
    call: TwilioCall, end: str, steps: Set[int], numbers: Numbers, streamed: Set[int], *, told: bool
) -> str | None:
    """None: the call succeeded.

    `end`: the status that came out; `steps`: of the callbacks that any source told;
    `streamed`: the entries of the error log that Event Streams told; `told`: whether anybody told direction
    and addresses.
    """
    leg, last = call.leg, len(call.callbacks) - 1
    summaries = numbers("twilio_call_summary")
    flow = _flow_failed(call, numbers, streamed, answered=end == "completed")
    if end == "completed":
        return APPLICATION if flow and COMPLETE not in summaries else None
    code = leg.ending.error[0] if leg.ending.error is not None and last in steps else None
    if code == "13225" or (code == "13224" and not (told and _place(leg) == 1)):
        return REQUEST
    if flow:
        return APPLICATION
    clients = [_OF_CLIENTS[error] for error in _client_errors(call, numbers)]
    if NETWORK in clients:
        return NETWORK
    sip = leg.ending.sip if last in steps or COMPLETE in summaries else None
    ringing = any(call.callbacks[step].status == "ringing" for step in steps)
    rang_s = _whole_s(leg.ended_us) - _whole_s(leg.ringing_us or 0) if ringing and leg.ringing_us else None
    dated = steps & {last} or numbers("twilio_call") or COMPLETE in summaries
    fault = _by_code(leg, sip, rang_s if dated else None, child=call.parent is not None) if told else None
    if fault is None and not told and sip in (487, 603):
        return UNKNOWN
    if fault is None and not clients:
        fault = _by_status(leg, end, told=told, child=call.parent is not None)
    return fault or UNKNOWN


def texml_fault(call: TexmlCall, end: str, steps: Iterable[int]) -> str | None:
    leg, place = call.leg, _place(call.leg)
    if end == "completed":
        return None
    sip = leg.ending.sip
    if sip in _TELNYX_TEXML and place == 0:
        return _TELNYX_TEXML[sip]
    statuses = {call.callbacks[step].status for step in steps}
    since = leg.ringing_us if "ringing" in statuses else leg.began_us if "initiated" in statuses else None
    rang_s = _whole_s(leg.ended_us) - _whole_s(since) if since is not None else None
    child = call.parent is not None
    return _by_code(leg, sip, rang_s, child=child) or _by_status(leg, end, told=True, child=child)


def telnyx_fault(call: TelnyxCall, names: Set[str], numbers: Numbers) -> str:
    """Of a call that was not answered. `names`: of the events that were told."""
    leg, ending = call.leg, call.leg.ending
    place = _place(leg) if "call.initiated" in names else None
    if place == 2 and "call.answered" not in names and _lost(call, numbers):
        return APPLICATION
    if ending.cause in ("timeout", "no_answer", "user_busy"):
        return CALLEE
    if ending.cause == "not_found":
        return UNKNOWN if place is None else REQUEST if place == 2 else CALLEE
    if ending.cause == "originator_cancel":
        return APPLICATION if place in (0, 1) else UNKNOWN
    if ending.cause == "call_rejected":
        at_us = {event.name: event.at_us for event in call.events}
        waited_us = at_us["call.hangup"] - at_us["call.initiated"]
        return CALLEE if place is not None and waited_us >= _DECLINED_S * SECOND_US else UNKNOWN
    by_place = _TELNYX_UNSPECIFIED.get(ending.sip or 0) if ending.cause == "unspecified" else None
    return UNKNOWN if by_place is None or place is None else by_place[place]


# -- what took place


def _place(leg: CallLeg) -> int:
    """0 for a call to a number, 1 for one to a client or SIP address, 2 for an incoming call."""
    if leg.direction == "inbound":
        return 2
    return 1 if ":" in leg.callee.text else 0


def _by_code(leg: CallLeg, sip: int | None, rang_s: int | None, *, child: bool) -> str | None:
    place = _place(leg)
    if sip == 487:
        if place == 2 or leg.ending.status == "failed":
            return UNKNOWN
        return CALLEE if leg.ending.status == "no-answer" else UNKNOWN if child else APPLICATION
    if sip == 603:
        declined = place == 1 or (place == 0 and rang_s is not None and rang_s >= _DECLINED_S)
        return CALLEE if declined else UNKNOWN
    return _BY_CODE[sip][place] if sip is not None else None


def _by_status(leg: CallLeg, end: str, *, told: bool, child: bool) -> str:
    if end in ("busy", "no-answer"):
        return UNKNOWN if told and _place(leg) == 2 else CALLEE
    return APPLICATION if end == "canceled" and told and _place(leg) != 2 and not child else UNKNOWN


def _client_errors(call: TwilioCall, numbers: Numbers) -> Iterator[int]:
    for index in numbers("twilio_insights_event"):
        event = call.insights[index]
        if event.level == "ERROR" and event.edge == "sdk_edge":
            yield event.data["error"]["code"]


def _lost(call: TelnyxCall, numbers: Numbers) -> bool:
    """Whether a log says that the application never got the webhook of its incoming call."""
    rows = [call.log[index] for index in numbers("telnyx_call_event")]
    events = [row.event for row in rows if row.failed]
    sent = [call.deliveries[index] for index in numbers("telnyx_webhook_delivery")]
    events += [one.event for one in sent if one.failed]
    return any(event is not None and call.events[event].name == "call.initiated" for event in events)


def _flow_failed(call: TwilioCall, numbers: Numbers, streamed: Set[int], *, answered: bool) -> bool:
    """Whether a request for instructions failed shortly before the end. Each way to tell it has its time."""
    told: dict[str, list[int | None]] = {}
    for index in numbers("twilio_call_event"):
        request = call.requests[index]
        if request.url == ANSWER_URL and request.failing:
            at_us = None if request.answer == NO_ANSWER else _failed_us(request) // SECOND_US * SECOND_US
            told.setdefault(_class_of(request, logged=True), []).append(at_us)
    for index in {*numbers("twilio_debugger"), *numbers("twilio_alert")}:
        entry = call.errors[index]
        if entry.request.url == ANSWER_URL:
            exact_us = 1000 if index in streamed else SECOND_US
            for fact in (_class_of(entry.request, logged=False), entry.code):
                told.setdefault(fact, []).append(entry.at_us // exact_us * exact_us)
    ended_us = _whole_s(call.leg.ended_us) * SECOND_US
    for times in told.values():
        latest_us = max((at_us for at_us in times if at_us is not None), default=None)
        if latest_us is None:
            if not answered:
                return True
        elif -_CLOCKS_S * SECOND_US <= ended_us - latest_us <= _FLOW_S * SECOND_US:
            return True
    return False


def _failed_us(request: LoggedRequest) -> int:
    return request.at_us + request.duration_ms * 1000


def _class_of(request: LoggedRequest, *, logged: bool) -> str:
    """How a failure is named by a row of the request log, and by an entry of the error log."""
    if request.answer == TIMEOUT and logged:
        return "timeout"
    return f"{request.answer // 100}xx" if request.answer > 0 else "none"


def _whole_s(at_us: int) -> int:
    return at_us // SECOND_US
