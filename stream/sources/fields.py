"""How one field of a body is read: exactly as sent, or not at all.

An id of the wrong type is an error of the sender and raises; anything else that is merely odd reads as None,
and the decoder leaves its raw value in `attributes`. What state or labels keep has a greatest length here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from stream.core import timestamps
from stream.core.events import DecodeError

ID_LIMIT = 255
"""Characters of the longest id. Twilio's have 34, Telnyx' call control ids about 100."""

WORD_LIMIT = 128
"""Characters of the longest name, level, edge, group or code; the rest is cut, the raw text stays aside."""

TEXT_LIMIT = 255
"""Characters of the longest fact about a call, such as an address (RFC 3261 sets none, carriers do)."""

DEPTH_LIMIT = 32
"""Levels of nesting that a JSON body may have, itself included."""

LEVELS = frozenset({"debug", "info", "warning", "error"})


def identifier(value: Any, name: str) -> str | None:
    """An id as sent, without folding of case or blanks. None where it is missing, null or empty."""
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
    """An id that only adds to what is known: an odd one is no reason to lose the rest."""
    return value if type(value) is str and 0 < len(value) <= ID_LIMIT else None


def text(value: Any) -> str | None:
    """A text of bounded length, None where there is none."""
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
    """A provider's error code as text. "0" means that nothing is wrong."""
    if type(value) is int:
        value = str(value)
    return value[:WORD_LIMIT] if type(value) is str and value not in ("", "0") else None


def level(value: Any) -> str | None:
    """The one word for a level, None for an unknown one (Voice Insights' `UNKNOWN`) or null."""
    lowered = value.lower() if type(value) is str else None
    return lowered if lowered in LEVELS else None


def status_word(value: Any, name: str) -> str | None:
    """The provider's word for a status, known or not. None where it is missing."""
    if value is None or type(value) is str:
        return value
    raise DecodeError("invalid_field", f"{name} is no text")


def word(attributes: dict[str, Any], name: str) -> str | None:
    """Take a word of an open vocabulary out of `attributes`; what does not fit stays there."""
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
    """A time stamp where the provider writes RFC 2822: whole seconds."""
    return _rfc2822_stamp(raw) if type(raw) is str and len(raw) <= timestamps.LONGEST else NO_STAMP


def iso8601_stamp(raw: Any) -> Stamp:
    """A time stamp where the provider writes ISO 8601: `exact` if it says fractions of a second."""
    return _iso8601_stamp(raw) if type(raw) is str and len(raw) <= timestamps.LONGEST else NO_STAMP


def either_stamp(raw: Any) -> Stamp:
    """A time stamp where the provider writes now the one, now the other."""
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


def check_depth(body: Any) -> None:
    """Raise `too_deep` where a body nests over the limit. Walks without recursion: a body may be hostile."""
    level_now: list[Any] = [body]
    for _ in range(DEPTH_LIMIT):
        level_next: list[Any] = []
        for value in level_now:
            if type(value) is dict:
                level_next.extend(value.values())
            elif type(value) is list:
                level_next.extend(value)
        if not level_next:
            return
        level_now = level_next
    if any(type(value) in (dict, list) for value in level_now):
        raise DecodeError("too_deep", f"nested over {DEPTH_LIMIT} levels")
