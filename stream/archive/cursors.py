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
    if tuple(map(type, values)) != kinds or any(isinstance(one, int) and abs(one) >> 63 for one in values):
        raise BadCursorError("not the cursor of a page")
    return values
