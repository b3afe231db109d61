"""Twilio's callback parameters in their three spellings, and the progress event that they describe.

Callbacks and Event Streams write `CallSid`, the request log writes `call_sid`. Names are compared without
case and underscores, because a naive conversion misses acronyms. Unknown names stay as they are.
"""

from __future__ import annotations

from typing import Any

from stream.core.events import DecodeError, Reading
from stream.core.privacy.sensitive_names import normalised
from stream.sources import fields, twilio_status_callback

_KNOWN = """
    AccountSid AnsweredBy ApiVersion CallDuration CallSid CallStatus CallbackSource Called Caller
    ConferenceSid Direction Duration ErrorCode ErrorMessage ForwardedFrom From ParentCallSid
    RecordingDuration RecordingSid RecordingStatus RecordingUrl SequenceNumber SipResponseCode
    StatusCallbackEvent StirStatus StirVerstat Timestamp To
"""
KNOWN = frozenset(_KNOWN.split())
_PASCAL_CASE = {normalised(name): name for name in KNOWN}


def pascal_case(parameters: dict[str, Any]) -> dict[str, Any]:
    return {_PASCAL_CASE.get(normalised(name), name): value for name, value in parameters.items()}


def is_progress(parameters: dict[str, Any]) -> bool:
    """Whether PascalCase parameters are a call-progress callback's. A conference has its own counter."""
    if "ConferenceSid" in parameters and "StatusCallbackEvent" in parameters:
        return False
    return parameters.get("CallbackSource") == "call-progress-events" or (
        "CallStatus" in parameters and "Timestamp" in parameters and "SequenceNumber" in parameters
    )


def progress_within(parameters: Any, call_id: str, account: str | None, source: str) -> list[Reading]:
    """The progress event that logged parameters describe, as its callback does: one or none.

    Parameters of another call are ignored: the state of that call may be in another partition.
    Unreadable parameters are ignored too, so that the log row itself is kept.
    """
    if type(parameters) is not dict:
        return []
    named = pascal_case(parameters)
    if named.get("CallSid") != call_id or not is_progress(named):
        return []
    try:
        known, _ = fields.flatten_form({name: value for name, value in named.items() if name in KNOWN})
        reading = twilio_status_callback.progress(known, account, source)
    except DecodeError:
        return []
    rest = {name: value for name, value in named.items() if name not in KNOWN}
    reading.event.attributes.update(rest)
    return [reading]
