"""Twilio's callback parameters in their three spellings, and what a set of them is about.

Callbacks and Event Streams write `CallSid`, the request log writes `call_sid`. Names are compared without
case and underscores, because a naive conversion misses acronyms. Unknown names stay as they are.
Telnyx' TeXML has the same parameters.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

from stream.core.events import DecodeError, Reading
from stream.core.privacy.sensitive_names import normalised
from stream.core.statuses import TERMINAL, status_of
from stream.sources import fields
from stream.sources.twilio import status_callback

_SIDE_CHANNELS_AND_VERBS = """
    StreamEvent StreamSid SiprecEvent SiprecSid
    TranscriptionEvent TranscriptionStatus TranscriptionSid TranscriptionText Transcript
    DialCallSid DialCallStatus Digits QueueResult QueueSid ReferCallStatus Result SessionStatus SpeechResult
    UnstableSpeechResult VirtualAgentStatus
"""
_OF_OTHERS = tuple(_SIDE_CHANNELS_AND_VERBS.split())
"""Parameters of media streams and transcriptions, and of the requests for instructions after a verb. These
have the call's status beside their own.
"""

_KNOWN = """
    AccountSid AnsweredBy ApiVersion CallDuration CallSid CallStatus CallbackSource Called Caller
    ConferenceSid Direction Duration ErrorCode ErrorMessage ForwardedFrom From MachineDetectionDuration
    ParentCallSid RecordingChannels RecordingDuration RecordingSid RecordingSource RecordingStartTime
    RecordingStatus RecordingTrack RecordingUrl SequenceId SequenceNumber SipResponseCode SiprecError
    SiprecErrorCode StatusCallbackEvent StirStatus StirVerstat StreamError Timestamp To TranscriptionError
"""
KNOWN = frozenset((*_KNOWN.split(), *_OF_OTHERS))
_PASCAL_CASE = {normalised(name): name for name in KNOWN}

PROGRESS = "call-progress-events"
"""The `CallbackSource` of progress."""

FormKind = Literal["progress", "recording", "amd", "conference", "other"]


def pascal_case(parameters: dict[str, Any]) -> dict[str, Any]:
    return {_pascal_case(name): value for name, value in parameters.items()}


@lru_cache(maxsize=1024)
def _pascal_case(name: str) -> str:
    return _PASCAL_CASE.get(normalised(name), name)


def kind_of_form(parameters: dict[str, Any]) -> FormKind:
    """What PascalCase parameters are about, each with one value. A conference has its own counter.

    Older and simpler senders of progress leave out `CallbackSource` and more. Theirs is known by what no
    request for instructions has: a time, a number, a duration or a status that ends a call, unless the
    request is one after a verb.
    """
    has = parameters.get
    if has("ConferenceSid") and has("StatusCallbackEvent"):
        return "conference"
    if has("CallbackSource") == PROGRESS:
        return "progress"
    if has("RecordingSid") and has("RecordingStatus"):
        return "recording"
    if any(map(has, _OF_OTHERS)):
        return "other"
    word = has("CallStatus")
    status = status_of(word) if type(word) is str else None
    if word and (status in _NEVER_ASKED_WITH or any(has(name) not in (None, "") for name in _OF_PROGRESS)):
        return "progress"
    if has("AnsweredBy") and (has("MachineDetectionDuration") or not word):
        return "amd"
    return "other"


def asks_for_instructions(parameters: dict[str, Any]) -> bool:
    """Whether PascalCase parameters are a request for TwiML: at the answer, or after a verb."""
    has = parameters.get
    if not has("CallStatus") or has("CallbackSource") or any(map(has, _SIDE_CHANNELS)):
        return False
    return kind_of_form(parameters) == "other"


_SIDE_CHANNELS = ("StreamEvent", "SiprecEvent", "TranscriptionEvent", "TranscriptionStatus")
_OF_PROGRESS = ("Timestamp", "SequenceNumber", "CallDuration")
"""Parameters of progress and, beside the call's status, of nothing else."""

_NEVER_ASKED_WITH = TERMINAL | {"initiated"}
"""Statuses with which no call asks what to do next."""


def child_of(parameters: dict[str, Any]) -> str | None:
    """The call that PascalCase parameters say theirs has dialled."""
    child_call_id = fields.lenient_identifier(parameters.get("DialCallSid"))
    return None if child_call_id == parameters.get("CallSid") else child_call_id


def progress_within(
    named: dict[str, Any], call_id: str, account: str | None, source: str, *, known: bool = False
) -> list[Reading]:
    """The progress event that logged PascalCase parameters describe, as its callback does: one or none.

    `known`: the log itself says that they are a progress callback's.
    Parameters of another call are ignored: the state of that call may be in another partition.
    Unreadable parameters are ignored too, so that the log row itself is kept.
    """
    known = known and bool(named.get("CallStatus"))
    if named.get("CallSid") != call_id or not (known or kind_of_form(named) == "progress"):
        return []
    try:
        form, _ = fields.flatten_form({name: value for name, value in named.items() if name in KNOWN})
        reading = status_callback.progress(form, account, source)
    except DecodeError:
        return []
    rest = {name: value for name, value in named.items() if name not in KNOWN}
    reading.event.attributes.update(rest)
    return [reading]
