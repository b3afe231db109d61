"""Reading the fields of a body: each exactly as sent, or not at all.

An id of the wrong type raises DecodeError. Any other odd value reads as None, and the decoder leaves the raw
value in `attributes`. Values that go into the state or into labels are limited in length here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from stream.core import timestamps
from stream.core.events import DecodeError, Envelope, Event, Reading
from stream.core.identity import content_hash

ID_LIMIT = 255
"""Characters of the longest id. Twilio's have 34, Telnyx' call control ids about 100."""

WORD_LIMIT = 128
"""Characters of the longest name, level, edge, group or code. A longer one is cut; the raw text is kept."""

TEXT_LIMIT = 255
"""Characters of the longest fact about a call, such as an address (RFC 3261 has no limit, carriers do)."""

DEPTH_LIMIT = 32
"""Levels of nesting that a JSON body may have, itself included."""

LEVELS = frozenset({"debug", "info", "warning", "error"})

ATTESTATIONS: dict[Any, str] = {
    **{grade: grade for grade in "ABC"},
    **{f"TN-Validation-Passed-{grade}": grade for grade in "ABC"},
}
"""The STIR/SHAKEN attestation of the caller by the provider's word: of a call that it signs (`A`), and of one
whose signature it has verified. (Twilio: `StirStatus`, `StirVerstat`.)
"""


def identifier(value: Any, name: str) -> str | None:
    """An id as sent, case and blanks included. None if it is missing, null or empty."""
    if type(value) is str and 0 < len(value) <= ID_LIMIT:
        return value
    if value is None or value == "":
        return None
    raise DecodeError("invalid_field", f"{name} is not an id")


def required_identifier(value: Any, name: str) -> str:
    found = identifier(value, name)
    if found is None:
        raise DecodeError("missing_id", f"{name} is missing")
    return found


def lenient_identifier(value: Any) -> str | None:
    """An id that is not needed to apply the delivery: an odd one reads as None."""
    return value if type(value) is str and 0 < len(value) <= ID_LIMIT else None


def text(value: Any) -> str | None:
    """A text, cut to TEXT_LIMIT, or None."""
    return value[:TEXT_LIMIT] if type(value) is str and value else None


def whole_number(value: Any) -> int | None:
    """1 to 9 ASCII digits, or a JSON integer of that size. Null is not zero."""
    if type(value) is str:
        return int(value) if len(value) <= 9 and value.isascii() and value.isdigit() else None
    return value if type(value) is int and 0 <= value <= 999_999_999 else None


def sip_response_code(value: Any) -> int | None:
    """A SIP response code (RFC 3261 21): 100 to 699. Telnyx sends Q.850 causes such as "16" in its place."""
    code = whole_number(value)
    return code if code is not None and 100 <= code <= 699 else None


def error_code(value: Any) -> str | None:
    """A provider's error code as text. "0" means no error."""
    if type(value) is int:
        value = str(value)
    return value[:WORD_LIMIT] if type(value) is str and value not in ("", "0") else None


def level(value: Any) -> str | None:
    """A level in lower case, None for an unknown one (Voice Insights' `UNKNOWN`) or null."""
    lowered = value.lower() if type(value) is str else None
    return lowered if lowered in LEVELS else None


def word(attributes: dict[str, Any], name: str) -> str | None:
    """Move a word of an open vocabulary out of `attributes`. A word that is too long also stays there."""
    value = attributes.get(name)
    if type(value) is not str or not value:
        return None
    if len(value) <= WORD_LIMIT:
        del attributes[name]
    return value[:WORD_LIMIT]


Stamp = tuple[int | None, str | None, str]
"""(microseconds since 1970, `occurred_at`, its quality)."""

NO_STAMP: Stamp = (None, None, "unknown")


def rfc2822_stamp(raw: Any) -> Stamp:
    """A time stamp in RFC 2822 format: whole seconds."""
    return _rfc2822_stamp(raw) if type(raw) is str and len(raw) <= timestamps.LONGEST else NO_STAMP


def iso8601_stamp(raw: Any) -> Stamp:
    """A time stamp in ISO 8601 format: `exact` if it has fractions of a second."""
    return _iso8601_stamp(raw) if type(raw) is str and len(raw) <= timestamps.LONGEST else NO_STAMP


