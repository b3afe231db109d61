"""The ids of events, from what took place. It uses no decoder, and shares with the program only the functions
that make ids.
"""

from __future__ import annotations

from stream.core.identity import content_hash, event_id
from stream.simulator.calls.call import ProviderReport, SimulatedCall
from stream.simulator.calls.options import ERROR_SOURCES, EVENT_STREAM
from stream.simulator.telnyx.call import TelnyxCall
from stream.simulator.telnyx.delivery_log import webhook_url
from stream.simulator.telnyx.texml_call import TexmlCall
from stream.simulator.twilio.call import SIDE_SOURCES, TwilioCall
from stream.simulator.twilio.conference import TwilioConference

TELNYX_PROGRESS = {
    "call.initiated": ("initiated", "initiated"),
    "call.answered": ("answered", "in-progress"),
}


def event_id_of(call: SimulatedCall, source: str, number: int) -> str:
    """The id of the event that a report itself is; it may also imply others."""
    key, ordinal = call.key, 0
    if source == EVENT_STREAM:
        assert isinstance(call, TwilioCall)
        return event_id_of(call, call.streamed[number].source, call.streamed[number].number)
    if source in ("twilio_status_callback", "telnyx_texml_callback"):
        assert isinstance(call, TwilioCall | TexmlCall)
        sent = call.callbacks[number]
        if sent.number is not None:
            return event_id(key, "progress", "1", (sent.number, sent.status))
        return event_id(key, "progress", "1b", (sent.status, sent.at_us // 1_000_000 * 1_000_000))
    if source == "telnyx_webhook":
        assert isinstance(call, TelnyxCall)
        event = call.events[number]
        return event_id(key, telnyx_family(event.name), "2", (event.id,))
    if isinstance(call, TwilioConference):
        name, sequence_number, _ = call.steps[number]
        return event_id(key, "conference", "3", (call.sid, sequence_number, name))
    if source in SIDE_SOURCES:
        assert isinstance(call, TwilioCall)
        return event_id(key, call.sides[number].family, "3", call.sides[number].identity)
    if source in ERROR_SOURCES:
        assert isinstance(call, TwilioCall)
        return event_id(key, "other", "2", (call.errors[number].sid,))
    if isinstance(call, TelnyxCall) and (its := _sent_event(call, source, number)) is not None:
        return event_id(key, "delivery", "2", (call.events[its].id, bare_url(webhook_url(call))))
    row = call.body(ProviderReport(source, number, 0), 1)
    if source == "twilio_call":
        return event_id(key, "resource", "3", (call.id, row["status"]))
    # A row without an id of its own: its content and its position among identical rows.
    if source in ("telnyx_call_event", "twilio_call_event"):
        family = "request_log"
    elif source == "twilio_call_summary":
        family = "resource"
        row = {name: said for name, said in row.items() if name not in ("call_sid", "account_sid")}
    else:
        assert isinstance(call, TwilioCall)
        family, ordinal = "insights", call.insights[number].ordinal
        row = {name: said for name, said in row.items() if said is not None}
    return event_id(key, family, "4", (content_hash(row), ordinal))


def _sent_event(call: TelnyxCall, source: str, number: int) -> int | None:
    """Which event a row says was sent; None of a command."""
    return call.log[number].event if source == "telnyx_call_event" else call.deliveries[number].event


def bare_url(url: str) -> str:
    """A URL without user info and query."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def telnyx_family(name: str) -> str:
    if name in TELNYX_PROGRESS or name == "call.hangup":
        return "progress"
    return "recording" if name.startswith("call.recording.") else "other"
