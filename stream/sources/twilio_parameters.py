"""Twilio's callback parameters under their three spellings, and which callback a set of them is.

Callbacks and Event Streams write `CallSid`, the request log `call_sid`: compared without case and underscores
because a naive PascalCase misses acronyms. Names that are not known here stay as they are.
"""

from __future__ import annotations

from typing import Any

from stream.core.events import DecodeError, Reading
from stream.core.privacy.sensitive_names import normalised
from stream.sources import form, twilio_status_callback

KNOWN: tuple[str, ...] = (
    "AccountSid",
    "AnsweredBy",
    "ApiVersion",
    "CallDuration",
    "CallSid",
    "CallStatus",
    "CallbackSource",
    "Called",
    "Caller",
    "ConferenceSid",
    "Direction",
    "Duration",
    "ErrorCode",
    "ErrorMessage",
    "ForwardedFrom",
    "From",
    "ParentCallSid",
    "RecordingDuration",
    "RecordingSid",
    "RecordingStatus",
    "RecordingUrl",
    "SequenceNumber",
    "SipResponseCode",
    "StatusCallbackEvent",
    "StirStatus",
    "StirVerstat",
    "Timestamp",
    "To",
)
PASCAL_CASE = {normalised(name): name for name in KNOWN}


def pascal_case(parameters: dict[str, Any]) -> dict[str, Any]:
    return {PASCAL_CASE.get(normalised(name), name): value for name, value in parameters.items()}


def is_progress(parameters: dict[str, Any]) -> bool:
    """Whether PascalCase parameters are a call-progress callback. A conference's counter is its own."""
    if "ConferenceSid" in parameters and "StatusCallbackEvent" in parameters:
        return False
    return parameters.get("CallbackSource") == "call-progress-events" or (
        "CallStatus" in parameters and "Timestamp" in parameters and "SequenceNumber" in parameters
    )


def progress_within(parameters: Any, call_id: str, account: str | None, source: str) -> list[Reading]:
    """The progress event of a call that logged parameters tell of, as its callback would: one or none.

    Parameters of another call are left out: that call's state may be another partition's.
    What cannot be read is no reason to lose the log row around it.
    """
    if type(parameters) is not dict:
        return []
    named = pascal_case(parameters)
    if named.get("CallSid") != call_id or not is_progress(named):
        return []
    try:
        known, _ = form.flat({name: value for name, value in named.items() if name in KNOWN})
        reading = twilio_status_callback.progress(known, account, source)
    except DecodeError:
        return []
    rest = {name: value for name, value in named.items() if name not in KNOWN}
    reading.event.attributes.update(rest)
    return [reading]
