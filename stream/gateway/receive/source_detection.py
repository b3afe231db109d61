"""Which source a webhook belongs to: recognised by its shape, since one URL serves all callbacks.

What is about no call belongs to none: a provider sends a number's messages to the same URL as its calls.
Only the source is named here. Its decoder interprets it, and what a decoder tells apart itself (Telnyx' TeXML
families, media streams) is one source here.
(Twilio: "Call status callbacks", "Recording status callbacks", "Conference status callbacks"; a callback that
carries parameters of others is tested before those.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream.sources.twilio.error_log import is_debugger_form
from stream.sources.twilio.parameters import FormKind, kind_of_form

EVENT_STREAMS_PATH = "/event-streams"
"""The end of the path that Event Streams is set up with."""

_TWILIO_SOURCES: dict[FormKind, str] = {
    "progress": "twilio_status_callback",
    "recording": "twilio_recording_callback",
    "amd": "twilio_amd_callback",
    "conference": "twilio_conference_callback",
    "other": "twilio_other_callback",
}

_OF_A_FORM = {
    **dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid", "MessageStatus", "SmsStatus"), "message"),
    **dict.fromkeys(("FaxSid", "FaxStatus"), "fax"),
    **dict.fromkeys(("FlowSid", "ExecutionSid"), "studio"),
    **dict.fromkeys(("VerificationSid", "ChallengeSid", "FactorSid"), "verify"),
    **dict.fromkeys(("ConversationSid", "ChannelSid", "RoomSid", "TaskSid", "WorkspaceSid"), "other_product"),
}
"""What a form of Twilio without a call is about, by a parameter that it has."""

_OF_A_STREAM = {
    "eventstreams": "test_event",
    "messaging": "message",
    "fax": "fax",
    "studio": "studio",
    **dict.fromkeys(("verify", "accountsecurity"), "verify"),
}
"""What an event of Event Streams is about, by the third word of its type; another word: another product."""

_OF_A_WEBHOOK = {
    "message": "message",
    "fax": "fax",
    **dict.fromkeys(("verify", "verification"), "verify"),
    **dict.fromkeys(("10dlc", "number", "porting", "sim", "wireless"), "other_product"),
}
"""What an event of Telnyx is about, by the first word of its name."""


def source_of(provider: str, endpoint: str, body: dict[str, Any], *, form: bool) -> str:
    """One of the callback sources of `stream.core.sources`. `form`: of a form or a query."""
    if provider == "telnyx":
        return _telnyx_source(body, form=form)
    if not form and (endpoint.endswith(EVENT_STREAMS_PATH) or is_cloud_event(body)):
        return "twilio_event_stream"
    repeated = {name: value[-1] for name, value in body.items() if type(value) is list and value}
    parameters = {**body, **repeated} if repeated else body
    kind = kind_of_form(parameters)
    return "twilio_debugger" if kind == "other" and is_debugger_form(parameters) else _TWILIO_SOURCES[kind]


def ignored_reason(source: str, body: Mapping[str, Any]) -> str | None:
    """Why a webhook that cannot be read may be dropped: what it is about instead of a call.

    None where it may be about a call: then someone has to see that it cannot be read.
    """
    if "CallSid" in body or "ConferenceSid" in body:
        return None
    if source == "twilio_event_stream":
        words = _text(body.get("type")).split(".")
        if words[:2] != ["com", "twilio"] or len(words) < 4 or words[2] in ("voice", "error-logs"):
            return None
        return _OF_A_STREAM.get(words[2], "other_product")
    if source == "telnyx_webhook":
        record = body.get("data")
        record = record if type(record) is dict else body
        if "sms_id" in record:  # a message of version 1 has no name
            return "message"
        return _OF_A_WEBHOOK.get(_text(record.get("event_type")).replace("_", ".").partition(".")[0])
    return next((reason for name, reason in _OF_A_FORM.items() if name in body), None)


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def is_cloud_event(body: Mapping[str, Any]) -> bool:
    """Whether it is one of Event Streams: its envelope is CloudEvents 1.0, not strictly."""
    kind = body.get("type")
    return "specversion" in body or (type(kind) is str and kind.startswith("com.twilio."))


def _telnyx_source(body: Mapping[str, Any], *, form: bool) -> str:
    """Call Control's JSON of either version, or its fields as parameters; else a form like Twilio's."""
    webhook = "event_type" in body or "data" in body or "payload" in body
    texml = "CallSid" in body or "ConferenceSid" in body or form
    return "telnyx_texml_callback" if texml and not webhook else "telnyx_webhook"