def either_stamp(raw: Any) -> Stamp:
    """A time stamp in either format."""
    return iso8601_stamp(raw) if type(raw) is str and raw[4:5] == "-" else rfc2822_stamp(raw)


@lru_cache(maxsize=16_384)
def _rfc2822_stamp(raw: str) -> Stamp:
    us = timestamps.rfc2822(raw)
    return NO_STAMP if us is None else (us, timestamps.utc(us), "second")


@lru_cache(maxsize=16_384)
def _iso8601_stamp(raw: str) -> Stamp:
    us = timestamps.iso8601(raw)
    if us is None:
        return NO_STAMP
    return us, timestamps.utc(us), "exact" if "." in raw or "," in raw else "second"


def parsed_json(value: Any, name: str) -> Any:
    """A value, or what it is the JSON text of."""
    if type(value) is not str:
        return value
    try:
        value = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        raise DecodeError("invalid_field", f"{name} is not JSON") from None
    check_depth(value)
    return value


def take_stamp(event: Event, body: dict[str, Any], name: str) -> int | None:
    """Move the event's time out of the body; microseconds since 1970. An unreadable one stays there."""
    occurred_us, event.occurred_at, event.occurred_at_quality = either_stamp(body.get(name))
    if occurred_us is not None:
        del body[name]
    return occurred_us


def by_content(envelope: Envelope, event: Event, occurred_us: int | None = None) -> Reading:
    """The reading of an event that its body alone identifies."""
    return Reading(event, "4", (content_hash(envelope.body), envelope.ordinal), occurred_us)


def object_in(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def telnyx_key(leg_id: str | None, payload: dict[str, Any]) -> str:
    """The key of the call leg, else of the conference that a payload names."""
    if leg_id is not None:
        return f"telnyx:{leg_id}"
    conference_id = identifier(payload.get("conference_id"), "conference_id")
    if conference_id is None:
        raise DecodeError("missing_id", "neither call_leg_id nor conference_id")
    return f"telnyx:conference:{conference_id}"


_CONTAINERS = frozenset({dict, list})


def check_depth(body: Any, limit: int = DEPTH_LIMIT) -> None:
    """Raise `too_deep` if a body exceeds the limit. It does not recurse, because a body may be hostile."""
    level_now: list[Any] = [body]
    for _ in range(limit):
        level_next: list[Any] = []
        for value in level_now:
            kind = type(value)
            if kind is dict:
                level_next.extend(value.values())
            elif kind is list:
                level_next.extend(value)
        if _CONTAINERS.isdisjoint(map(type, level_next)):
            return
        level_now = level_next
    if any(type(value) in (dict, list) for value in level_now):
        raise DecodeError("too_deep", f"nested over {limit} levels")


# -- form bodies

_NUMERIC = frozenset(
    {"CallDuration", "Duration", "ErrorCode", "MachineDetectionDuration", "RecordingChannels"}
    | {"RecordingDuration", "SipHangupCause", "SipResponseCode"}
)
"""Parameters that a JSON sender may write as numbers."""

_LENIENT = frozenset({"SequenceNumber", "Timestamp"})
"""Parameters that never make a delivery unreadable, whatever their value."""


def flatten_form(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(a form with one value for each parameter, the repeated parameters as sent).

    A form body is flat: texts, and lists of texts if a parameter is repeated. The last value of a repeated
    parameter counts, because a provider appends its own to those of the customer's URL.
    Raises `invalid_field` if a value is of a type that no form has.
    """
    check_depth(body)
    single: dict[str, Any] = {}
    repeated: dict[str, Any] = {}
    for name, value in body.items():
        if type(value) is str or value is None:
            single[name] = value
        elif type(value) is list and all(type(one) is str for one in value):
            single[name] = _last(name, value)
            if len(set(value)) != 1:
                repeated[name] = value
        elif name in _LENIENT or (name in _NUMERIC and type(value) in (int, float, bool)):
            single[name] = value
        else:
            raise DecodeError("invalid_field", "a parameter is not a text")
    return single, repeated


def _last(name: str, values: list[str]) -> str | None:
    if name == "CallSid" and len(set(values)) > 1:
        raise DecodeError("invalid_field", "CallSid is repeated with different values")
    return values[-1] if values else None
