"""A form body is flat: texts, and lists of texts where a parameter was repeated.

The last of a repeated parameter counts: a provider appends its own to those of the customer's URL.
"""

from __future__ import annotations

from typing import Any

from stream.core.events import DecodeError
from stream.sources import fields

NUMERIC = frozenset(
    {
        "CallDuration",
        "Duration",
        "ErrorCode",
        "MachineDetectionDuration",
        "RecordingChannels",
        "RecordingDuration",
        "SipHangupCause",
        "SipResponseCode",
    }
)
"""Parameters that a sender of JSON may write as numbers."""

ODD = frozenset({"SequenceNumber", "Timestamp"})
"""Parameters that never make a delivery unreadable, whatever they are."""


def flat(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the body with one value for each parameter, the repeated ones as they were sent).

    Raises `invalid_field` where a value is of a kind that no form has.
    """
    fields.check_depth(body)
    single: dict[str, Any] = {}
    repeated: dict[str, Any] = {}
    for name, value in body.items():
        if type(value) is str or value is None:
            single[name] = value
        elif type(value) is list and all(type(one) is str for one in value):
            single[name] = _last(name, value)
            if len(set(value)) != 1:
                repeated[name] = value
        elif name in ODD or (name in NUMERIC and type(value) in (int, float, bool)):
            single[name] = value
        else:
            raise DecodeError("invalid_field", "a parameter is no text")
    return single, repeated


def _last(name: str, values: list[str]) -> str | None:
    if name == "CallSid" and len(set(values)) > 1:
        raise DecodeError("invalid_field", "CallSid is repeated with different values")
    return values[-1] if values else None
