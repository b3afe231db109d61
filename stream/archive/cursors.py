"""The `after` of a page: the sort key of the last row before it, as an opaque text. Pure."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from stream.archive.questions import BadCursorError

LONGEST = 400


def write(*key: int | str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def read(text: str, *kinds: type) -> list[Any]:
    """The values of a cursor, of these types. Raises BadCursorError."""
    try:
        if len(text) > LONGEST:
            raise ValueError
        values = msgspec.json.decode(
            base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=list[int | str]
        )
    except (ValueError, binascii.Error):
        raise BadCursorError("not the cursor of a page") from None
    if tuple(map(type, values)) != kinds or not all(map(_is_storable, values)):
        raise BadCursorError("not the cursor of a page")
    return values


def _is_storable(value: int | str) -> bool:
    """Whether a database can have the value in a row."""
    return "\0" not in value if isinstance(value, str) else not abs(value) >> 63
